// The record of when Lastgood was listening, on a real Redis: what beats write, which gaps end a spell, and
// that an ingest which turned reports away ends the spell, whatever others write.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  LISTENING_BEAT_MS,
  LISTENING_GAP_MS_MAX,
  LISTENING_KEY,
  heardFromMs,
  readListening,
} from "../../ingest/contract/listening.ts";
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

describe("reports turned away", () => {
  test("while reports wait in the spool each beat begins a new spell; the one after them lengthens it", async () => {
    let nowMs = START_MS;
    let isBehind = true;
    const beat = createListeningBeat({ redis, clock: () => nowMs, logger, isBehind: () => isBehind });
    await ingestAt(START_MS).beat();
    for (const ms of [1, 2]) {
      nowMs = START_MS + ms * LISTENING_BEAT_MS;
      await beat.beat();
      expect(await readListening(redis)).toEqual(spell(nowMs, nowMs));
    }
    isBehind = false;
    nowMs = START_MS + 3 * LISTENING_BEAT_MS;
    await beat.beat();
    expect(await readListening(redis)).toEqual(spell(START_MS + 2 * LISTENING_BEAT_MS, nowMs));
  });

  const HOUR_MS = 3_600_000;

  test("the next beat begins a new spell, and further ones lengthen it", async () => {
    const ingest = ingestAt(START_MS);
    await ingest.beat();
    ingest.noteTurnedAway();
    ingest.noteTurnedAway();
    const brokenAtMs = START_MS + LISTENING_BEAT_MS;
    await ingest.beatAt(brokenAtMs);
    expect(await readListening(redis)).toEqual(spell(brokenAtMs, brokenAtMs));
    await ingest.beatAt(brokenAtMs + LISTENING_BEAT_MS);
    expect(await readListening(redis)).toEqual(spell(brokenAtMs, brokenAtMs + LISTENING_BEAT_MS));
  });

  test("by one of two ingests for hours: the other's beats don't hide it", async () => {
    const [deaf, healthy] = [ingestAt(START_MS), ingestAt(START_MS)];
    for (let atMs = START_MS; atMs <= START_MS + 7 * HOUR_MS; atMs += LISTENING_BEAT_MS) {
      deaf.noteTurnedAway();
      await deaf.beatAt(atMs);
      await healthy.beatAt(atMs + 1);
      expect(await readListening(redis)).toEqual(spell(atMs, atMs + 1));
    }
  });

  test("in three of four beats: every time", async () => {
    const ingest = ingestAt(START_MS);
    for (let beat = 0; beat < 16; beat += 1) {
      const atMs = START_MS + beat * LISTENING_BEAT_MS;
      const isDeaf = beat % 4 !== 0;
      if (isDeaf) ingest.noteTurnedAway();
      await ingest.beatAt(atMs);
      expect(heardFromMs(await readListening(redis), atMs)).toBe(
        isDeaf || beat === 0 ? atMs : atMs - LISTENING_BEAT_MS,
      );
    }
  });

  test("before the first beat ever, or half a record: a spell begins as always", async () => {
    const ingest = ingestAt(START_MS);
    ingest.noteTurnedAway();
    await ingest.beat();
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS));
    await redis.hdel(LISTENING_KEY, "since");
    ingest.noteTurnedAway();
    await ingest.beatAt(START_MS + 1);
    expect(await readListening(redis)).toEqual(spell(START_MS + 1, START_MS + 1));
  });

  test.each([
    ["the same moment", 0, 0],
    ["1 ms behind", -1, 0],
    ["the longest gap behind", -LISTENING_GAP_MS_MAX, 0],
    ["the longest gap ahead", LISTENING_GAP_MS_MAX, LISTENING_GAP_MS_MAX],
    ["further ahead: anew, as always", LISTENING_GAP_MS_MAX + 1, LISTENING_GAP_MS_MAX + 1],
    ["further behind: anew, as always", -LISTENING_GAP_MS_MAX - 1, -LISTENING_GAP_MS_MAX - 1],
  ])("by an ingest whose clock is %s: by the later clock", async (_, offMs, brokenAfterMs) => {
    await ingestAt(START_MS - LISTENING_BEAT_MS).beat();
    await ingestAt(START_MS).beat();
    const deaf = ingestAt(START_MS + offMs);
    deaf.noteTurnedAway();
    await deaf.beat();
    expect(await readListening(redis)).toEqual(spell(START_MS + brokenAfterMs, START_MS + brokenAfterMs));
  });

  test("is not forgotten when beats fail meanwhile", async () => {
    const [deaf, healthy] = [ingestAt(START_MS), ingestAt(START_MS)];
    await healthy.beat();
    deaf.noteTurnedAway();
    await redis.config("SET", "maxmemory", "1");
    await deaf.beatAt(START_MS + LISTENING_BEAT_MS);
    await deaf.beatAt(START_MS + 2 * LISTENING_BEAT_MS);
    await redis.config("SET", "maxmemory", "0");
    const brokenAtMs = START_MS + 3 * LISTENING_BEAT_MS;
    await healthy.beatAt(brokenAtMs - 1);
    expect(await readListening(redis)).toEqual(spell(START_MS, brokenAtMs - 1));
    await deaf.beatAt(brokenAtMs);
    expect(await readListening(redis)).toEqual(spell(brokenAtMs, brokenAtMs));
    await deaf.beatAt(brokenAtMs + 1);
    expect(await readListening(redis)).toEqual(spell(brokenAtMs, brokenAtMs + 1));
  });

  test("while a beat is on its way: the one after it tells", async () => {
    const ingest = ingestAt(START_MS);
    await ingest.beat();
    ingest.noteTurnedAway();
    const onItsWay = ingest.beatAt(START_MS + 1);
    ingest.noteTurnedAway();
    await onItsWay;
    expect(await readListening(redis)).toEqual(spell(START_MS + 1, START_MS + 1));
    await ingest.beatAt(START_MS + 2);
    expect(await readListening(redis)).toEqual(spell(START_MS + 2, START_MS + 2));
  });

  test("an ingest that starts beside another ends no spell", async () => {
    await ingestAt(START_MS).beat();
    await ingestAt(START_MS + LISTENING_BEAT_MS).beat();
    expect(await readListening(redis)).toEqual(spell(START_MS, START_MS + LISTENING_BEAT_MS));
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

  test("for a moment in which nobody reported: no beat throws, and the spell goes on", async () => {
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
  function startOne({ streamEntriesMax = 1 } = {}): Promise<RunningIngest> {
    const settings = agentSettings([]);
    const channels = new Set(["production" as Channel]);
    return startIngest({
      settings: {
        ...settings,
        shards: 1,
        ingest: { ...settings.ingest, streamEntriesMax },
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

  async function report(ingest: RunningIngest): Promise<number> {
    const headers = { authorization: `Bearer ${TILL_KEY}`, "content-type": "application/json" };
    const body = JSON.stringify(sampleReport());
    return (await fetch(`${ingest.url}/v1/reports`, { method: "POST", headers, body })).status;
  }

  /** Whether the beats of the next `LISTENING_BEAT_MS` end a spell that others have kept up for an hour. */
  async function endsSpell(): Promise<boolean> {
    const nowMs = Date.now();
    await redis.hset(LISTENING_KEY, { since: nowMs - 3_600_000, last: nowMs });
    vi.advanceTimersByTime(LISTENING_BEAT_MS);
    await sleep(BEAT_ARRIVES_MS);
    const listening = await readListening(redis);
    if (listening.kind === "never") throw new Error("the record of listening is gone");
    return listening.sinceMs >= nowMs;
  }

  test("ends the spell after it turned reports away", async () => {
    const ingest = await startOne();
    await waitUntil(hasBeat, Boolean);
    expect(await report(ingest)).toBe(202);
    expect(await endsSpell()).toBe(false);
    expect(await report(ingest)).toBe(503);
    expect(await endsSpell()).toBe(true);
    expect(await endsSpell()).toBe(false);
    await ingest.stop(5_000);
  });

  test("ends it beside another that takes everything", async () => {
    const [full, roomy] = await Promise.all([startOne(), startOne({ streamEntriesMax: 100 })]);
    await waitUntil(hasBeat, Boolean);
    expect(await report(full)).toBe(202);
    expect(await report(full)).toBe(503);
    expect(await report(roomy)).toBe(202);
    expect(await endsSpell()).toBe(true);
    expect(await report(roomy)).toBe(202);
    expect(await endsSpell()).toBe(false);
    await Promise.all([full.stop(5_000), roomy.stop(5_000)]);
  });
});
