// Hears that reports wait in a shard's stream, and wakes its folding. Folding trims what it has folded, so
// a stream with entries is a stream with work: while any has some they are looked at every few
// milliseconds, and while none has, one blocking read sleeps in Redis. Idle costs nothing. On a cluster no
// read can block on streams of several slots: there an idle look is a few XLEN, four times a second.
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { sleep } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { isCluster } from "../../runtime/redis-servers.ts";
import type { Redis } from "../../runtime/redis.ts";

/** Pause between two looks while there is work, in milliseconds. */
export const LOOK_INTERVAL_MS = 50;
/** Pause between two looks of an idle agent on a cluster, in milliseconds. */
export const IDLE_LOOK_INTERVAL_MS = 250;
/** Longest blocking read, in milliseconds: bounds how long stopping takes. */
const BLOCK_MS = 1_000;
const RETRY_MS = 500;

export interface Doorbell {
  start(): void;
  stop(): Promise<void>;
}

export interface DoorbellOptions {
  /** A connection of its own: it blocks. */
  readonly redis: Redis;
  readonly shards: number;
  readonly onRing: (shards: readonly number[]) => Promise<void>;
  readonly logger: Logger;
}

export function createDoorbell({ redis, shards, onRing, logger }: DoorbellOptions): Doorbell {
  const streams = Array.from({ length: shards }, (_, shard) => reportStream(shard));
  let stopping = false;
  const isStopping = (): boolean => stopping;
  let loop: Promise<void> = Promise.resolve();

  const listen = async (): Promise<void> => {
    while (!isStopping()) {
      try {
        const waiting = await findWaiting(redis, streams);
        if (waiting.length === 0) {
          await untilAnyMayWait(redis, streams);
        } else {
          await onRing(waiting);
          await sleep(LOOK_INTERVAL_MS);
        }
      } catch (error) {
        if (isStopping()) return;
        logger.warn({ err: error }, "could not look for waiting reports, trying again");
        await sleep(RETRY_MS);
      }
    }
  };
  return {
    start() {
      loop = listen();
    },
    async stop() {
      stopping = true;
      // A blocking read, or a Redis that is away, must not hold up the stop.
      redis.disconnect();
      await loop;
    },
  };
}

async function untilAnyMayWait(redis: Redis, streams: readonly string[]): Promise<void> {
  if (isCluster(redis)) await sleep(IDLE_LOOK_INTERVAL_MS);
  else await redis.xread("COUNT", 1, "BLOCK", BLOCK_MS, "STREAMS", ...streams, ...streams.map(() => "0"));
}

async function findWaiting(redis: Redis, streams: readonly string[]): Promise<number[]> {
  const lengths = await Promise.all(streams.map((stream) => redis.xlen(stream)));
  return lengths.flatMap((length, shard) => (length > 0 ? [shard] : []));
}
