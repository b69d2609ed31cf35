// Windows of a release that has very many, on a real Redis and over HTTP: 60 slots of 200 kinds of device on 4
// shards, each of which numbers them differently. Every sum is what it must be, told apart or not, however far
// back somebody looks, and whoever rolls windows up meanwhile.
import { once } from "node:events";
import { get } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";
import express from "express";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { healthRoutes } from "../../agent/admin/health-routes.ts";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import {
  ACTIVE_HOURS_INDEX,
  ANSWERS_INDEX,
  encodeCounts,
  zeroCounts,
} from "../../agent/health/count-vector.ts";
import type { CountVector } from "../../agent/health/count-vector.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { NO_DEVICE_HOURS } from "../../agent/health/health-window.ts";
import type { HealthWindow, Slot } from "../../agent/health/health-window.ts";
import { OUTCOMES } from "../../agent/health/outcomes.ts";
import { countsKey, fineKey, tableKey, windowsKey } from "../../agent/health/shard-keys.ts";
import { formatStratum } from "../../agent/health/stratum.ts";
import { addToSlot, formatSlot } from "../../agent/health/windows.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { createLogger } from "../../runtime/logger.ts";
import { AGENT_TEST_SHARDS, agentSettings } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const MINUTE_MS = 60_000;
/** Half past an hour. */
const NOW = Date.UTC(2026, 0, 31, 12, 30);
const NOW_MINUTE = NOW / MINUTE_MS;
const HOUR = 60;
const SHARDS = Array.from({ length: AGENT_TEST_SHARDS }, (_, shard) => shard);
const STRATA = Array.from({ length: 200 }, (_, kind) => formatStratum(["android", `M${kind}`, "", ""]));
const RELEASE_NUMBER = 7;
const VIEWER = "token-of-ana";
const ATTEMPTED = OUTCOMES.indexOf("attempted");

let server: TestRedis;
let redis: Redis;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  agent = await startAgent({
    settings: agentSettings(
      [{ name: TILL.app, otaUrl: "http://127.0.0.1:1", policy: { mode: "shadow" } }],
      [{ name: "ana", role: "viewer", token: VIEWER }],
    ),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
    clock: () => NOW,
  });
});

afterAll(async () => {
  await agent.stop(5_000);
  await redis.quit();
  await server.stop();
});

function numberOf(kind: number, shard: number): number {
  return 1 + ((kind + shard * 50) % STRATA.length);
}

function attemptsIn(slot: number, kind: number, shard: number): number {
  return 1 + ((slot * 31 + kind * 7 + shard) % 300);
}

/** `at` = the slot's place among all. */
function countsIn(at: number, kind: number, shard: number): CountVector {
  const counts = zeroCounts();
  counts[ATTEMPTED] = attemptsIn(at, kind, shard);
  counts[ACTIVE_HOURS_INDEX] = shard + 1;
  counts[ANSWERS_INDEX + 2] = kind;
  return counts;
}

/** Every shard has all of these slots, with as many kinds of device. */
async function store(slots: readonly Slot[], kinds: number): Promise<void> {
  const texts = STRATA.slice(0, kinds);
  await redis.flushall();
  for (const shard of SHARDS) {
    await redis.hset(tableKey(shard, "releases"), formatReleaseKey(releaseOf("1.4.0")), RELEASE_NUMBER);
    const rows = texts.flatMap((text, kind) => [`${TILL.app}|${text}`, String(numberOf(kind, shard))]);
    await redis.hset(tableKey(shard, "strata"), ...rows);
    const total = encodeCounts(zeroCounts());
    await redis.hset(countsKey(shard, RELEASE_NUMBER), { first: NOW, last: NOW, total });
    await redis.sadd(fineKey(shard), RELEASE_NUMBER);
    const fields = slots.map((slot, at): [string, Buffer] => {
      const strata = texts.map((_, kind) => [numberOf(kind, shard), countsIn(at, kind, shard)] as const);
      return [formatSlot(slot), addToSlot(undefined, new Map(strata))];
    });
    await redis.hset(windowsKey(shard, RELEASE_NUMBER), new Map(fields));
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

interface ShownWindow {
  readonly start: string;
  readonly minutes: number;
  readonly stratum?: unknown;
  readonly devices: Readonly<Record<string, number>>;
  readonly hours: Readonly<Record<string, number>>;
  readonly answered: Readonly<Record<string, number>>;
}

function hoursOf(active: number): Record<string, number> {
  return { active, crashed: 0, not_responding: 0, first_crashed: 0, first_not_responding: 0 };
}

const HEADERS = { authorization: `Bearer ${VIEWER}` };
const urlOf = (query: string): string =>
  `${agent.url}/v1/releases/${TILL.app}/${TILL.channel}/1.4.0?${query}`;

async function windows(query: string): Promise<ShownWindow[]> {
  const response = await fetch(urlOf(query), { headers: HEADERS });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  return ((await response.json()) as { windows: ShownWindow[] }).windows;
}

function startOf({ slotMinute }: Slot): string {
  return new Date(slotMinute * MINUTE_MS).toISOString();
}

describe("60 slots of 200 kinds of device on 4 shards", () => {
  const slots = Array.from({ length: 60 }, (_, at) => ({ slotMinute: NOW_MINUTE - 60 + at, slotMinutes: 1 }));
  beforeAll(() => store(slots, STRATA.length));

  it("are added up by kind of device over shards", async () => {
    const all = await windows("windows=all");
    expect(all).toHaveLength(60 * STRATA.length);
    const expected = slots.flatMap((slot, at) =>
      STRATA.map((text, kind): [string, ShownWindow] => [
        text,
        {
          start: startOf(slot),
          minutes: 1,
          stratum: { platform: "android", model: `M${kind}` },
          devices: { attempted: sum(SHARDS.map((shard) => attemptsIn(at, kind, shard))) },
          hours: hoursOf(10),
          answered: kind === 0 ? {} : { "2": 4 * kind },
        },
      ]).toSorted(([left], [right]) => (left < right ? -1 : 1)),
    );
    expect(all).toEqual(expected.map(([, window]) => window));
  });

  it("are added up over kinds of device as well, unless told otherwise", async () => {
    const all = await windows("windows=all");
    const summed = await windows("");
    expect(summed).toEqual(
      slots.map((slot) => {
        const ofSlot = all.filter(({ start }) => start === startOf(slot));
        return {
          start: startOf(slot),
          minutes: 1,
          devices: { attempted: sum(ofSlot.map(({ devices }) => devices["attempted"]!)) },
          hours: hoursOf(sum(ofSlot.map(({ hours }) => hours["active"]!))),
          answered: { "2": sum(ofSlot.map(({ answered }) => answered["2"] ?? 0)) },
        };
      }),
    );
    expect(await windows("windows=summed&hours=24")).toEqual(summed);
  });

  it("come slot by slot, so that nobody holds all of them", async () => {
    const health = createHealthStore({ redis, shards: AGENT_TEST_SHARDS });
    const sizes: number[] = [];
    const choice = { sinceMinute: 0, strata: "told_apart" } as const;
    for await (const ofSlot of health.streamWindows(releaseOf("1.4.0"), choice)) sizes.push(ofSlot.length);
    expect(sizes).toEqual(slots.map(() => STRATA.length));
  });
});

describe("an answer of windows without end", () => {
  const hours = NO_DEVICE_HOURS;
  const total = { hours, lastReportAtMs: NOW, firstReportAtMs: NOW, lastFailureAtMs: 0 };
  const window = { slotMinute: 0, slotMinutes: 1, stratum: "all", devices: {}, hours, answered: [] };

  /** A release whose windows come from a test, at its URL. */
  async function serve(
    streamWindows: () => AsyncIterable<unknown>,
  ): Promise<{ url: string; server: Server }> {
    const health = {
      readRelease: () => Promise.resolve(total),
      readDetail: () => Promise.resolve({ strata: new Map(), reasons: new Map() }),
      streamWindows,
    } as unknown as HealthStore;
    const app = express()
      .set("env", "test")
      .use(healthRoutes({ health, clock: () => NOW }));
    const listening = app.listen(0, "127.0.0.1");
    await once(listening, "listening");
    const { port } = listening.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}/releases/a/b/1`, server: listening };
  }

  it("is no longer read once whoever asked has gone", async () => {
    let [slotsRead, isOver] = [0, false];
    const { url, server: listening } = await serve(async function* windowsOfTest() {
      try {
        for (;;) {
          await setImmediate();
          slotsRead += 1;
          yield Array.from({ length: 1_000 }, () => window);
        }
      } finally {
        isOver = true;
      }
    });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url, resolve).on("error", reject);
    });
    // Nobody takes anything, so no more is read than there is room for on the way.
    const read = await waitUntil(
      async () => {
        const before = slotsRead;
        await setTimeout(100);
        return { before, now: slotsRead };
      },
      ({ before, now }) => now > 0 && now === before,
    );
    expect(read.now).toBeLessThan(1_000);
    expect(isOver).toBe(false);
    response.destroy();
    await waitUntil(
      () => Promise.resolve(isOver),
      (over) => over,
    );
    listening.close();
  });

  it("is a failure where nothing was written yet, and else breaks off", async () => {
    let slotsBefore = 0;
    const { url, server: listening } = await serve(async function* windowsOfTest() {
      for (let slot = 0; slot < slotsBefore; slot += 1) yield Array.from({ length: 1_000 }, () => window);
      await setTimeout(50);
      throw new Error("Redis has gone");
    });
    expect((await fetch(url)).status).toBe(500);
    slotsBefore = 2;
    const response = await fetch(url);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow("terminated");
    listening.close();
  });
});

describe("how far back windows go", () => {
  const slots: readonly Slot[] = [
    { slotMinute: NOW_MINUTE - 2160 * HOUR - 90, slotMinutes: 60 },
    { slotMinute: NOW_MINUTE - 2160 * HOUR - 30, slotMinutes: 60 },
    { slotMinute: NOW_MINUTE - 24 * HOUR - 5, slotMinutes: 5 },
    { slotMinute: NOW_MINUTE - 24 * HOUR - 4, slotMinutes: 5 },
    { slotMinute: NOW_MINUTE - HOUR - 1, slotMinutes: 1 },
    { slotMinute: NOW_MINUTE - HOUR, slotMinutes: 1 },
    { slotMinute: NOW_MINUTE, slotMinutes: 1 },
  ];
  beforeAll(() => store(slots, 2));

  it.each([
    ["hours=1", slots.slice(5)],
    ["hours=2", slots.slice(4)],
    ["", slots.slice(3)],
    ["hours=24", slots.slice(3)],
    ["hours=024", slots.slice(3)],
    ["hours=25", slots.slice(2)],
    ["hours=2160", slots.slice(1)],
  ])("%s: those that end after it", async (query, expected) => {
    const shown = await windows(query);
    expect(shown.map(({ start }) => start)).toEqual(expected.map(startOf));
    const all = await windows(`${query}&windows=all`);
    expect(all.map(({ start }) => start)).toEqual(expected.flatMap((slot) => [startOf(slot), startOf(slot)]));
  });
});

describe("while windows are rolled up", () => {
  const slots = Array.from({ length: 4 * HOUR }, (_, at) => ({
    slotMinute: NOW_MINUTE - 30 - 6 * HOUR + at,
    slotMinutes: 1,
  }));
  beforeEach(() => store(slots, 3));

  it.each(["told_apart", "summed"] as const)("no count is lost or seen twice (%s)", async (strata) => {
    const health = createHealthStore({ redis, shards: AGENT_TEST_SHARDS });
    const seen: HealthWindow[] = [];
    for await (const ofSlot of health.streamWindows(releaseOf("1.4.0"), { sinceMinute: 0, strata })) {
      // Twice: in the middle of the first hour, and later into whole hours.
      if (seen.length === 30) await rollUp(NOW);
      if (seen.length > 70 && seen.at(-1)!.slotMinutes === 5) await rollUp(NOW + 48 * HOUR * MINUTE_MS);
      seen.push(...ofSlot);
    }
    expect(new Set(seen.map(({ slotMinutes }) => slotMinutes))).toEqual(new Set([1, 5, 60]));
    const kinds = [0, 1, 2];
    const expected = slots.flatMap((_, at) =>
      kinds.flatMap((kind) => SHARDS.map((shard) => attemptsIn(at, kind, shard))),
    );
    expect(sum(seen.map(({ devices }) => devices.attempted))).toBe(sum(expected));
    expect(sum(seen.map(({ answered }) => answered[2]!))).toBe(slots.length * SHARDS.length * 3);
  });

  async function rollUp(nowMs: number): Promise<void> {
    for (const shard of SHARDS)
      await rollUpShard({ redis, shard, nowMs, which: "fine", isStopping: () => false });
  }
});
