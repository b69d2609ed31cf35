// The segment files of one folder: which there are, which of them is written, and how many bytes they take together. Enters:
// bytes to write, segments that are done. Leaves: files. It does one thing after the other: its owner (spool.ts) sees to that.
import path from "node:path";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { SpoolFile, SpoolFiles } from "./spool-files.ts";
import { SEGMENT_HEADER_BYTES, decodeHeader, encodeHeader } from "./spool-record.ts";

/** A segment that has reached this is closed, in bytes: it is read as a whole when it is drained. */
export const SEGMENT_BYTES_MAX = 8 * 1024 ** 2;

export interface SpoolSegment {
  readonly path: string;
  readonly createdAtMs: number;
}

export interface Shelf {
  /** Of all files, in bytes. */
  bytes(): number;
  oldest(): SpoolSegment | undefined;
  isEmpty(): boolean;
  /** Into the file that is written, which is begun if there is none; `onPlaced` when they stand in `bytes`. */
  write(records: Buffer, onPlaced: () => void): Promise<void>;
  /** The next write begins a new file. */
  closeActive(): Promise<void>;
  /** After a failed write or fsync: the file ends where the last good one left it, and nobody writes to it any more. */
  abandonActive(): Promise<void>;
  oldestClosed(): SpoolSegment | undefined;
  remove(segment: SpoolSegment): Promise<void>;
  putAside(segment: SpoolSegment): Promise<void>;
}

export interface ShelfOptions {
  readonly folder: string;
  readonly shards: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly files: SpoolFiles;
}

const ASIDE = ".aside";
const SEGMENT_NAME = /^(\d{12})\.spool(\.aside)?$/;

export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.spool`;
}

/** Also of one that was put aside: its number is taken. */
export function segmentNumber(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function isAside(name: string): boolean {
  return name.endsWith(ASIDE);
}

interface HeldSegment extends SpoolSegment {
  /** Of the file, header and all; while it is written, with what is under way. */
  bytes: number;
}

interface OpenSegment extends HeldSegment {
  readonly file: SpoolFile;
  /** Bytes that the disk surely has. */
  synced: number;
}

/** Takes over what the folder holds. Rejects when it can't be read. */
export async function openShelf(options: ShelfOptions): Promise<Shelf> {
  const { folder, logger, files } = options;
  const found = await findSegments(options);
  const closed: HeldSegment[] = [...found.segments];
  const writing = createWriting(options, {
    bytes: found.bytes,
    nextNumber: found.nextNumber,
    onClosed: (segment) => void closed.push(segment),
  });
  const takeOut = (segment: SpoolSegment): HeldSegment | undefined => {
    const index = closed.findIndex((held) => held.path === segment.path);
    return index === -1 ? undefined : closed.splice(index, 1)[0];
  };
  if (closed.length > 0)
    logger.warn(
      { folder, bytes: found.bytes },
      "the spool holds reports of an earlier run: Redis gets them now",
    );
  return {
    bytes: writing.bytes,
    write: writing.write,
    closeActive: writing.closeActive,
    abandonActive: writing.abandonActive,
    oldest: () => closed[0] ?? writing.active(),
    isEmpty: () => closed.length === 0 && writing.active() === undefined,
    oldestClosed: () => closed[0],
    async remove(segment) {
      const held = takeOut(segment);
      try {
        await files.remove(segment.path);
        if (held !== undefined) writing.resize(held, 0);
      } catch (error) {
        logger.warn({ err: error, file: segment.path }, "a drained segment of the spool can't be removed");
      }
    },
    async putAside(segment) {
      takeOut(segment);
      await files.rename(segment.path, segment.path + ASIDE).catch(() => {});
    },
  };
}

interface Writing extends Pick<Shelf, "bytes" | "write" | "closeActive" | "abandonActive"> {
  active(): SpoolSegment | undefined;
  resize(segment: HeldSegment, bytes: number): void;
}

function createWriting(
  { folder, shards, clock, files }: ShelfOptions,
  start: {
    readonly bytes: number;
    readonly nextNumber: number;
    readonly onClosed: (segment: HeldSegment) => void;
  },
): Writing {
  let { bytes, nextNumber } = start;
  let active: OpenSegment | undefined;

  const resize = (segment: HeldSegment, to: number): void => {
    bytes += to - segment.bytes;
    segment.bytes = to;
  };

  async function begin(): Promise<OpenSegment> {
    const createdAtMs = clock();
    const file = path.join(folder, segmentName(nextNumber));
    nextNumber += 1;
    const header = encodeHeader({ shards, createdAtMs });
    active = { path: file, createdAtMs, bytes: 0, synced: 0, file: await files.create(file) };
    resize(active, header.length);
    await active.file.write(header);
    await active.file.sync();
    await files.syncFolder(folder);
    active.synced = header.length;
    return active;
  }

  async function close(segment: OpenSegment, isKept: boolean): Promise<void> {
    active = undefined;
    const { path: file, createdAtMs } = segment;
    if (isKept) start.onClosed({ path: file, createdAtMs, bytes: segment.bytes });
    await segment.file.close().catch(() => {});
  }

  return {
    bytes: () => bytes,
    active: () => active,
    resize,
    async write(records, onPlaced) {
      const segment = active ?? (await begin());
      resize(segment, segment.bytes + records.length);
      onPlaced();
      await segment.file.write(records);
      await segment.file.sync();
      segment.synced = segment.bytes;
      if (segment.bytes >= SEGMENT_BYTES_MAX) await close(segment, true);
    },
    async closeActive() {
      if (active !== undefined) await close(active, true);
    },
    async abandonActive() {
      const segment = active;
      if (segment === undefined) return;
      const isKept = segment.synced > SEGMENT_HEADER_BYTES;
      try {
        await (isKept ? segment.file.truncate(segment.synced) : files.remove(segment.path));
        resize(segment, isKept ? segment.synced : 0);
      } catch {
        // What could not be cut off goes on counting; it is read as far as it is whole.
      }
      await close(segment, isKept);
    },
  };
}

interface FoundSegments {
  readonly segments: readonly HeldSegment[];
  readonly bytes: number;
  readonly nextNumber: number;
}

/** What an earlier process has left. What was put aside is not drained, but counts. */
async function findSegments({ folder, files }: ShelfOptions): Promise<FoundSegments> {
  const segments: HeldSegment[] = [];
  let bytes = 0;
  let nextNumber = 1;
  for (const name of (await files.list(folder)).toSorted()) {
    const number = segmentNumber(name);
    if (number === undefined) continue;
    nextNumber = Math.max(nextNumber, number + 1);
    const file = path.join(folder, name);
    const header = decodeHeader(await files.readStart(file, SEGMENT_HEADER_BYTES));
    if (header.kind === "torn") {
      await files.remove(file);
      continue;
    }
    const size = await files.sizeOf(file);
    bytes += size;
    // One that can't be read is drained like any other: then somebody is told what is wrong with it.
    const createdAtMs = header.kind === "header" ? header.createdAtMs : 0;
    if (!isAside(name)) segments.push({ path: file, createdAtMs, bytes: size });
  }
  return { segments, bytes, nextNumber };
}
