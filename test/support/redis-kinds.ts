// Redis of either kind, for tests that must hold on both: a single server of their own, or, in the vitest
// project `cluster`, the primaries of a Redis Cluster. Connections are made as the agent makes them. Beside it
// what tests ask of a whole Redis, wherever its keys are.
import { inject } from "vitest";
import { createLogger } from "../../runtime/logger.ts";
import { primariesOf } from "../../runtime/redis-servers.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis, RedisAddress, RedisRole } from "../../runtime/redis.ts";
import { startTestRedis } from "./redis.ts";

export interface RedisOfEitherKind {
  /** A connection, ready; for background work unless told otherwise. */
  connect(role?: RedisRole): Promise<Redis>;
  /** Closes what was connected, and ends what was started. */
  stop(): Promise<void>;
}

const READY_MS_MAX = 5_000;

export async function startRedisOfEitherKind(): Promise<RedisOfEitherKind> {
  const clusterUrls = inject("redisClusterUrls");
  if (clusterUrls !== undefined) return reach(clusterUrls, () => Promise.resolve());
  const server = await startTestRedis();
  return reach(server.url, () => server.stop());
}

function reach(url: RedisAddress, end: () => Promise<void>): RedisOfEitherKind {
  const connections: Redis[] = [];
  return {
    async connect(role = "worker") {
      const redis = createRedis({
        url,
        role,
        logger: createLogger({ name: "test", level: "silent" }),
      });
      connections.push(redis);
      await waitUntilReady(redis, READY_MS_MAX);
      return redis;
    },
    async stop() {
      await Promise.all(connections.map(closeRedis));
      await end();
    },
  };
}

/** Forgets everything. */
export async function emptyRedis(redis: Redis): Promise<void> {
  await Promise.all(primariesOf(redis).map((server) => server.flushall()));
}

/** Sorted. */
export async function listKeys(redis: Redis, pattern: string): Promise<string[]> {
  const keys = await Promise.all(primariesOf(redis).map((server) => server.keys(pattern)));
  return keys.flat().toSorted();
}
