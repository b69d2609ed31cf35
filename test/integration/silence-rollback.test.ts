// Silence, from the reports to the OTA server: a whole agent rolls back a release whose devices begin and are
// never heard of again, once the deadline has passed while ingest listened; and does not while it did not.
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import { LISTENING_KEY } from "../../ingest/contract/listening.ts";
import type { AppId, Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import { createLogger } from "../../runtime/logger.ts";
import { AGENT_TEST_SHARDS, agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { releaseOf, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const DEADLINE_MS = 5 * 60_000;
const POLICY: Partial<Policy> = {
  rules: [{ form: "limit", signal: "silence", limit: 0.02, deadlineMs: DEADLINE_MS }],
};
const DEVICES = 200;

let server: TestRedis;
let redis: Redis;
let agent: RunningAgent;
let fleet: TestFleet;
let ota: TestOtaServer;
/** Ingest and agent live so long ago; then time passes at once. The OTA server checks times, and lives today. */
let agoMs = DEADLINE_MS + 120_000;
const clock = (): number => Date.now() - agoMs;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  ota = await startOtaServer();
  for (const app of ["silent", "answering"])
    for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...keyOf(app), version: version(text) });
  agent = await startAgent({
    settings: agentSettings(
      ["silent", "answering"].map((name) => ({ name, otaUrl: ota.url, policy: POLICY })),
    ),
    redisUrl: server.url,
    version: "0.0.0",
    logger: createLogger({ name: "test", level: "silent" }),
    clock,
  });
  fleet = await createTestFleet(server.url, clock);
});

afterAll(async () => {
  fleet.close();
  await agent.stop(5_000);
  await ota.close();
  await redis.quit();
  await server.stop();
});

function keyOf(app: string): ChannelKey {
  return { app: app as AppId, channel: "production" as Channel };
}

async function devicesOf(app: string) {
  const health = createHealthStore({ redis, shards: AGENT_TEST_SHARDS });
  return (await health.readRelease(releaseOf("1.4.0", keyOf(app)))).devices;
}

/** How often anybody looked at devices whose deadline has passed: nothing else reads a part of a string. */
async function looks(): Promise<number> {
  const [, calls] = /^cmdstat_getrange:calls=(\d+)/m.exec(await redis.info("commandstats")) ?? [];
  return Number(calls ?? 0);
}

interface Decision {
  readonly app: string;
  readonly version: string;
  readonly target: string;
  readonly sentence: string;
  readonly last_needed_report_at: string;
  readonly outcome: { readonly kind: string } | null;
}

async function decisions(): Promise<Decision[]> {
  const answer = await fetch(`${agent.url}/v1/decisions`);
  return ((await answer.json()) as { decisions: Decision[] }).decisions;
}

it("a release whose devices are never heard of again is rolled back, if they could have been heard", async () => {
  const begun = { version: "1.4.0", devices: [1, DEVICES], events: ["update_started", "installed"] } as const;
  await fleet.report({ app: "silent", ...begun });
  await fleet.report({ app: "answering", ...begun, events: [...begun.events, "confirmed"] });
  await waitUntil(
    () => Promise.all(["silent", "answering"].map(devicesOf)),
    (all) => all.every(({ announced }) => announced === DEVICES),
  );
  expect(await looks()).toBe(0);

  // No ingest has ever listened: every shard is looked at, and nobody is silent.
  agoMs = 0;
  await waitUntil(looks, (count) => count >= AGENT_TEST_SHARDS);
  expect(await devicesOf("silent")).toMatchObject({ announced: DEVICES, silent: 0 });
  expect(await decisions()).toEqual([]);

  // One has listened since before they began.
  await redis.hset(LISTENING_KEY, { since: Date.now() - 2 * DEADLINE_MS, last: Date.now() });
  const [decision, ...others] = await waitUntil(decisions, ([newest]) => newest?.outcome?.kind === "applied");
  expect(others).toEqual([]);
  expect(decision).toMatchObject({ app: "silent", version: "1.4.0", target: "1.3.0" });
  expect(decision!.sentence).toContain("fell silent");
  // The evidence it needed came when the deadlines ended: some minutes ago, and after the reports.
  const neededAtMs = Date.parse(decision!.last_needed_report_at);
  expect(neededAtMs % 60_000).toBe(0);
  expect(neededAtMs).toBeLessThanOrEqual(Date.now());
  expect(neededAtMs).toBeGreaterThan(Date.now() - DEADLINE_MS);
  expect(ota.readChannel(keyOf("silent"))!.version).toBe("1.3.0");

  await waitUntil(
    () => devicesOf("silent"),
    ({ silent }) => silent === DEVICES,
  );
  expect(await devicesOf("answering")).toMatchObject({ announced: DEVICES, silent: 0 });
  expect(ota.readChannel(keyOf("answering"))!.version).toBe("1.4.0");
});
