// What is remembered of devices with Capgo's plugin, on a real Redis of either kind: the same whatever came first and how
// often, within its bounds, and how much memory it takes.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { shardOfDevice, deviceDigest } from "../../ingest/contract/shard.ts";
import {
  MOMENTS_MAX,
  MOMENT_AHEAD_MS_MAX,
  TIMELINE_MS_MAX,
  createTimelineStore,
} from "../../ingest/sources/capgo/timeline-store.ts";
import type { TimelineStore } from "../../ingest/sources/capgo/timeline-store.ts";
import type { Moment, MomentKind } from "../../ingest/sources/capgo/timeline.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createRandom } from "../simulation/random.ts";
import { emptyRedis, listKeys, startRedisOfEitherKind } from "../support/redis-kinds.ts";
import type { RedisOfEitherKind } from "../support/redis-kinds.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const APP = "com.acme.till";
const SHARDS = 4;

let server: RedisOfEitherKind;
let redis: Redis;
let timelines: TimelineStore;

beforeAll(async () => {
  server = await startRedisOfEitherKind();
  redis = await server.connect();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await emptyRedis(redis);
  timelines = createTimelineStore({ redis, shards: SHARDS });
});

const moment = (kind: MomentKind, version: string, atMs: number): Moment => ({ kind, version, atMs });

/** Leaves what is remembered then. */
async function note(device: string, ...moments: Moment[]): Promise<readonly Moment[]> {
  for (const told of [moments, []]) {
    const answer = await timelines.note([{ app: APP, device, moments: told }], NOW_MS);
    if (answer.kind !== "found") throw answer.cause;
    if (told !== moments) return answer.moments[0]!;
  }
  throw new Error("never here");
}

/** Of an update that failed, and what the device did then. */
const HEALED = [
  moment("download", "4.2.7", NOW_MS - 60_000),
  { ...moment("set", "4.2.7", NOW_MS - 50_000), from: "4.2.6" },
  moment("revert", "4.2.7", NOW_MS - 40_000),
  { ...moment("set", "4.2.6", NOW_MS - 40_000), from: "4.2.0" },
];

describe("timelines", () => {
  it("are read as they were told, each device its own, over all shards", async () => {
    const devices = Array.from({ length: 40 }, (_, index) => `till-${index}`);
    const queries = devices.map((device, index) => ({
      app: APP,
      device,
      moments: [moment("set", `1.0.${index}`, NOW_MS)],
    }));
    expect(new Set(devices.map((device) => shardOfDevice(deviceDigest(APP, device), SHARDS))).size).toBe(
      SHARDS,
    );
    // Each answer is what was known before.
    for (const known of [queries.map(() => []), queries.map(({ moments }) => moments)])
      expect(await timelines.note(queries, NOW_MS)).toEqual({ kind: "found", moments: known });
    expect(await note("till-0")).toEqual([moment("set", "1.0.0", NOW_MS)]);
    expect(await note("till-healed", ...HEALED)).toEqual(expect.arrayContaining(HEALED));
    expect(await note("unknown")).toEqual([]);
    expect(await listKeys(redis, "*capgo*")).toHaveLength(41);
  });

  it("are the same in any order of batches, and however often one is sent", async () => {
    const random = createRandom("timelines");
    const kinds = ["set", "revert", "download", "fetch", "runs"] as const;
    for (let round = 0; round < 60; round += 1) {
      const moments = Array.from({ length: 14 }, () =>
        moment(random.pick(kinds), random.pick(["1", "2", "3"]), NOW_MS - Math.floor(random.between(0, 40))),
      );
      await note(`a-${round}`, ...moments);
      const shuffled = [...moments, ...moments, ...moments]
        .map((one) => ({ one, key: random.next() }))
        .toSorted((left, right) => left.key - right.key)
        .map(({ one }) => one);
      while (shuffled.length > 0)
        await note(`b-${round}`, ...shuffled.splice(0, 1 + Math.floor(random.between(0, 5))));
      const found = await note(`b-${round}`);
      expect(found).toEqual(await note(`a-${round}`));
      expect(found.length).toBeLessThanOrEqual(MOMENTS_MAX);
    }
  });

  it(`hold the newest ${MOMENTS_MAX} moments, and of downloads of a bundle the last`, async () => {
    const sets = Array.from({ length: MOMENTS_MAX + 1 }, (_, index) =>
      moment("set", `${index}`, NOW_MS - 100 + index),
    );
    expect(await note("till-1", ...sets.slice(1))).toEqual(sets.slice(1));
    expect(await note("till-1", sets[0]!)).toEqual(sets.slice(1));
    const downloads = Array.from({ length: 50 }, (_, index) => moment("download", "9", NOW_MS - index));
    expect(await note("till-2", ...downloads, sets[0]!)).toEqual([sets[0], moment("download", "9", NOW_MS)]);
  });

  it("hold nothing that is far in the future, which no later word could replace", async () => {
    const latest = moment("set", "1", NOW_MS + MOMENT_AHEAD_MS_MAX);
    expect(await note("till-1", latest)).toEqual([latest]);
    expect(await note("till-2", { ...latest, atMs: latest.atMs + 1 })).toEqual([]);
    expect(await note("till-3", moment("set", "1", 0))).toEqual([moment("set", "1", 0)]);
  });

  it("last for 8 days after they were asked about, and those that are empty do not", async () => {
    await note("till-1", ...HEALED);
    const [key] = await listKeys(redis, "*capgo*");
    expect(await redis.pttl(key!)).toBeGreaterThan(TIMELINE_MS_MAX - 10_000);
    await redis.pexpire(key!, 5_000);
    await note("till-1");
    expect(await redis.pttl(key!)).toBeGreaterThan(TIMELINE_MS_MAX - 10_000);
    await note("till-2");
    expect(await listKeys(redis, "*capgo*")).toHaveLength(1);
  });

  it("take little memory", async () => {
    const usage = async (device: string, ...moments: Moment[]): Promise<number> => {
      await emptyRedis(redis);
      await note(device, ...moments);
      const [key] = await listKeys(redis, "*capgo*");
      return (await redis.memory("USAGE", key!, "SAMPLES", 0))!;
    };
    const full = (version: (index: number) => string): Moment[] =>
      Array.from({ length: MOMENTS_MAX }, (_, index) => ({
        ...moment("set", version(index), NOW_MS - index),
        from: version(index),
      }));
    const bytes = {
      updated: await usage("till-1", ...HEALED.slice(0, 2)),
      healed: await usage("till-1", ...HEALED),
      full: await usage("till-1", ...full(() => "4.2.7")),
      longest: await usage("till-1", ...full((index) => String(index).repeat(128))),
    };
    expect(bytes.updated).toBeLessThanOrEqual(160);
    expect(bytes.healed).toBeLessThanOrEqual(224);
    expect(bytes.full).toBeLessThanOrEqual(416);
    expect(bytes.longest).toBeLessThanOrEqual(4_608);
  });

  it("that can't be read are a value, and no exception", async () => {
    await note("till-1", ...HEALED);
    const [key] = await listKeys(redis, "*capgo*");
    await redis.set(key!, "not a sorted set");
    const answer = await timelines.note([{ app: APP, device: "till-1", moments: HEALED }], NOW_MS);
    expect(answer).toMatchObject({ kind: "redis_unavailable" });
  });
});
