// What metrics say of the Redis servers: use, load, errors (USE), of the one there is or of each primary of a cluster.
// Enters: a connection that fails fast. Leaves: what the servers say of themselves, and gauges set to it.
import type { Redis } from "../../runtime/redis.ts";
import { serverName } from "../../runtime/redis.ts";
import { infoField } from "../../runtime/redis-info.ts";
import { primariesOf } from "../../runtime/redis-servers.ts";
import type { Instruments } from "./instruments.ts";

export interface RedisServerState {
  /** `host:port`, or the path of its socket. */
  readonly server: string;
  readonly pingSeconds: number;
  readonly memoryBytes: number;
  /** Undefined = it may use what the machine has. */
  readonly memoryBytesMax: number | undefined;
  readonly clients: number;
  readonly commands: number;
  readonly persistence: "kept" | "at_risk";
}

/** Rejects when one of them does not answer. */
export function readRedisServers(redis: Redis): Promise<RedisServerState[]> {
  return Promise.all(
    primariesOf(redis).map(async (server) => {
      const askedAtMs = performance.now();
      const pinged = server.ping().then(() => (performance.now() - askedAtMs) / 1_000);
      const [pingSeconds, text] = await Promise.all([pinged, server.info()]);
      return { server: serverName(server), pingSeconds, ...parseInfo(text) };
    }),
  );
}

function parseInfo(info: string): Omit<RedisServerState, "server" | "pingSeconds"> {
  const number = (name: string): number => Number(infoField(info, name) || Number.NaN);
  const memoryBytesMax = number("maxmemory");
  const isKept = infoField(info, "aof_enabled") === "1" && infoField(info, "aof_last_write_status") === "ok";
  return {
    memoryBytes: number("used_memory"),
    memoryBytesMax: memoryBytesMax > 0 ? memoryBytesMax : undefined,
    clients: number("connected_clients"),
    commands: number("total_commands_processed"),
    persistence: isKept ? "kept" : "at_risk",
  };
}

export function setRedisServers(instruments: Instruments, servers: readonly RedisServerState[]): void {
  for (const {
    server,
    pingSeconds,
    memoryBytes,
    memoryBytesMax,
    clients,
    commands,
    persistence,
  } of servers) {
    instruments.redisPing.set({ server }, pingSeconds);
    instruments.redisMemory.set({ server }, memoryBytes);
    if (memoryBytesMax !== undefined) instruments.redisMemoryMax.set({ server }, memoryBytesMax);
    instruments.redisClients.set({ server }, clients);
    instruments.redisCommands.inc({ server }, commands);
    instruments.redisPersistence.set({ server }, persistence === "kept" ? 1 : 0);
  }
}
