// The apps that have the Capgo plugin, by the id that its events carry. Enters: the configured apps. Leaves: look-ups.
import type { IngestAppSettings } from "../../config.ts";
import type { CapgoSource } from "../../contract/sources/capgo.ts";
import type { AppId } from "../../contract/release-key.ts";

export interface CapgoApp {
  readonly app: AppId;
  readonly settings: IngestAppSettings;
  readonly source: CapgoSource;
}

export interface CapgoApps {
  /** Undefined for an id that no app has. */
  find(capgoId: string): CapgoApp | undefined;
  /** Where there is one alone: requests that name none are its own. */
  only(): CapgoApp | undefined;
}

export function createCapgoApps(apps: ReadonlyMap<AppId, IngestAppSettings>): CapgoApps {
  const byId = new Map<string, CapgoApp>();
  for (const [app, settings] of apps) {
    const source = settings.sources?.capgo;
    if (source !== undefined) byId.set(source.appId ?? app, { app, settings, source });
  }
  return {
    find: (capgoId) => byId.get(capgoId),
    only: () => (byId.size === 1 ? [...byId.values()][0] : undefined),
  };
}
