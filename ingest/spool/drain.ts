// Empties the spool into Redis, segment by segment, as soon as Redis takes entries again. Enters: a spool, and the way into
// the streams. Leaves: nothing; a segment is removed only when Redis (and its replicas) acknowledged all of it. Whoever is
// killed before that sends some of it twice, and counting the same report twice changes nothing (docs/counting.md).
//
// One small entry of each shard asks whether Redis takes any; then batches follow, each with a pause as long as it took: so
// live traffic has at least half of Redis. Of a cluster that lost one server the other shards go on: what is for the lost one
// is written once more, behind everything else.
//
// What nobody foresaw (a mistake of ours, say) ends a round and never the drain: it is logged and counted, and the segment is
// begun again, later each time.
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../../runtime/logger.ts";
import { byShard } from "../stream-writer.ts";
import type { AppendEntries, EncodedEntry } from "../stream-writer.ts";
import type { RedisLink } from "./redis-link.ts";
import type { SpoolSegment } from "./shelf.ts";
import type { Spool } from "./spool.ts";

/** Entries of one batch of a shard, and the bytes of their texts after which a batch ends. */
export const DRAIN_ENTRIES_MAX = 100;
const DRAIN_BYTES_MAX = 256 * 1024;
/** How often it is looked whether there is something to drain, and whether Redis takes it, in milliseconds. */
export const DRAIN_LOOK_MS = 500;
/** After a round that failed, in milliseconds: doubled with each that follows, up to the second. */
const DRAIN_RETRY_MS_LEAST = 500;
const DRAIN_RETRY_MS_MAX = 60_000;
/** Between two batches, in milliseconds, at least. */
const DRAIN_PAUSE_MS_LEAST = 2;

export interface Drain {
  start(): void;
  /** The batch under way is finished. */
  stop(): Promise<void>;
}

export interface DrainOptions {
  readonly spool: Spool;
  readonly shards: number;
  readonly append: AppendEntries;
  readonly link: RedisLink;
  readonly onDrained: (reports: number) => void;
  readonly onEmpty: () => void;
  readonly onDamaged: (records: number) => void;
  /** A round ended by an error that nobody foresaw. */
  readonly onFailed: () => void;
  readonly logger: Logger;
}

export function createDrain(options: DrainOptions): Drain {
  const { spool, link } = options;
  const stopping = new AbortController();
  const isStopping = (): boolean => stopping.signal.aborted;
  const pause = async (ms: number): Promise<void> => {
    await delay(ms, undefined, { signal: stopping.signal }).catch(() => {});
  };
  let running: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    const segment = spool.state().isEmpty ? undefined : await spool.oldest();
    if (segment === undefined) await pause(DRAIN_LOOK_MS);
    else await drainSegment(segment);
  }

  async function drainSegment(segment: SpoolSegment): Promise<void> {
    let rest = await readSegment(segment, options);
    if (rest === undefined) {
      await spool.putAside(segment);
      return;
    }
    for (;;) {
      rest = await byShards(rest, drainShard);
      if (rest.length === 0) break;
      if (isStopping()) return;
      await pause(DRAIN_LOOK_MS);
      if (link.isPartlyAway() && (await spool.keep(rest)).kind === "kept") break;
    }
    await spool.remove(segment);
    if (spool.state().isEmpty) options.onEmpty();
  }

  async function drainShard(
    shard: number,
    entries: readonly EncodedEntry[],
  ): Promise<readonly EncodedEntry[]> {
    let next = 0;
    while (next < entries.length && !isStopping()) {
      const batch = batchFrom(entries, next, link.isAway(shard) ? 1 : DRAIN_ENTRIES_MAX);
      const startedMs = performance.now();
      const outcome = await options.append(byShard(batch));
      link.note([shard], outcome);
      if (outcome.kind !== "appended") break;
      next += batch.length;
      options.onDrained(batch.reduce((sum, { reports }) => sum + reports, 0));
      await pause(Math.max(DRAIN_PAUSE_MS_LEAST, performance.now() - startedMs));
    }
    return entries.slice(next);
  }

  return {
    start() {
      running = inRounds(round, { isStopping, pause, ...options });
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Leaves: what Redis did not take. */
async function byShards(
  entries: readonly EncodedEntry[],
  drainShard: (shard: number, entries: readonly EncodedEntry[]) => Promise<readonly EncodedEntry[]>,
): Promise<readonly EncodedEntry[]> {
  const shards = [...new Set(entries.map(({ shard }) => shard))];
  // All of them end before an error is told: the next round must not meet one that is still on its way.
  const rests = await Promise.allSettled(
    shards.map((shard) =>
      drainShard(
        shard,
        entries.filter((entry) => entry.shard === shard),
      ),
    ),
  );
  return rests.flatMap((rest) => {
    if (rest.status === "rejected") throw rest.reason;
    return rest.value;
  });
}

/** One after the other until it stops, whatever becomes of them. */
async function inRounds(
  round: () => Promise<void>,
  {
    isStopping,
    pause,
    onFailed,
    logger,
  }: Pick<DrainOptions, "onFailed" | "logger"> & {
    readonly isStopping: () => boolean;
    readonly pause: (ms: number) => Promise<void>;
  },
): Promise<void> {
  let retryMs = DRAIN_RETRY_MS_LEAST;
  while (!isStopping()) {
    try {
      await round();
      retryMs = DRAIN_RETRY_MS_LEAST;
    } catch (error) {
      onFailed();
      logger.error(
        { err: error, retryMs },
        "draining the spool failed: its reports stay on disk, and are tried again",
      );
      await pause(retryMs);
      retryMs = Math.min(2 * retryMs, DRAIN_RETRY_MS_MAX);
    }
  }
}

/** Undefined = no entry of it can be told. */
async function readSegment(
  segment: SpoolSegment,
  { spool, shards, logger, onDamaged }: DrainOptions,
): Promise<readonly EncodedEntry[] | undefined> {
  const file = segment.path;
  try {
    const read = await spool.read(segment);
    if (read.kind === "unreadable") {
      logger.error(
        { file, why: read.reason },
        "a segment of the spool can't be read: it is put aside; keep it",
      );
      return undefined;
    }
    if (read.shards !== shards) {
      logger.error(
        { file, shards: read.shards, configured: shards },
        "a segment of the spool was written with another number of shards: it is put aside",
      );
      return undefined;
    }
    if (read.tornBytes > 0)
      logger.warn(
        { file, bytes: read.tornBytes },
        "the end of a segment was never written: nobody was told that it was kept",
      );
    if (read.damaged > 0) {
      onDamaged(read.damaged);
      logger.error(
        { file, records: read.damaged },
        "records of the spool are damaged: the reports in them are lost",
      );
    }
    return read.entries;
  } catch (error) {
    logger.error(
      { err: error, file },
      "a segment of the spool can't be read: it is put aside; look at the disk",
    );
    return undefined;
  }
}

function batchFrom(
  entries: readonly EncodedEntry[],
  start: number,
  entriesMax: number,
): readonly EncodedEntry[] {
  let end = start;
  let bytes = 0;
  while (end < entries.length && end - start < entriesMax && bytes < DRAIN_BYTES_MAX) {
    bytes += entries[end]!.fields.reduce((sum, { length }) => sum + length, 0);
    end += 1;
  }
  return entries.slice(start, end);
}
