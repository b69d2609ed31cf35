// The whole way with Capgo: a fleet that asks Capgo which bundle to run and reports to Lastgood what came of it, a bad
// bundle on a channel of which Capgo keeps no history, reads that lag behind, and Lastgood, configured by a file.
import { afterAll, beforeAll, expect, it } from "vitest";
import { createCapgoDouble } from "../doubles/capgo.ts";
import type { CapgoDouble } from "../doubles/capgo.ts";
import { startHttpServer } from "../../runtime/http-server.ts";
import type { RunningServer } from "../../runtime/http-server.ts";
import { startLastgood } from "../support/lastgood.ts";
import type { TestLastgood } from "../support/lastgood.ts";
import { waitUntil } from "../support/wait-until.ts";

const APP = "com.acme.till";
const DEVICES = 150;
/** Every fifth device can't start the bad bundle. */
const BAD_EVERY = 5;
/** Devices whose store build is above the bundle that the channel goes back to: Capgo gives it to none of them. */
const NEWER_BUILDS = 10;

let capgo: CapgoDouble;
let server: RunningServer;
let lastgood: TestLastgood;
const running = Array.from({ length: DEVICES }, () => "1.2.0");

beforeAll(async () => {
  capgo = createCapgoDouble({
    keys: { "example-capgo-key": { may: ["app.read", "channel.promote_bundle"] } },
    clock: () => Date.now(),
  });
  capgo.state.addApp(APP);
  capgo.state.addChannel(APP, "Production");
  release("1.3.0");
  server = await startHttpServer(capgo.express, { host: "127.0.0.1", port: 0 });
  lastgood = await startLastgood(`
apps:
  ${APP}:
    ingest_keys: [example-ingest-key]
    ota_server: { type: capgo, url: "${server.url}", api_key: example-capgo-key, channels: { production: { channel: Production } } }
    channels: { production: { policy: standard } }
policies:
  standard: { rules: [{ signal: update_failure, limit: 5% }] }
`);
});

afterAll(async () => {
  await lastgood.stop();
  await server.stop(100);
});

function release(version: string): void {
  capgo.state.addBundle(APP, version);
  capgo.state.setVersion(APP, "Production", version);
}

const buildOf = (index: number): string => (index < NEWER_BUILDS ? "1.3.5" : "1.0.0");

/** Every device asks Capgo, does what it is told, and reports. */
async function checkAll(): Promise<void> {
  const reports = await Promise.all(running.map((_version, index) => check(index)));
  const response = await fetch(`${lastgood.ingestUrl}/v1/reports`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: "Bearer example-ingest-key" },
    body: JSON.stringify(reports.flat()),
  });
  expect(await response.json()).toMatchObject({ rejected: [] });
}

async function check(index: number): Promise<object[]> {
  const response = await fetch(`${server.url}/updates`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      app_id: APP,
      device_id: `device-${index}`,
      version_name: running[index],
      version_build: buildOf(index),
      is_emulator: false,
      is_prod: true,
      platform: "android",
      plugin_version: "8.51.23",
      defaultChannel: "Production",
    }),
  });
  const { version, error } = (await response.json()) as {
    readonly version?: string;
    readonly error?: string;
  };
  if (error !== undefined || version === undefined) return [];
  const isBad = version === "1.4.0" && index % BAD_EVERY === 0;
  if (!isBad) running[index] = version;
  return ["update_started", isBad ? "reverted" : "confirmed"].map((event) => ({
    app: APP,
    channel: "production",
    device: `device-${index}`,
    version,
    event,
    native_version: buildOf(index),
  }));
}

const countOn = (version: string): number => running.filter((each) => each === version).length;

it("a bad bundle goes back to what the channel had, and not to the beta in between", async () => {
  await checkAll();
  expect(countOn("1.3.0")).toBe(DEVICES - NEWER_BUILDS);
  // Capgo keeps no history: what Lastgood has not seen on the channel is no place to go back to.
  await waitUntil(
    () => lastgood.operator.channel(APP),
    ({ current_version }) => current_version === "1.3.0",
  );
  capgo.state.addBundle(APP, "1.4.0-beta.1");
  release("1.4.0");
  // Only from now on: what the double knew before is old enough.
  capgo.lag(1_500);
  await new Promise<void>((resolve) => void setTimeout(resolve, 1_500));
  await checkAll();
  expect(countOn("1.4.0")).toBe(DEVICES - DEVICES / BAD_EVERY);
  const decision = await lastgood.operator.untilDecision(APP, ({ outcome }) => outcome !== null);
  expect(decision).toMatchObject({
    version: "1.4.0",
    target: "1.3.0",
    mode: "automatic",
    outcome: { kind: "applied", version_seen: "1.3.0", attempts: 1, detail: "The channel offers 1.3.0." },
  });
  expect(capgo.acts()).toBe(1);
  const onBad = countOn("1.4.0");
  await checkAll();
  // Whose store build is above 1.3.0 stays: Capgo refuses it to them, and no version would mend that.
  const stuck = NEWER_BUILDS - NEWER_BUILDS / BAD_EVERY;
  expect([countOn("1.3.0"), countOn("1.4.0")]).toEqual([DEVICES - NEWER_BUILDS, stuck]);
  expect(onBad).toBeGreaterThan(stuck);
}, 60_000);
