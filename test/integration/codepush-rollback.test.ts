// The whole way with CodePush, each part in its own words: a fleet of clients that know one URL, which leads to ingest; a
// CodePush server behind it, on which a bad release is published; and Lastgood between the two, configured by a file.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCodePushDouble } from "../doubles/codepush.ts";
import type { CodePushDouble } from "../doubles/codepush.ts";
import { createCodePushDevice } from "../simulation/codepush-device.ts";
import type { CodePushDevice } from "../simulation/codepush-device.ts";
import { startLastgood } from "../support/lastgood.ts";
import type { TestLastgood } from "../support/lastgood.ts";
import { waitUntil } from "../support/wait-until.ts";

const DEVICES = 150;
/** Every fifth device can't start the bad content. */
const BAD_EVERY = 5;
const BAD = "hash-bad";

let codePush: CodePushDouble;
let server: Server;
let lastgood: TestLastgood;
let fleet: CodePushDevice[];

beforeAll(async () => {
  codePush = createCodePushDouble({
    app: "till",
    deployment: "Production",
    deploymentKey: "KEYA",
    accessKey: "example-access-key",
    clock: () => Date.now(),
  });
  codePush.release("hash-good");
  server = createServer(codePush.express);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  lastgood = await startLastgood(`
apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: codepush, url: "${url}", access_key: example-access-key, app: till, channels: { production: { deployment: Production } } }
    sources: { codepush: { deployments: { KEYA: production }, server: "${url}" } }
    channels: { production: { policy: standard } }
policies:
  standard: { rules: [{ signal: update_failure, limit: 5% }] }
`);
  fleet = Array.from({ length: DEVICES }, (_, index) =>
    createCodePushDevice({
      serverUrl: lastgood.ingestUrl,
      deploymentKey: "KEYA",
      appVersion: "1.2.0",
      boots: (packageHash) => packageHash !== BAD || index % BAD_EVERY !== 0,
    }),
  );
});

afterAll(async () => {
  await lastgood.stop();
  server.closeAllConnections();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
});

/** Every app is started once. */
async function startAll(): Promise<void> {
  await Promise.all(fleet.map((device) => device.start()));
}

const running = (label: string): number => fleet.filter((device) => device.running() === label).length;

describe("a bad release on a CodePush server", () => {
  it("is rolled back: the server offers the old content as a new release, and the devices go to it", async () => {
    await startAll();
    expect(running("v1")).toBe(DEVICES);
    codePush.release(BAD);
    // At the first start the bad content is tried, at the second its failure is told.
    await startAll();
    await startAll();
    const decision = await lastgood.operator.untilDecision(
      "com.acme.till",
      ({ outcome }) => outcome !== null && outcome.kind === "applied",
    );
    expect(decision).toMatchObject({
      version: "v2",
      target: "v1",
      mode: "automatic",
      outcome: { version_seen: "v3", detail: "The channel offers v3, which is v1 again." },
    });
    expect(decision.evidence.devices).toMatchObject({ reverted: DEVICES / BAD_EVERY });
    expect(codePush.history.at(-1)).toMatchObject({
      label: "v3",
      releaseMethod: "Rollback",
      originalLabel: "v1",
      packageHash: "hash-good",
      isDisabled: false,
    });
    expect(codePush.rollbacks()).toBe(1);
    await startAll();
    // Those that healed themselves run that content already, under its old name.
    expect([running("v3"), running("v1"), running("v2")]).toEqual([
      DEVICES - DEVICES / BAD_EVERY,
      DEVICES / BAD_EVERY,
      0,
    ]);
    const release = await waitUntil(
      () => lastgood.operator.release("com.acme.till", "v2"),
      (found) => found?.devices["running"] === 0,
    );
    expect(release).toMatchObject({ condemned: true });
  });

  it("the server's own counters went on: every report was passed on to it, once", async () => {
    const told = await waitUntil(
      () => codePush.metrics.get("v2"),
      (counters) => counters?.failed === DEVICES / BAD_EVERY && counters.downloaded === DEVICES,
    );
    expect(told).toMatchObject({ failed: DEVICES / BAD_EVERY, downloaded: DEVICES });
  });
});
