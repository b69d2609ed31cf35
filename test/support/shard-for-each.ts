// The set-up of tests of one shard that run on a single Redis and on a cluster. Enters: what a test does with
// them. Leaves: a connection, and a shard with nothing in it, before each test of the file.
import { afterAll, beforeAll, beforeEach } from "vitest";
import type { Redis } from "../../runtime/redis.ts";
import { emptyRedis, startRedisOfEitherKind } from "./redis-kinds.ts";
import type { RedisOfEitherKind } from "./redis-kinds.ts";
import { createTestShard } from "./test-shard.ts";
import type { TestShard } from "./test-shard.ts";

export function useShardForEach(use: (redis: Redis, shard: TestShard) => void): void {
  let server: RedisOfEitherKind;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedisOfEitherKind();
    redis = await server.connect();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await emptyRedis(redis);
    use(redis, createTestShard(redis));
  });
}
