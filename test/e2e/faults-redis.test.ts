// Redis frozen, killed, out of memory, slow, cut off, while devices report to a real ingest process: devices are told 202 for
// what is safe and nothing else, the spool is empty in the end, and every count is exact. Memory stays bounded.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LISTENING_KEY } from "../../ingest/contract/listening.ts";
import { sleep } from "../../runtime/clock.ts";
import {
  INGEST_RSS_BYTES_MAX,
  createFleet,
  expectNothingLost,
  openFaultStage,
  untilDrained,
} from "../support/fault-stage.ts";
import type { FaultStage } from "../support/fault-stage.ts";
import { startFaultyProxy } from "../support/faulty-proxy.ts";
import type { PartProcess } from "../support/part-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const SPOOL_BYTES_LEAST = 1024 ** 2;

let stage: FaultStage;

beforeEach(async () => {
  stage = await openFaultStage();
});

afterEach(async () => {
  await stage.close();
});

const isSpooling = (ingest: PartProcess): Promise<number | undefined> =>
  waitUntil(
    () => ingest.sample('ota_ingest_spool_reports_total{result="kept"}'),
    (kept) => (kept ?? 0) > 0,
  );

async function drained(ingest: PartProcess): Promise<void> {
  await untilDrained(ingest);
  expect(await ingest.sample("ota_ingest_spooling")).toBe(0);
}

async function expectCalm(ingest: PartProcess): Promise<void> {
  expect(ingest.rssBytes()).toBeLessThan(INGEST_RSS_BYTES_MAX);
  const [kept, gone] = await Promise.all(
    ["kept", "drained"].map((result) => ingest.sample(`ota_ingest_spool_reports_total{result="${result}"}`)),
  );
  expect(gone).toBe(kept);
  expect(await ingest.sample("ota_ingest_spool_oldest_timestamp_seconds")).toBeUndefined();
}

describe("Redis under load", () => {
  test.each([
    ["frozen (SIGSTOP)", async () => stage.freezeRedis(), async () => stage.thawRedis()],
    ["killed, and started again", () => stage.killRedis(), () => stage.restartRedis()],
    [
      "out of memory",
      () => stage.redis.config("SET", "maxmemory", "1"),
      () => stage.redis.config("SET", "maxmemory", "0"),
    ],
  ])("%s: every report is taken, and counted in the end", async (_, begin, end) => {
    const ingest = await stage.startIngest();
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    await sleep(500);
    await begin();
    await isSpooling(ingest);
    await sleep(1_500);
    const ready = await fetch(`${ingest.operationsUrl}/readyz`);
    expect([ready.status, await ready.json()]).toMatchObject([
      200,
      { checks: { redis: expect.stringContaining("reports are kept in the spool") as string } },
    ]);
    const before = fleet.acknowledged.size;
    await waitUntil(
      () => fleet.acknowledged.size,
      (now) => now > before + 100,
    );
    await end();
    await drained(ingest);
    await stop();
    await drained(ingest);
    expect([...fleet.answers.keys()]).toEqual(["202"]);
    await expectCalm(ingest);
    expect((await fetch(`${ingest.operationsUrl}/readyz`)).status).toBe(200);
    await expectNothingLost(stage, fleet);
    for (const said of [
      "they are kept in the spool on disk",
      "Redis takes reports again",
      "the spool is drained",
    ])
      expect(ingest.log().split(said)).toHaveLength(2);
  });

  test("slow, 300 ms for each answer: nothing is spooled, nothing is lost", async () => {
    const proxy = await startFaultyProxy(stage.server().url.replace("unix://", ""));
    try {
      const ingest = await stage.startIngest({ redisUrl: `redis://127.0.0.1:${proxy.port}` });
      const fleet = createFleet(ingest);
      proxy.delayAnswers(300);
      const stop = fleet.reportAllTheTime(64);
      await sleep(3_000);
      await stop();
      expect([...fleet.answers.keys()]).toEqual(["202"]);
      expect(await ingest.sample('ota_ingest_spool_reports_total{result="kept"}')).toBe(0);
      await expectCalm(ingest);
      await expectNothingLost(stage, fleet);
    } finally {
      await proxy.stop();
    }
  });

  test("its connections reset, and a network that swallows everything: nothing is lost, nobody is told no", async () => {
    const proxy = await startFaultyProxy(stage.server().url.replace("unix://", ""));
    try {
      const ingest = await stage.startIngest({ redisUrl: `redis://127.0.0.1:${proxy.port}` });
      const fleet = createFleet(ingest);
      const stop = fleet.reportAllTheTime();
      for (let turn = 0; turn < 5; turn += 1) {
        await sleep(300);
        expect(proxy.resetAll()).toBeGreaterThan(0);
      }
      proxy.blackhole(true);
      await isSpooling(ingest);
      await sleep(1_000);
      proxy.blackhole(false);
      await stop();
      await drained(ingest);
      expect([...fleet.answers.keys()]).toEqual(["202"]);
      await expectCalm(ingest);
      await expectNothingLost(stage, fleet);
    } finally {
      await proxy.stop();
    }
  });
});

describe("silence", () => {
  test("no deadline ends while reports wait in the spool: the spell of listening begins anew", async () => {
    const ingest = await stage.startIngest();
    const since = async (): Promise<number> => Number(await stage.redis.hget(LISTENING_KEY, "since"));
    const atFirst = await waitUntil(since, (ms) => ms > 0);
    await stage.redis.config("SET", "maxmemory", "1");
    const keptAtMs = Date.now();
    expect(await createFleet(ingest).send(5)).toBe("202");
    await stage.redis.config("SET", "maxmemory", "0");
    await drained(ingest);
    expect(await waitUntil(since, (ms) => ms > atFirst, 20_000)).toBeGreaterThan(keptAtMs);
  });
});

describe("without room", () => {
  test("a full spool: 503 spool_full, never a byte more than allowed, and all of it heals", async () => {
    const ingest = await stage.startIngest({ spool: "{ max_bytes: 1MiB }" });
    const fleet = createFleet(ingest);
    await stage.killRedis();
    while ((await fleet.send(500)) === "202")
      expect(stage.spoolBytes()).toBeLessThanOrEqual(SPOOL_BYTES_LEAST + 100);
    expect(fleet.answers.get("spool_full")).toBe(1);
    expect(fleet.acknowledged.size).toBeGreaterThan(1_000);
    expect((await fetch(`${ingest.operationsUrl}/readyz`)).status).toBe(503);
    await stage.restartRedis();
    await drained(ingest);
    expect(await fleet.send()).toBe("202");
    await expectCalm(ingest);
    await expectNothingLost(stage, fleet);
  });

  test("spool: off: 503 redis_unavailable, and nothing on disk", async () => {
    const ingest = await stage.startIngest({ spool: "off" });
    await stage.killRedis();
    const fleet = createFleet(ingest);
    expect(await fleet.send()).toBe("redis_unavailable");
    expect(() => stage.spoolBytes()).toThrow("ENOENT");
    await stage.restartRedis();
    await waitUntil(
      () => fleet.send(),
      (answer) => answer === "202",
    );
    await expectNothingLost(stage, fleet);
  });
});
