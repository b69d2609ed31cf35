// Connections to Redis, one way of making each kind. `url` is `redis://…`, `rediss://…` or `unix:///path`.
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import type { Logger } from "./logger.ts";

export type { Redis };

/**
 * - `request`: answers somebody who waits: fails fast when Redis is away.
 * - `worker`: background work: waits for Redis to come back, for as long as it takes (BullMQ needs this).
 * - `blocking`: a connection of its own for blocking reads.
 */
export type RedisRole = "request" | "worker" | "blocking";

/** How long one command of a `request` connection may take before it fails, in milliseconds. */
export const REQUEST_COMMAND_MS_MAX = 5_000;
/** A connection on which a command is unanswered this long is dead (a firewall forgot it, a host went): make a new one. */
export const SILENT_MS_MAX = 15_000;
const CONNECT_MS_MAX = 5_000;
const RECONNECT_DELAY_MS_MAX = 1_000;

const OPTIONS_BY_ROLE: Record<RedisRole, RedisOptions> = {
  request: {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: REQUEST_COMMAND_MS_MAX,
    enableAutoPipelining: true,
    socketTimeout: REQUEST_COMMAND_MS_MAX,
  },
  // Longer than BullMQ's longest blocking read (10 s).
  worker: { maxRetriesPerRequest: null, socketTimeout: SILENT_MS_MAX },
  blocking: { maxRetriesPerRequest: null, socketTimeout: REQUEST_COMMAND_MS_MAX },
};

export function redisOptions(url: string, role: RedisRole): RedisOptions {
  return {
    ...addressOf(url),
    ...OPTIONS_BY_ROLE[role],
    connectTimeout: CONNECT_MS_MAX,
    retryStrategy: (attempt) => Math.min(attempt * 50, RECONNECT_DELAY_MS_MAX),
  };
}

function addressOf(url: string): RedisOptions {
  if (url.startsWith("unix://")) return { path: url.slice("unix://".length) };
  const parsed = new URL(url);
  const database = parsed.pathname.slice(1);
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ""),
    port: parsed.port === "" ? 6379 : Number(parsed.port),
    ...(parsed.username === "" ? {} : { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password === "" ? {} : { password: decodeURIComponent(parsed.password) }),
    ...(database === "" ? {} : { db: Number(database) }),
    ...(parsed.protocol === "rediss:" ? { tls: {} } : {}),
  };
}

/** Connects in the background; the first lost connection of a row is logged, and its return. */
export function createRedis({ url, role, logger }: { url: string; role: RedisRole; logger: Logger }): Redis {
  const redis = new Redis({ ...redisOptions(url, role), replyMapping: "legacy" });
  let isAway = false;
  redis.on("error", (error: Error) => {
    if (!isAway) logger.warn({ err: error, role }, "lost Redis, reconnecting");
    isAway = true;
  });
  redis.on("ready", () => {
    if (isAway) logger.info({ role }, "Redis is back");
    isAway = false;
  });
  return redis;
}

const AWAY =
  /Connection is closed|isn't writeable|Command timed out|max retries per request|ECONNREFUSED|ENOENT|LOADING/i;

/** Whether an error of a `request` connection means that Redis can't be reached now, and nothing else. */
export function isRedisAway(error: unknown): boolean {
  return error instanceof Error && (error.name === "MaxRetriesPerRequestError" || AWAY.test(error.message));
}

/** Resolves when the connection is ready, or rejects after `timeoutMs` with a message that says what to do. */
export async function waitUntilReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === "ready") return;
  let timer: NodeJS.Timeout | undefined;
  const ready = new Promise<void>((resolve) => void redis.once("ready", () => resolve()));
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new Error(`Redis did not answer within ${timeoutMs} ms: is it running, and is redis.url right?`),
        ),
      timeoutMs,
    );
  });
  await Promise.race([ready, late]).finally(() => clearTimeout(timer));
}

/** Lets commands in flight finish, then closes; a connection that is away is simply dropped. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === "ready") await redis.quit().catch(() => redis.disconnect());
  else redis.disconnect();
}
