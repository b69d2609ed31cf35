// Connections to Redis, one way of making each kind, for a single server or a Redis Cluster. Enters: where
// Redis is and what the connection is for. Leaves: a connection that the rest of the code uses without
// asking which of the two it is.
import { Cluster, Redis as SingleRedis } from "ioredis";
import type { ClusterOptions, DNSLookupFunction, RedisOptions } from "ioredis";
import type { Logger } from "./logger.ts";

/** A connection to one server. */
export type RedisServer = SingleRedis;
/** A connection to one server or to a cluster. Commands, scripts and pipelines must keep to one slot. */
export type Redis = RedisServer | Cluster;
/**
 * `redis://…`, `rediss://…` or `unix:///path` of one server; or a list with the addresses of some servers of
 * a cluster, which the others are found through.
 */
export type RedisAddress = string | readonly string[];

/**
 * - `request`: answers somebody who waits: fails fast when Redis is away.
 * - `worker`: background work: waits for Redis to come back, for as long as it takes (BullMQ needs this).
 * - `blocking`: a connection of its own for blocking reads.
 */
export type RedisRole = "request" | "worker" | "blocking";

/** How long one command of a `request` connection may take before it fails, in milliseconds. */
export const REQUEST_COMMAND_MS_MAX = 5_000;
const CONNECT_MS_MAX = 5_000;
const CLOSE_MS_MAX = 2_000;
const RECONNECT_DELAY_MS_MAX = 1_000;
/** The slot map of a cluster is read again this often, and at once when a server answers MOVED. */
const SLOTS_REFRESH_INTERVAL_MS = 5_000;
const SLOTS_REFRESH_MS_MAX = 1_000;
/** Pause before a command is sent again while the cluster replaces a primary, in milliseconds. */
const FAILOVER_RETRY_MS = 100;
/** After a `request` connection has lost a server it asks this often who stands in for it, in milliseconds. */
const FAILOVER_LOOK_MS = 200;
/** Redirections of a `request`: a slot that has moved is one, one that is just moving another. */
const REQUEST_REDIRECTIONS_MAX = 4;
/**
 * Longer than BullMQ's longest blocking read (10 s): a server that has been silent for so long with a command
 * open is gone without having closed its connections, in milliseconds.
 */
export const SILENT_MS_MAX = 15_000;

const OPTIONS_BY_ROLE: Record<RedisRole, RedisOptions> = {
  request: {
    maxRetriesPerRequest: 0,
    commandTimeout: REQUEST_COMMAND_MS_MAX,
    socketTimeout: REQUEST_COMMAND_MS_MAX,
  },
  worker: { maxRetriesPerRequest: null, socketTimeout: SILENT_MS_MAX },
  blocking: { maxRetriesPerRequest: null, socketTimeout: REQUEST_COMMAND_MS_MAX },
};

const SINGLE_OPTIONS_BY_ROLE: Record<RedisRole, RedisOptions> = {
  request: { enableOfflineQueue: false, enableAutoPipelining: true },
  worker: {},
  blocking: {},
};

// No automatic pipelines: commands of several slots in one would come back with MOVED, not go on to where they belong.
const WAITING: ClusterOptions = {
  maxRedirections: Number.POSITIVE_INFINITY,
  retryDelayOnFailover: FAILOVER_RETRY_MS,
  retryDelayOnClusterDown: FAILOVER_RETRY_MS,
};
const CLUSTER_OPTIONS_BY_ROLE: Record<RedisRole, ClusterOptions> = {
  request: {
    enableOfflineQueue: false,
    maxRedirections: REQUEST_REDIRECTIONS_MAX,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
  },
  worker: WAITING,
  blocking: WAITING,
};

/** For a single server. */
export function redisOptions(url: string, role: RedisRole): RedisOptions {
  return {
    ...addressOf(url),
    ...OPTIONS_BY_ROLE[role],
    ...SINGLE_OPTIONS_BY_ROLE[role],
    connectTimeout: CONNECT_MS_MAX,
    retryStrategy: reconnectDelayMs,
    // Behind one name another server may stand after a failover: go there, and send the command again if it may wait.
    reconnectOnError: (error) => (!error.message.startsWith("READONLY") ? false : role === "request" ? 1 : 2),
  };
}

function clusterOptions(urls: readonly string[], role: RedisRole) {
  const { host: _host, port: _port, ...credentials } = addressOf(urls[0]!);
  return {
    ...CLUSTER_OPTIONS_BY_ROLE[role],
    // With it a connect() during a failover never settles, and a BullMQ worker waits for it for ever.
    // Without it commands meet CLUSTERDOWN, and do what their role does then.
    enableReadyCheck: false,
    clusterRetryStrategy: reconnectDelayMs,
    slotsRefreshInterval: SLOTS_REFRESH_INTERVAL_MS,
    slotsRefreshTimeout: SLOTS_REFRESH_MS_MAX,
    ...(credentials.tls === undefined ? {} : { dnsLookup: keepName }),
    redisOptions: {
      ...credentials,
      ...OPTIONS_BY_ROLE[role],
      connectTimeout: CONNECT_MS_MAX,
      replyMapping: "legacy" as const,
    },
  };
}

/** A certificate is for the name; an address in its place would not match it. */
const keepName: DNSLookupFunction = (name, found) => found(null, name);

function reconnectDelayMs(attempt: number): number {
  return Math.min(attempt * 50, RECONNECT_DELAY_MS_MAX);
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

export interface CreateRedisOptions {
  readonly url: RedisAddress;
  readonly role: RedisRole;
  readonly logger: Logger;
}

/** Connects in the background; the first lost connection of a row is logged, and its return. */
export function createRedis({ url, role, logger }: CreateRedisOptions): Redis {
  const redis =
    typeof url === "string"
      ? new SingleRedis({ ...redisOptions(url, role), replyMapping: "legacy" })
      : new Cluster(url.map(startNode), clusterOptions(url, role));
  let isAway = false;
  redis.on("error", (error: Error) => {
    if (!isAway) logger.warn({ err: error, role }, "lost Redis, reconnecting");
    isAway = true;
  });
  redis.on("ready", () => {
    if (isAway) logger.info({ role }, "Redis is back");
    isAway = false;
  });
  if (redis instanceof Cluster) followServers(redis, role, logger);
  return redis;
}

function startNode(url: string): { host: string; port: number } {
  const { host, port } = addressOf(url);
  return { host: host!, port: port! };
}

/** Each server of a cluster comes and goes by itself: said once when it goes, and once when it is back. */
function followServers(cluster: Cluster, role: RedisRole, logger: Logger): void {
  const away = new Set<string>();
  cluster.on("node error", (error: Error, server: string) => {
    if (!away.has(server)) logger.warn({ err: error, role, server }, "lost a server of the Redis Cluster");
    away.add(server);
  });
  cluster.on("+node", (node: RedisServer) => {
    const server = serverName(node);
    node.on("ready", () => {
      if (away.delete(server)) logger.info({ role, server }, "a server of the Redis Cluster is back");
    });
    // Who fails fast must not begin to connect when a command is there already: replicas too, they may take over.
    if (role === "request") node.connect().catch(() => {});
  });
  // The other roles ask anew when they send a command again. Ends by itself: a dead server leaves the slot map.
  cluster.on("-node", () => {
    if (role !== "request") return;
    setTimeout(() => {
      if (cluster.status === "ready") cluster.refreshSlotsCache(() => {});
    }, FAILOVER_LOOK_MS).unref();
  });
}

/** `host:port`, or the path of a socket. */
export function serverName({ options }: RedisServer): string {
  return options.path ?? `${options.host}:${options.port}`;
}

const AWAY =
  /Connection is closed|isn't writeable|Command timed out|max retries per request|ECONNREFUSED|ENOENT|LOADING|CLUSTERDOWN|MASTERDOWN|READONLY|MOVED \d|slots cache|Cluster (isn't ready|is ended)|Cluster redirections|startup nodes/i;

/** Whether an error of a `request` connection means that Redis can't be reached now, and nothing else. */
export function isRedisAway(error: unknown): boolean {
  return error instanceof Error && (error.name === "MaxRetriesPerRequestError" || AWAY.test(error.message));
}

/** Resolves when the connection is ready, or rejects after `timeoutMs` with a message that says what to do. */
export async function waitUntilReady(redis: Redis, timeoutMs: number): Promise<void> {
  const late = `Redis did not answer within ${timeoutMs} ms: is it running, and is redis.url (or redis.cluster) right?`;
  await within(timeoutMs, untilReady(redis), () => Promise.reject(new Error(late)));
}

async function untilReady(redis: Redis): Promise<void> {
  if (redis.status !== "ready")
    await new Promise<void>((resolve) => void redis.once("ready", () => resolve()));
  if (!(redis instanceof Cluster)) return;
  // The first to be asked stands for the cluster; a primary that is away is for the checks of the start.
  await Promise.all(redis.nodes("master").map((node) => node.ping().catch(() => {})));
}

/** Lets commands in flight finish, then closes; a connection that is away is simply dropped. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status !== "ready") return redis.disconnect();
  const dropped = (): void => redis.disconnect();
  await within(
    CLOSE_MS_MAX,
    redis.quit().then(() => {}, dropped),
    dropped,
  );
}

async function within<T>(ms: number, promise: Promise<T>, otherwise: () => T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  const first = await Promise.race([promise.then((value) => ({ value })), late]).finally(() =>
    clearTimeout(timer),
  );
  return first === "late" ? otherwise() : first.value;
}
