// Which OTA servers are polled, and by which file. Enters: the settings in force, asked each time. Leaves: a source per
// app whose OTA server pushes nothing.
import type { Clock } from "../../runtime/clock.ts";
import type { OtaServerSettings } from "../config/ota-servers.ts";
import type { AppSettings, Settings } from "../config/schema.ts";
import type { AppId } from "../../ingest/contract/release-key.ts";
import { createHawkbitPoller } from "./hawkbit.ts";
import { createMenderPoller } from "./mender.ts";
import type { PolledSource } from "./poll-source.ts";

export interface PolledSources {
  readonly all: readonly PolledSource[];
  find(app: AppId): PolledSource | undefined;
}

export interface PolledSourcesOptions {
  readonly settings: () => Settings;
  readonly clock: Clock;
  readonly version: string;
}

type Create = Pick<PolledSource, "poller" | "everyMs"> | undefined;

export function createPolledSources({ settings, clock, version }: PolledSourcesOptions): PolledSources {
  const made = new Map<AppSettings, PolledSource | undefined>();
  let of: Settings | undefined;
  let all: readonly PolledSource[] = [];
  const keepUp = (): readonly PolledSource[] => {
    const now = settings();
    if (now === of) return all;
    const before = new Map(made);
    made.clear();
    for (const [app, settingsOfApp] of now.apps)
      made.set(
        settingsOfApp,
        before.has(settingsOfApp)
          ? before.get(settingsOfApp)
          : toSource(app, settingsOfApp, createPoller(app, settingsOfApp, { clock, version })),
      );
    of = now;
    all = [...made.values()].filter((source) => source !== undefined);
    return all;
  };
  return {
    get all() {
      return keepUp();
    },
    find: (app) => keepUp().find((source) => source.app === app),
  };
}

function toSource(app: AppId, { otaServer }: AppSettings, created: Create): PolledSource | undefined {
  if (created === undefined) return undefined;
  return { app, id: `${app} ${otaServer.type} ${otaServer.url}${scopeOf(otaServer)}`, ...created };
}

/** What else of the settings chooses what is read: a cursor of something else is worth nothing. */
function scopeOf(otaServer: OtaServerSettings): string {
  return otaServer.type === "hawkbit" ? ` ${otaServer.username} ${otaServer.distributionSet}` : "";
}

/** Undefined for a make whose devices report by themselves. */
function createPoller(
  app: AppId,
  { otaServer, channels }: { readonly otaServer: OtaServerSettings } & Pick<AppSettings, "channels">,
  { clock, version }: { readonly clock: Clock; readonly version: string },
): Create {
  switch (otaServer.type) {
    case "capgo":
    case "codepush":
    case "hot_updater":
    case "http":
      return undefined;
    case "hawkbit":
      return {
        poller: createHawkbitPoller({ ...otaServer, app, clock, productVersion: version }),
        everyMs: otaServer.pollEveryMs,
      };
    case "mender": {
      const watched = [...channels.keys()];
      const poller = createMenderPoller({ ...otaServer, app, watched, clock, productVersion: version });
      return { poller, everyMs: otaServer.pollEveryMs };
    }
  }
}
