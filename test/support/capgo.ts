// A double of Capgo that listens, with one app and a channel that had 1.2.0, then 1.3.0, then 1.4.0; and the adapter to
// it. Enters: what is different. Leaves: both; time is the test's own, and waiting makes it go by.
import type { Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import { appIdSchema, channelSchema } from "../../ingest/contract/release-key.ts";
import { createCapgoOtaServer } from "../../agent/rollback/servers/capgo.ts";
import type { CapgoOtaServerOptions } from "../../agent/rollback/servers/capgo.ts";
import { createCapgoAuthBrake } from "../../agent/rollback/servers/capgo-auth-brake.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import { startHttpServer } from "../../runtime/http-server.ts";
import { createCapgoDouble } from "../doubles/capgo.ts";
import type { CapgoDouble, CapgoDoubleOptions } from "../doubles/capgo.ts";

export const CAPGO_APP = "com.acme.till";
/** The channel's name at Capgo, which is not Lastgood's. */
export const CAPGO_CHANNEL = "Production";
export const CAPGO_KEY: ChannelKey = {
  app: appIdSchema.parse(CAPGO_APP),
  channel: channelSchema.parse("production"),
};
export const CAPGO_TIMEOUT_MS = 1_000;
const API_KEY = "example-capgo-key";
const DAY_MS = 86_400_000;

export interface TestCapgo extends CapgoDouble {
  readonly url: string;
  readonly clock: () => number;
  /** Lets time go by. */
  pass(ms: number): void;
  /** How long somebody waited, in milliseconds. */
  waitedMs(): number;
  adapter(options?: Partial<CapgoOtaServerOptions>): OtaServer;
  /** A bundle is uploaded and put on the channel. */
  release(version: string): void;
  readonly stop: () => Promise<void>;
}

export async function startCapgo(keys: CapgoDoubleOptions["keys"] = {}): Promise<TestCapgo> {
  let nowMs = Date.UTC(2026, 0, 31, 12);
  let waitedMs = 0;
  const clock = (): number => nowMs;
  const double = createCapgoDouble({
    keys: { [API_KEY]: { may: ["app.read", "channel.promote_bundle", "channel.update_settings"] }, ...keys },
    clock,
  });
  const { state } = double;
  nowMs -= 4 * DAY_MS;
  state.addApp(CAPGO_APP);
  state.addChannel(CAPGO_APP, CAPGO_CHANNEL);
  const release = (version: string): void => {
    state.addBundle(CAPGO_APP, version);
    state.setVersion(CAPGO_APP, CAPGO_CHANNEL, version);
  };
  for (const version of ["1.2.0", "1.3.0", "1.4.0"]) {
    release(version);
    nowMs += DAY_MS;
  }
  const running = await startHttpServer(double.express, { host: "127.0.0.1", port: 0 });
  let stopped: Promise<void> | undefined;
  return {
    ...double,
    url: running.url,
    clock,
    pass: (ms) => void (nowMs += ms),
    waitedMs: () => waitedMs,
    adapter: (options = {}) =>
      createCapgoOtaServer({
        url: running.url,
        apiKey: API_KEY,
        appId: null,
        channels: new Map<Channel, string>([[CAPGO_KEY.channel, CAPGO_CHANNEL]]),
        timeoutMs: CAPGO_TIMEOUT_MS,
        clock,
        brake: createCapgoAuthBrake(clock),
        sleep(ms) {
          nowMs += ms;
          waitedMs += ms;
          return Promise.resolve();
        },
        ...options,
      }),
    release,
    stop: () => (stopped ??= running.stop(100)),
  };
}
