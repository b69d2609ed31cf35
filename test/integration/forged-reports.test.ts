// A forged wave with a stolen ingest key, end to end: real ids of devices, without their tokens, moves nothing and is
// told; the same devices with their tokens are counted. Ingest behind its real app, the agent, the page.
import { afterAll, beforeAll, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { standingPages } from "../../agent/paging/standing-pages.ts";
import { startIngest } from "../../ingest/ingest.ts";
import type { RunningIngest } from "../../ingest/ingest.ts";
import { readDeviceProofs } from "../../ingest/contract/device-proofs.ts";
import { deviceKeyOf, signAsDevice } from "../../ingest/contract/device-signature.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { agentSettings, startOtaServer } from "../support/agent.ts";
import type { TestOtaServer } from "../support/agent.ts";
import { createOperatorClient } from "../support/operator-client.ts";
import { pageSnapshot } from "../support/page-snapshots.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const logger = createLogger({ name: "test", level: "silent" });
let server: TestRedis;
let redis: Redis;
let ota: TestOtaServer;
let agent: RunningAgent;
let ingest: RunningIngest;

beforeAll(async () => {
  server = await startTestRedis();
  redis = createRedis({ url: server.url, role: "request", logger });
  ota = await startOtaServer();
  for (const [index, text] of ["1.3.0", "1.4.0"].entries())
    ota.publish({ ...TILL, version: version(text), releasedAtMs: Date.UTC(2026, 0, index + 1) });
  const settings = agentSettings([{ name: TILL.app, otaUrl: ota.url }]);
  agent = await startAgent({ settings, redisUrl: server.url, version: "0.0.0", logger });
  const [app] = [...settings.apps];
  const deviceAuth = { type: "hmac", secret: SECRET, mode: "enforce", trustedKeys: [] } as const;
  ingest = await startIngest({
    settings: {
      ...settings,
      apps: new Map([
        [app![0], { ingestKeys: app![1].ingestKeys, channels: new Set([TILL.channel]), deviceAuth }],
      ]),
    },
    redisUrl: server.url,
    version: "0.0.0",
    logger,
  });
});
afterAll(async () => {
  await ingest.stop(5_000);
  await agent.stop(5_000);
  redis.disconnect();
  await ota.close();
  await server.stop();
});

/** One device says that its update failed; with its signature, or with another device's, or with none. */
async function report(device: string, signedBy?: string): Promise<number> {
  const events = ["update_started", "installed", "reverted"];
  const body = JSON.stringify(events.map((event) => ({ ...TILL, device, version: "1.4.0", event })));
  const deviceKey =
    signedBy === undefined ? undefined : deviceKeyOf({ secret: SECRET, app: TILL.app, device: signedBy });
  const response = await fetch(`${ingest.url}/v1/reports`, {
    method: "POST",
    headers: {
      Authorization: "Bearer example-ingest-key",
      "Content-Type": "application/json",
      ...(deviceKey === undefined
        ? {}
        : { "X-Device-Signature": signAsDevice({ deviceKey, body, atMs: Date.now() }) }),
    },
    body,
  });
  return response.status;
}

const DEVICES = Array.from({ length: 30 }, (_, index) => `till-${index}`);

it("moves nothing without the devices' own proof, and calls a person", async () => {
  for (const device of DEVICES) expect(await report(device)).toBe(401);
  for (const device of DEVICES) expect([401, 202]).toContain(await report(device, "till-of-the-thief"));
  const client = createOperatorClient(() => agent);
  const proofs = await waitUntil(
    () => readDeviceProofs(redis, Date.now()),
    (counts) => (counts.get(TILL.app)?.unproven ?? 0) >= 180,
    15_000,
  );
  expect(proofs.get(TILL.app)).toEqual({ reports: 180, unproven: 180 });
  expect(standingPages(pageSnapshot({ proofs }))).toMatchObject([
    { alertname: "OtaForgedReports", severity: "critical", labels: { app: TILL.app } },
  ]);
  expect(await client.release(TILL.app, "1.4.0")).toBeUndefined();
  expect(ota.readChannel(TILL)!.version).toBe("1.4.0");
});

it("the same reports with it are counted, and roll the release back", async () => {
  for (const device of DEVICES) expect(await report(device, device)).toBe(202);
  const decision = await createOperatorClient(() => agent).untilDecision(
    TILL.app,
    ({ outcome }) => outcome !== null,
  );
  expect(decision).toMatchObject({ version: "1.4.0", target: "1.3.0", outcome: { kind: "applied" } });
});
