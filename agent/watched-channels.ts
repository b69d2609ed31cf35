// The channels that the configuration names, each with its policy and its OTA server. The one place that
// knows which make of server is made by which file.
import { formatChannelKey } from "../ingest/contract/release-key.ts";
import type { ChannelKey } from "../ingest/contract/release-key.ts";
import type { Clock } from "../runtime/clock.ts";
import type { HttpOtaServerSettings, Settings } from "./config/schema.ts";
import type { WatchedChannel } from "./jobs/watched-channel.ts";
import type { OtaServer } from "./rollback/ota-server.ts";
import { createHttpOtaServer } from "./rollback/servers/http.ts";

export interface WatchedChannels {
  readonly all: readonly WatchedChannel[];
  find(key: ChannelKey): WatchedChannel | undefined;
}

export function createWatchedChannels({
  settings,
  clock,
  version,
}: {
  settings: Settings;
  clock: Clock;
  version: string;
}): WatchedChannels {
  const byKey = new Map<string, WatchedChannel>();
  for (const [app, { otaServer, channels }] of settings.apps) {
    const server = createOtaServer(otaServer, clock, version);
    for (const [channel, { policyName, minimumVersion }] of channels) {
      const policy = settings.policies.get(policyName);
      if (policy === undefined)
        throw new Error(`channel ${channel} of ${app} names a policy that is not there: ${policyName}`);
      const key = { app, channel };
      byKey.set(formatChannelKey(key), { key, policy, minimumVersion, server });
    }
  }
  return { all: [...byKey.values()], find: (key) => byKey.get(formatChannelKey(key)) };
}

function createOtaServer(settings: HttpOtaServerSettings, clock: Clock, productVersion: string): OtaServer {
  switch (settings.type) {
    case "http":
      return createHttpOtaServer({
        url: settings.url,
        secret: settings.secret,
        timeoutMs: settings.timeoutMs,
        clock,
        productVersion,
      });
  }
}
