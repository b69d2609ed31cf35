// Rollbacks that are watched, on real Redis: from the executor's outcome to effective, or not effective and later
// effective after all; each change once in the journal, also with two agents that look at the same time.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { carryOut } from "../../agent/jobs/carry-out.ts";
import { followUpRollbacks } from "../../agent/jobs/follow-up.ts";
import { openStores } from "../../agent/pipeline.ts";
import type { Stores } from "../../agent/pipeline.ts";
import { NO_DEVICE_HOURS } from "../../agent/health/health-window.ts";
import { createHttpOtaServer } from "../../agent/rollback/servers/http.ts";
import { createLogger } from "../../runtime/logger.ts";
import { OTA_SECRET, startOtaServer } from "../support/agent.ts";
import type { TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import {
  TILL,
  failingVerdict,
  outcomeCounts,
  sampleDecision,
  samplePolicy,
  version,
} from "../support/verdicts.ts";

const ACTED_MS = Date.UTC(2026, 0, 31, 12);
const DAY_MS = 24 * 3_600_000;
const logger = createLogger({ name: "test", level: "silent" });

let server: TestRedis;
let redis: Redis;
let stores: Stores;
let ota: TestOtaServer;
let nowMs: number;
const decision = sampleDecision("1.4.0", { at: new Date(ACTED_MS).toISOString() });

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  stores = openStores(redis, 1);
  nowMs = ACTED_MS;
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  await runOn(100);
  await stores.decisions.record(decision);
  const http = createHttpOtaServer({ url: ota.url, secret: OTA_SECRET, timeoutMs: 2_000, clock: Date.now });
  const watchedOf = () => ({ server: http, policy: samplePolicy() });
  await carryOut(decision.id, { ...stores, watchedOf, clock: () => nowMs, logger });
  return () => ota.close();
});

/** So many devices run 1.4.0 now. */
function runOn(running: number): Promise<void> {
  const devices = outcomeCounts({ attempted: 120, failed: 20, running });
  return stores.summaries.write({
    verdict: failingVerdict({ devices }),
    hours: NO_DEVICE_HOURS,
    evaluatedAtMs: nowMs,
    firstReportAtMs: ACTED_MS,
    lastReportAtMs: nowMs,
  });
}

async function look(afterMs: number): Promise<string | undefined> {
  nowMs = ACTED_MS + afterMs;
  const deps = { ...stores, watchedOf: () => ({ policy: samplePolicy() }), logger, nowMs };
  // Two agents look at the same time.
  await Promise.all([followUpRollbacks(deps), followUpRollbacks(deps)]);
  return (await stores.decisions.read(decision.id))?.follow_up?.kind;
}

async function followUpsInJournal(): Promise<unknown[]> {
  const entries = await stores.journal.read({ afterSeq: 0, limit: 100 });
  return entries.filter(({ kind }) => kind === "follow_up").map(({ body }) => body["kind"]);
}

it("begins with the outcome, and knows how many ran the version", async () => {
  expect(await stores.decisions.read(decision.id)).toMatchObject({
    outcome: { kind: "applied" },
    follow_up: { kind: "watching", running_at_act: 100, running_now: 100 },
  });
});

it("is effective when half of the devices have left; then nobody looks any more", async () => {
  await runOn(51);
  expect(await look(60_000)).toBe("watching");
  expect(await stores.decisions.read(decision.id)).toMatchObject({ follow_up: { running_now: 51 } });
  await runOn(50);
  expect(await look(120_000)).toBe("effective");
  expect(await followUpsInJournal()).toEqual(["effective"]);
  expect(await stores.decisions.listFollowed()).toEqual([]);
});

it("is not effective when their time is over, and may be after all; at twice the time it is let go", async () => {
  expect(await look(DAY_MS - 1)).toBe("watching");
  expect(await look(DAY_MS)).toBe("not_effective");
  await runOn(40);
  expect(await look(DAY_MS + 60_000)).toBe("effective");
  expect(await followUpsInJournal()).toEqual(["not_effective", "effective"]);
});

it("that never helps is let go at twice the time, and stays not effective", async () => {
  expect(await look(DAY_MS)).toBe("not_effective");
  expect(await look(2 * DAY_MS)).toBe("not_effective");
  expect(await stores.decisions.listFollowed()).toEqual([]);
  expect(await followUpsInJournal()).toEqual(["not_effective"]);
});
