// The record of when Lastgood was listening, on a real Redis: what beats write, which gaps end a spell, and
// that an ingest beats exactly while it takes reports.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  LISTENING_BEAT_MS,
  LISTENING_GAP_MS_MAX,
  LISTENING_KEY,
  heardFromMs,
  readListening,
} from "../../ingest/contract/listening.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import type { AppId, Channel } from "../../ingest/contract/release-key.ts";
import { startIngest } from "../../ingest/ingest.ts";
import type { RunningIngest } from "../../ingest/ingest.ts";
import { createListeningBeat } from "../../ingest/listening-beat.ts";
import type { ListeningBeat } from "../../ingest/listening-beat.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { agentSettings } from "../support/agent.ts";
import { TILL_KEY, sampleReport } from "../support/ingest-app.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { waitUntil } from "../support/wait-until.ts";

const logger = createLogger({ name: "test", level: "silent" });
/** A time of today's size: what Lua makes of it must be what was sent. */
const START_MS = Date.UTC(2026, 0, 31, 3);
/** Longer than a beat takes to arrive. */
const BEAT_ARRIVES_MS = 200;

let server: TestRedis;
let redis: Redis;

beforeEach(async () => {
  server = await startTestRedis();
  redis = createRedis({ url: server.url, role: "request", logger });
  await waitUntilReady(redis, 5_000);
});

afterEach(async () => {
  vi.useRealTimers();
  await closeRedis(redis);
  await server.stop();
});

/** An ingest of which only the beat is there. */
function ingestAt(startMs: number): ListeningBeat & { beatAt(atMs: number): Promise<void> } {
  let nowMs = startMs;
  const beat = createListeningBeat({ redis, clock: () => nowMs, logger });
  return { ...beat, beatAt: (atMs) => ((nowMs = atMs), beat.beat()) };
}

const spell = (sinceMs: number, lastMs: number) => ({ kind: "listening", sinceMs, lastMs });

describe("beats", () => {
  test("none: never", async () => {
    expect(await readListening(redis)).toEqual({ kind: "never" });
  });

  test("the first begins a spell, and further ones lengthen it", async () => {
    const ingest = ingestAt(START_MS);
    await ingest.beat();
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS));
    await ingest.beatAt(START_MS + LISTENING_BEAT_MS);
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS + LISTENING_BEAT_MS));
  });

  test.each([
    ["of exactly the longest length does not end a spell", LISTENING_GAP_MS_MAX, 0],
    ["longer by 1 ms does", LISTENING_GAP_MS_MAX + 1, LISTENING_GAP_MS_MAX + 1],
  ])("a gap %s", async (_, gapMs, sinceAfterMs) => {
    const ingest = ingestAt(START_MS);
    await ingest.beat();
    await ingest.beatAt(START_MS + gapMs);
    expect(await readListening(redis)).toEqual(spell(START_MS + sinceAfterMs, START_MS + gapMs));
  });

  test("a clock that is set back a little changes nothing until it has caught up", async () => {
    const ingest = ingestAt(START_MS);
    await ingest.beat();
    for (const setBackMs of [LISTENING_GAP_MS_MAX, LISTENING_BEAT_MS, 1]) {
      await ingest.beatAt(START_MS - setBackMs);
      expect(await readListening(redis)).toEqual(spell(START_MS, START_MS));
    }
    await ingest.beatAt(START_MS + 1);
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS + 1));
  });

  test("a clock that is set back by more than the longest gap begins anew", async () => {
    const ingest = ingestAt(START_MS);
    await ingest.beat();
    const afterMs = START_MS - LISTENING_GAP_MS_MAX - 1;
    await ingest.beatAt(afterMs);
    expect(await readListening(redis)).toEqual(spell(afterMs, afterMs));
  });

  test("one half of the record is no record", async () => {
    await redis.hset(LISTENING_KEY, "last", START_MS);
    await ingestAt(START_MS + 1).beat();
    expect(await readListening(redis)).toEqual(spell(START_MS + 1, START_MS + 1));
  });
});

describe("two ingests", () => {
  test("one takes over from the other without a gap", async () => {
    const [left, right] = [ingestAt(START_MS), ingestAt(START_MS)];
    await left.beat();
    await right.beatAt(START_MS + LISTENING_GAP_MS_MAX);
    await right.beatAt(START_MS + 2 * LISTENING_GAP_MS_MAX);
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS + 2 * LISTENING_GAP_MS_MAX));
  });

  test("a beat that arrives late takes nothing back", async () => {
    const [left, right] = [ingestAt(START_MS), ingestAt(START_MS)];
    await left.beat();
    await right.beatAt(START_MS + LISTENING_BEAT_MS);
    await left.beatAt(START_MS + 1);
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS + LISTENING_BEAT_MS));
  });

  test("at the same moment, after a gap: one new spell", async () => {
    await ingestAt(START_MS).beat();
    const backMs = START_MS + 3_600_000;
    await Promise.all(Array.from({ length: 50 }, (_, index) => ingestAt(backMs + index).beat()));
    const listening = await readListening(redis);
    expect(listening).toMatchObject({ kind: "listening", lastMs: backMs + 49 });
    expect(heardFromMs(listening, backMs + 49)).toBeGreaterThanOrEqual(backMs);
  });

  test("a clock that is an hour off proves no listening to anybody", async () => {
    const [right, wrong] = [ingestAt(START_MS), ingestAt(START_MS + 3_600_000)];
    for (let atMs = START_MS; atMs < START_MS + 120_000; atMs += LISTENING_BEAT_MS) {
      await right.beatAt(atMs);
      await wrong.beatAt(atMs + 3_600_000);
      expect(heardFromMs(await readListening(redis), atMs)).toBeUndefined();
    }
  });
});

describe("Redis away", () => {
  const afterOutage = async (outageMs: number) => {
    const ingest = ingestAt(START_MS);
    await ingest.beat();
    await server.kill();
    for (let atMs = LISTENING_BEAT_MS; atMs < outageMs; atMs += LISTENING_BEAT_MS)
      await ingest.beatAt(START_MS + atMs);
    server = await startTestRedis({ folder: server.folder });
    await waitUntilReady(redis, 5_000);
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS));
    await ingest.beatAt(START_MS + outageMs);
    return await readListening(redis);
  };

  test("for a moment: no beat throws, and the spell goes on", async () => {
    expect(await afterOutage(45_000)).toEqual(spell(START_MS, START_MS + 45_000));
  });

  test("for longer than a gap: a new spell", async () => {
    expect(await afterOutage(75_000)).toEqual(spell(START_MS + 75_000, START_MS + 75_000));
  });

  test("there, but taking no writes: no beat", async () => {
    await redis.config("SET", "maxmemory", "1");
    await ingestAt(START_MS).beat();
    expect(await readListening(redis)).toEqual({ kind: "never" });
  });
});

describe("an ingest process", () => {
  const STREAM_ENTRIES_MAX = 1;

  function startOne(): Promise<RunningIngest> {
    const settings = agentSettings([]);
    const channels = new Set(["production" as Channel]);
    return startIngest({
      settings: {
        ...settings,
        shards: 1,
        ingest: { ...settings.ingest, streamEntriesMax: STREAM_ENTRIES_MAX },
        apps: new Map([["com.acme.till" as AppId, { ingestKeys: [TILL_KEY], channels }]]),
      },
      redisUrl: server.url,
      version: "0.0.0",
      logger,
    });
  }

  const hasBeat = async (): Promise<boolean> => (await readListening(redis)).kind === "listening";

  /** Whether it beats when `ms` go by, from a clean slate. */
  async function beatsWithin(ms: number): Promise<boolean> {
    await redis.del(LISTENING_KEY);
    vi.advanceTimersByTime(ms);
    await sleep(BEAT_ARRIVES_MS);
    return await hasBeat();
  }

  // Only intervals: connections keep their own time. (And no expect.poll, which would let intervals run.)
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));

  test("beats at once and then regularly, and no more when it has stopped", async () => {
    const startedAtMs = Date.now();
    const ingest = await startOne();
    await waitUntil(hasBeat, Boolean);
    const heardMs = heardFromMs(await readListening(redis), Date.now());
    expect(heardMs).toBeGreaterThanOrEqual(startedAtMs);
    expect(await beatsWithin(LISTENING_BEAT_MS - 1)).toBe(false);
    expect(await beatsWithin(1)).toBe(true);
    expect(await beatsWithin(LISTENING_BEAT_MS)).toBe(true);
    await ingest.stop(5_000);
    // Its Redis connection is closed by now: that no beat arrives would not show that none is tried.
    expect(vi.getTimerCount()).toBe(0);
    expect(await beatsWithin(4 * LISTENING_BEAT_MS)).toBe(false);
  });

  test("does not beat while it turns reports away", async () => {
    const ingest = await startOne();
    const report = async (): Promise<number> => {
      const headers = { authorization: `Bearer ${TILL_KEY}`, "content-type": "application/json" };
      const body = JSON.stringify(sampleReport());
      return (await fetch(`${ingest.url}/v1/reports`, { method: "POST", headers, body })).status;
    };
    await waitUntil(hasBeat, Boolean);
    expect(await report()).toBe(202);
    expect(await beatsWithin(LISTENING_BEAT_MS)).toBe(true);
    expect(await report()).toBe(503);
    expect(await beatsWithin(LISTENING_BEAT_MS)).toBe(false);
    await redis.del(reportStream(0));
    expect(await beatsWithin(LISTENING_BEAT_MS)).toBe(true);
    await ingest.stop(5_000);
  });
});
