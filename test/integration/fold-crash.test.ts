// Exactness under violence, in small: the same at full size is test/soak/fold-crash.soak.ts. And the one moment
// that it seldom meets: another agent commits between what a fold reads first and what it reads last.
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES as rules } from "../../agent/health/counting-rules.ts";
import { RevisionMoved } from "../../agent/health/revision.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { planOf } from "../../agent/jobs/fold-shard.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { systemClock } from "../../runtime/clock.ts";
import { expectExactCounts } from "../support/fold-crash.ts";
import { startTestRedis } from "../support/redis.ts";
import { releaseOf } from "../support/verdicts.ts";

it("counts stay exact while agents and Redis are killed", async () => {
  const { killsAtWork, commitsLost } = await expectExactCounts({
    seed: 7,
    devices: 1_500,
    requests: 300,
    kills: 4,
    redisKills: 2,
    lifeMsMax: 1_500,
    // Not long enough for the other agent to take its work over: that is for the soak.
    frozenMs: 1_000,
  });
  expect(killsAtWork).toBeGreaterThan(0);
  expect(commitsLost).toBeGreaterThan(0);
}, 180_000);

it("loses its commit when another agent gave a device a stratum that it does not know yet", async () => {
  const server = await startTestRedis();
  const redis = new Redis({ ...server.options, replyMapping: "legacy" });
  const writer = createStreamWriter({ redis, shards: 1, streamEntriesMax: 1_000, clock: systemClock });
  const say = (device: string, platform: string) =>
    writer.write([{ ...releaseOf("1.4.0"), device, platform, event: "installed" }]);
  const [slow, quick] = [createShardStore({ redis, shard: 0 }), createShardStore({ redis, shard: 0 })];

  await say("till-1", "linux");
  const first = (await slow.readBatch(await slow.readPosition()))!;
  expect(await slow.commitBatch(first, await planOf(first, { store: slow, rules }))).toBe("committed");
  await say("till-2", "android");
  const batch = (await slow.readBatch(await slow.readPosition()))!;
  const same = (await quick.readBatch(await quick.readPosition()))!;
  expect(await quick.commitBatch(same, await planOf(same, { store: quick, rules }))).toBe("committed");
  await expect(planOf(batch, { store: slow, rules })).rejects.toThrow(RevisionMoved);

  await redis.quit();
  await server.stop();
});
