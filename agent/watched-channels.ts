// The channels that the configuration names now, each with its policy and its OTA server. The one place that knows which
// make of server is made by which file. Enters: the settings in force. Leaves: the channels as they are at the moment
// of asking; a channel once found stays as it is for whoever has it.
import { formatChannelKey } from "../ingest/contract/release-key.ts";
import type { ChannelKey } from "../ingest/contract/release-key.ts";
import type { Clock } from "../runtime/clock.ts";
import type { OtaServerSettings } from "./config/ota-servers.ts";
import type { Settings } from "./config/schema.ts";
import type { WatchedChannel } from "./jobs/watched-channel.ts";
import type { OtaServer } from "./rollback/ota-server.ts";
import { createCapgoOtaServer } from "./rollback/servers/capgo.ts";
import { createCapgoAuthBrake } from "./rollback/servers/capgo-auth-brake.ts";
import type { CapgoAuthBrake } from "./rollback/servers/capgo-auth-brake.ts";
import { createCodePushOtaServer } from "./rollback/servers/codepush.ts";
import { createHawkbitOtaServer } from "./rollback/servers/hawkbit.ts";
import { createHotUpdaterOtaServer } from "./rollback/servers/hot-updater.ts";
import { createHttpOtaServer } from "./rollback/servers/http.ts";
import { createMenderOtaServer } from "./rollback/servers/mender.ts";

export interface WatchedChannels {
  readonly all: readonly WatchedChannel[];
  find(key: ChannelKey): WatchedChannel | undefined;
}

export interface WatchedChannelsOptions {
  /** Asked each time: settings change while the agent runs, as a whole. */
  readonly settings: () => Settings;
  readonly clock: Clock;
  readonly version: string;
}

export function createWatchedChannels({ settings, clock, version }: WatchedChannelsOptions): WatchedChannels {
  const servers = new Map<OtaServerSettings, OtaServer>();
  let of: Settings | undefined;
  let byKey: ReadonlyMap<string, WatchedChannel> = new Map();
  let all: readonly WatchedChannel[] = [];
  const product = { clock, productVersion: version, brake: createCapgoAuthBrake(clock) };
  const serverOf = (asked: OtaServerSettings): OtaServer => {
    const server = servers.get(asked) ?? createOtaServer(asked, product);
    servers.set(asked, server);
    return server;
  };
  const keepUp = (): void => {
    const now = settings();
    if (now === of) return;
    byKey = channelsOf(now, serverOf);
    all = [...byKey.values()];
    of = now;
    const used = new Set([...now.apps.values()].map(({ otaServer }) => otaServer));
    for (const known of servers.keys()) if (!used.has(known)) servers.delete(known);
  };
  keepUp();
  return {
    get all() {
      keepUp();
      return all;
    },
    find(key) {
      keepUp();
      return byKey.get(formatChannelKey(key));
    },
  };
}

function channelsOf(
  { apps, policies }: Settings,
  serverOf: (settings: OtaServerSettings) => OtaServer,
): ReadonlyMap<string, WatchedChannel> {
  const byKey = new Map<string, WatchedChannel>();
  for (const [app, { otaServer, channels }] of apps) {
    const server = serverOf(otaServer);
    for (const [channel, { policyName, minimumVersion }] of channels) {
      const policy = policies.get(policyName);
      if (policy === undefined)
        throw new Error(`channel ${channel} of ${app} names a policy that is not there: ${policyName}`);
      const key = { app, channel };
      byKey.set(formatChannelKey(key), { key, policy, minimumVersion, server });
    }
  }
  return byKey;
}

/** What every server is made with; failed log-ins are counted by address, whichever app they were for. */
interface Product {
  readonly clock: Clock;
  readonly productVersion: string;
  readonly brake: CapgoAuthBrake;
}

function createOtaServer(settings: OtaServerSettings, { clock, productVersion, brake }: Product): OtaServer {
  switch (settings.type) {
    case "capgo":
      return createCapgoOtaServer({ ...settings, clock, productVersion, brake });
    case "http":
      return createHttpOtaServer({
        url: settings.url,
        secret: settings.secret,
        timeoutMs: settings.timeoutMs,
        clock,
        productVersion,
      });
    case "codepush":
      return createCodePushOtaServer({ ...settings, clock, productVersion });
    case "hawkbit":
      return createHawkbitOtaServer({ ...settings, clock, productVersion });
    case "hot_updater":
      return createHotUpdaterOtaServer({ ...settings, clock, productVersion });
    case "mender":
      return createMenderOtaServer({ ...settings, clock, productVersion });
  }
}
