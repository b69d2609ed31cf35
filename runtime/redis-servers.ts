// The servers behind a connection: the one of a single server, the primaries of a cluster. For what concerns
// a server and not the keyspace: which server owns a key, whether all of them answer, what they say of themselves.
import { Cluster } from "ioredis";
import { keySlot } from "./key-slot.ts";
import { serverName } from "./redis.ts";
import type { Redis, RedisServer } from "./redis.ts";

/** The slot map is asked for this often at most, however many commands find that it is old, in milliseconds. */
const REFRESH_PAUSE_MS = 100;

export function isCluster(redis: Redis): redis is Cluster {
  return redis instanceof Cluster;
}

/** All that take writes. */
export function primariesOf(redis: Redis): readonly RedisServer[] {
  return isCluster(redis) ? redis.nodes("master") : [redis];
}

/**
 * The server that owns a key, as far as is known; undefined while it is away. What is sent to it directly
 * goes nowhere else: an answer of MOVED is for the caller, who should `refreshServers` and try again later.
 */
export function serverOf(redis: Redis, key: string): RedisServer | undefined {
  if (!isCluster(redis)) return redis;
  const name = redis.slots[keySlot(key)]?.[0];
  return redis.nodes().find((node) => serverName(node) === name);
}

const refreshedAtMs = new WeakMap<Cluster, number>();

/** Asks in the background who owns what now. */
export function refreshServers(redis: Redis): void {
  if (!isCluster(redis)) return;
  const nowMs = performance.now();
  if (nowMs - (refreshedAtMs.get(redis) ?? Number.NEGATIVE_INFINITY) < REFRESH_PAUSE_MS) return;
  refreshedAtMs.set(redis, nowMs);
  redis.refreshSlotsCache(() => {});
}

/** Longest wait for the question below, in milliseconds: it holds up what is behind it on its connection. */
const REPLICATED_MS_MAX = 20;

/**
 * Called before writing to a key's slot over this connection. Leaves a question for afterwards: do so many
 * replicas have all that was written, so that it survives the server's death? False also when that can't be
 * known, because another server owns the key by now.
 */
export function watchReplication(redis: Redis, key: string, replicas: number): () => Promise<boolean> {
  const before = serverOf(redis, key);
  return async () => {
    if (replicas === 0) return true;
    if (before === undefined || serverOf(redis, key) !== before) return false;
    return (await before.wait(replicas, REPLICATED_MS_MAX)) >= replicas;
  };
}

/** Rejects when a server does not answer, or when the cluster can't serve every key. */
export async function pingServers(redis: Redis): Promise<void> {
  if (!isCluster(redis)) return void (await redis.ping());
  const owners = new Set(redis.slots.flatMap((servers) => servers.slice(0, 1)));
  if (owners.size === 0) throw new Error("no server of the Redis Cluster can be reached");
  await Promise.all(
    [...owners].map(async (name) => {
      const server = redis.nodes().find((node) => serverName(node) === name);
      if (server === undefined) throw new Error(`${name} is away, a server of the Redis Cluster`);
      const state = /cluster_state:(\w+)/.exec(await server.cluster("INFO"))?.[1];
      if (state !== "ok") throw new Error(`${serverName(server)} says that the cluster's state is ${state}`);
    }),
  );
}
