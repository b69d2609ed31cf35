// The BullMQ queues: their names, what a job of each carries, and how it is added. Deduplication ids make
// a job a wake-up call: while one waits a second is dropped, and while one runs exactly one more follows
// (`keepLastIfActive`), so no wake-up is lost and nothing runs twice at once for the same thing. No job has
// a delay: delays are kept by the time of day, and a clock that is set back would hold them up.
import { createHash } from "node:crypto";
import { Queue } from "bullmq";
import type { ConnectionOptions, JobsOptions } from "bullmq";
import type { AppId, ChannelKey } from "../../ingest/contract/release-key.ts";
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { Logger } from "../../runtime/logger.ts";
import { closeRedis, createRedis, redisOptions } from "../../runtime/redis.ts";
import type { RedisAddress } from "../../runtime/redis.ts";

/** Prefix of all BullMQ keys: one hash tag, as BullMQ needs on a Redis Cluster. */
export const QUEUE_PREFIX = "{lg:jobs}";
export const QUEUE_NAMES = ["fold", "evaluate", "rollback", "poll", "upkeep"] as const;
export type QueueName = (typeof QUEUE_NAMES)[number];

/** How often changed channels, held rollbacks and the outbox are looked through, in milliseconds. */
export const SWEEP_INTERVAL_MS = 5_000;

export interface FoldJob {
  readonly shard: number;
}
export type EvaluateJob = ChannelKey;
export interface RollbackJob {
  readonly decisionId: string;
}

export interface PollJob {
  readonly app: AppId;
}

export interface SummaryJob {
  /** `2026-01-31T08:00` */
  readonly minute: string;
}

export interface Queues {
  readonly all: Readonly<Record<QueueName, Queue>>;
  readonly fold: (shards: readonly number[]) => Promise<void>;
  evaluate(channels: readonly ChannelKey[]): Promise<void>;
  rollback(decisionIds: readonly string[]): Promise<void>;
  /** Reads what devices told the app's OTA server. */
  poll(apps: readonly AppId[]): Promise<void>;
  sweep(): Promise<void>;
  /** Named by the hour, or the day: any number of agents make one job of it. */
  rollUp(hour: string): Promise<void>;
  retention(day: string): Promise<void>;
  /** What people are told: pages, annotations, and the daily summary of this minute. */
  page(): Promise<void>;
  tell(): Promise<void>;
  summary(minute: string): Promise<void>;
  close(): Promise<void>;
}

/** What BullMQ is given to reach Redis: every queue and worker the same. */
export interface QueueConnection {
  readonly options: ConnectionOptions;
  /** After the queues and workers have closed. */
  close(): Promise<void>;
}

/**
 * For one server BullMQ makes connections of its own from options. It can't make those to a cluster: there it
 * shares one, and duplicates it for each worker that blocks.
 */
export function openQueueConnection(options: { redisUrl: RedisAddress; logger: Logger }): QueueConnection {
  const { redisUrl, logger } = options;
  if (typeof redisUrl === "string")
    return {
      options: redisOptions(redisUrl, "worker") as ConnectionOptions,
      close: () => Promise.resolve(),
    };
  const redis = createRedis({ url: redisUrl, role: "worker", logger });
  return { options: redis, close: () => closeRedis(redis) };
}

/** Of one process: the connection, and the queues over it. */
export function openQueues(options: { redisUrl: RedisAddress; logger: Logger }): {
  connection: QueueConnection;
  queues: Queues;
} {
  const connection = openQueueConnection(options);
  const onError = (err: Error): void => options.logger.warn({ err }, "a queue lost Redis, going on");
  return { connection, queues: createQueues({ connection, onError }) };
}

const TIDY: JobsOptions = { removeOnComplete: true, removeOnFail: { count: 100 } };

export function createQueues({
  connection,
  onError,
}: {
  connection: QueueConnection;
  onError: (error: Error) => void;
}): Queues {
  const makeQueue = (name: QueueName): Queue => {
    const queue = new Queue(name, { connection: connection.options, prefix: QUEUE_PREFIX });
    queue.on("error", onError);
    return queue;
  };
  const all: Record<QueueName, Queue> = {
    fold: makeQueue("fold"),
    evaluate: makeQueue("evaluate"),
    rollback: makeQueue("rollback"),
    poll: makeQueue("poll"),
    upkeep: makeQueue("upkeep"),
  };
  return {
    all,
    fold: (shards) =>
      addAll(
        all.fold,
        shards.map((shard) => ({ name: "fold", data: { shard }, opts: wakeUp(`fold-${shard}`) })),
      ),
    evaluate: (channels) =>
      addAll(
        all.evaluate,
        channels.map((channel) => ({
          name: "evaluate",
          data: { app: channel.app, channel: channel.channel },
          opts: wakeUp(`evaluate-${shortHash(formatChannelKey(channel))}`),
        })),
      ),
    // The decision is the job's id: a decision in the outbox has at most one job, waiting or running.
    rollback: (ids) =>
      addAll(
        all.rollback,
        ids.map((id) => ({
          name: "rollback",
          data: { decisionId: id },
          opts: { jobId: id, removeOnComplete: true, removeOnFail: true },
        })),
      ),
    poll: (apps) =>
      addAll(
        all.poll,
        apps.map((app) => ({ name: "poll", data: { app }, opts: wakeUp(`poll-${shortHash(app)}`) })),
      ),
    sweep: async () => void (await all.upkeep.add("sweep", {}, wakeUp("sweep"))),
    rollUp: async (hour) => void (await all.upkeep.add("roll-up", {}, { ...TIDY, jobId: `roll-up-${hour}` })),
    retention: async (day) =>
      void (await all.upkeep.add("retention", {}, { ...TIDY, jobId: `retention-${day}` })),
    page: async () => void (await all.upkeep.add("page", {}, wakeUp("page"))),
    tell: async () => void (await all.upkeep.add("tell", {}, wakeUp("tell"))),
    summary: async (minute) =>
      void (await all.upkeep.add(
        "summary",
        { minute },
        { ...TIDY, jobId: `summary-${minute.replaceAll(":", "")}` },
      )),
    close: async () => void (await Promise.all(Object.values(all).map((queue) => queue.close()))),
  };
}

function wakeUp(id: string): JobsOptions {
  return { ...TIDY, deduplication: { id, keepLastIfActive: true } };
}

async function addAll(
  queue: Queue,
  jobs: { name: string; data: object; opts: JobsOptions }[],
): Promise<void> {
  if (jobs.length > 0) await queue.addBulk(jobs);
}

/** BullMQ refuses `:` in ids, and app names may be long. */
function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 20);
}
