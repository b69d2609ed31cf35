// Entries on disk until Redis takes them: an append-only row of segment files in one folder, bounded in bytes. Enters:
// entries to keep, and segments that are done. Leaves: "kept" only after the disk has them (fsync), one fsync for all that
// waited meanwhile. Its owner alone writes in the folder (spool-folder.ts).
//
// After a failed write or fsync nothing is known of the file's pages: Linux may call them clean, and a second fsync would
// say that all is well. So it is never asked again. What that fsync was for is not acknowledged, the file ends where the
// last good one left it, and the next entries go to a new file.
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { EncodedEntry } from "../stream-writer.ts";
import { openShelf } from "./shelf.ts";
import type { SpoolSegment } from "./shelf.ts";
import { diskFiles } from "./spool-files.ts";
import type { SpoolFiles } from "./spool-files.ts";
import { SEGMENT_HEADER_BYTES, decodeSegment, encodeRecord } from "./spool-record.ts";
import type { SegmentRead } from "./spool-record.ts";

/** What may wait for the disk, in bytes; one request's entries may be larger, and then wait alone. */
export const WAITING_BYTES_MAX = 32 * 1024 ** 2;
/** After the disk refused it is left alone for so long, in milliseconds. */
export const DISK_PAUSE_MS = 1_000;

export type KeepResult =
  | { readonly kind: "kept" }
  /** No more fits into the bound. */
  | { readonly kind: "full" }
  /** The disk does not take it: no space, an error, a limit of the process. */
  | { readonly kind: "failed"; readonly cause: Error };

export interface Spool {
  /** All of them or none. Never rejects. */
  keep(entries: readonly EncodedEntry[]): Promise<KeepResult>;
  /** The segment to drain next; nothing is added to it any more. */
  oldest(): Promise<SpoolSegment | undefined>;
  /** Rejects when it can't be read. */
  read(segment: SpoolSegment): Promise<SegmentRead>;
  /** Done with: Redis has what was in it. */
  remove(segment: SpoolSegment): Promise<void>;
  /** Can't be drained: it stays on disk for a person to look at, and counts towards the bound. */
  putAside(segment: SpoolSegment): Promise<void>;
  state(): SpoolState;
  /** What waits is kept; called when nobody keeps any more. */
  close(): Promise<void>;
}

export interface SpoolState {
  readonly bytes: number;
  readonly isEmpty: boolean;
  /** About when the oldest reports that wait were taken in, epoch milliseconds. */
  readonly oldestAtMs: number | undefined;
}

export interface SpoolOptions {
  /** Absolute; it is there, and nobody else writes in it. */
  readonly folder: string;
  readonly bytesMax: number;
  readonly shards: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly files?: SpoolFiles;
}

interface Waiting {
  readonly records: readonly Buffer[];
  readonly resolve: (result: KeepResult) => void;
}

/** Takes over what the folder holds. Rejects when it can't be read. */
export async function openSpool({ files = diskFiles, bytesMax, ...options }: SpoolOptions): Promise<Spool> {
  const { folder, logger } = options;
  const shelf = await openShelf({ ...options, files });
  const disk = createDiskWatch({ folder, logger });
  /** Bytes that have a promise of room and stand in no file yet. */
  let reserved = 0;
  let isCloseWanted = false;

  async function commit(records: Buffer): Promise<KeepResult> {
    let unplaced = records.length;
    const place = (): void => {
      reserved -= unplaced;
      unplaced = 0;
    };
    try {
      await shelf.write(records, place);
      if (isCloseWanted) await shelf.closeActive();
      isCloseWanted = false;
      disk.noteGood();
      return { kind: "kept" };
    } catch (error) {
      place();
      await shelf.abandonActive();
      return disk.noteBad(error as Error);
    }
  }

  const group = createGroupCommit(commit);
  const fits = (bytes: number): boolean =>
    // What is written now and what waits may each begin a segment.
    shelf.bytes() + reserved + bytes + 2 * SEGMENT_HEADER_BYTES <= bytesMax &&
    (reserved === 0 || reserved + bytes <= WAITING_BYTES_MAX);

  return {
    keep(entries) {
      const refusal = disk.refusal();
      if (refusal !== undefined) return Promise.resolve(refusal);
      const records = entries.map(encodeRecord);
      const bytes = records.reduce((sum, { length }) => sum + length, 0);
      if (!fits(bytes)) return Promise.resolve({ kind: "full" });
      reserved += bytes;
      return group.commit(records);
    },
    async oldest() {
      const closed = shelf.oldestClosed();
      if (closed !== undefined) return closed;
      const committing = group.underWay();
      isCloseWanted = committing !== undefined;
      await (committing ?? shelf.closeActive());
      return shelf.oldestClosed();
    },
    read: async (segment) => decodeSegment(await files.read(segment.path)),
    remove: (segment) => shelf.remove(segment),
    putAside: (segment) => shelf.putAside(segment),
    state: () => ({
      bytes: shelf.bytes(),
      isEmpty: shelf.isEmpty() && group.isIdle(),
      oldestAtMs: shelf.oldest()?.createdAtMs,
    }),
    async close() {
      await group.whenIdle();
      await shelf.closeActive();
    },
  };
}

interface GroupCommit {
  commit(records: readonly Buffer[]): Promise<KeepResult>;
  underWay(): Promise<KeepResult> | undefined;
  isIdle(): boolean;
  whenIdle(): Promise<void>;
}

/** What comes while one commit is under way goes together with the next. */
function createGroupCommit(commit: (records: Buffer) => Promise<KeepResult>): GroupCommit {
  let waiting: Waiting[] = [];
  let isWorking = false;
  let working: Promise<void> = Promise.resolve();
  let underWay: Promise<KeepResult> | undefined;
  const work = async (): Promise<void> => {
    isWorking = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      underWay = commit(Buffer.concat(batch.flatMap(({ records }) => records)));
      const result = await underWay;
      underWay = undefined;
      for (const { resolve } of batch) resolve(result);
    }
    // In the same turn as the look at what waits: who comes then starts anew.
    isWorking = false;
  };
  return {
    commit: (records) =>
      new Promise((resolve) => {
        waiting.push({ records, resolve });
        if (!isWorking) working = work();
      }),
    underWay: () => underWay,
    isIdle: () => !isWorking,
    whenIdle: () => working,
  };
}

interface DiskWatch {
  noteGood(): void;
  noteBad(cause: Error): KeepResult;
  /** While the disk is left alone. */
  refusal(): KeepResult | undefined;
}

/** A disk that refused is not asked with every request, and the log says it once. */
function createDiskWatch({ folder, logger }: Pick<SpoolOptions, "folder" | "logger">): DiskWatch {
  let bad: { readonly cause: Error; readonly atMs: number } | undefined;
  return {
    noteGood() {
      if (bad !== undefined) logger.info({ folder }, "the spool can be written again");
      bad = undefined;
    },
    noteBad(cause) {
      if (bad === undefined)
        logger.error({ err: cause, folder }, "the spool can't be written: look at the disk");
      bad = { cause, atMs: performance.now() };
      return { kind: "failed", cause };
    },
    refusal: () =>
      bad !== undefined && performance.now() - bad.atMs < DISK_PAUSE_MS
        ? { kind: "failed", cause: bad.cause }
        : undefined,
  };
}
