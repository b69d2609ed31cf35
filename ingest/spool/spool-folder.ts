// A folder of the spool for this process alone. Enters: the spool's folder, which all ingest processes of a machine share.
// Leaves: a sub-folder that is locked for this process, holding what dead processes have left in theirs as well.
//
// The lock names a process of this machine. So two machines, or two containers, must not share one spool folder: each of
// them would take the other's process for a dead one.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { takeLock } from "../../runtime/pid-file.ts";
import { diskFiles } from "./spool-files.ts";
import { isAside, segmentName, segmentNumber } from "./shelf.ts";

/** Ingest processes on one machine that may spool at the same time. */
export const SPOOL_FOLDERS_MAX = 64;

export interface SpoolFolder {
  readonly folder: string;
  release(): void;
}

/** Part of the command line of a process that may hold a lock here. */
const PROGRAM = "ingest";
/** A process finds its own id in the locks that it holds: it has to know which are its own. */
const heldHere = new Set<string>();

/** Rejects when the folder can't be written. */
export async function takeSpoolFolder(dir: string): Promise<SpoolFolder> {
  const folders = Array.from({ length: SPOOL_FOLDERS_MAX }, (_, number) => path.join(dir, String(number)));
  const own = firstFree(folders);
  if (own === undefined)
    throw new Error(
      `${SPOOL_FOLDERS_MAX} processes spool to ${dir} already: give this one another ingest.spool.dir`,
    );
  try {
    await adoptOthers(dir, own.folder);
  } catch (error) {
    own.release();
    throw error;
  }
  return own;
}

function firstFree(folders: readonly string[]): SpoolFolder | undefined {
  for (const folder of folders) {
    const taken = tryTake(folder);
    if (taken !== undefined) return taken;
  }
  return undefined;
}

function tryTake(folder: string): SpoolFolder | undefined {
  if (heldHere.has(folder)) return undefined;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = takeLock({ file: path.join(folder, "lock"), program: PROGRAM });
  if (lock.kind === "held") return undefined;
  heldHere.add(folder);
  return {
    folder,
    release() {
      heldHere.delete(folder);
      lock.release();
    },
  };
}

/** Moves what nobody owns into `own`, behind what is there. A crash in between leaves each segment in one of the two. */
async function adoptOthers(dir: string, own: string): Promise<void> {
  const numbers = (await diskFiles.list(own)).map((name) => segmentNumber(name) ?? 0);
  let nextNumber = Math.max(0, ...numbers) + 1;
  for (const name of (await diskFiles.list(dir)).toSorted()) {
    const other = path.join(dir, name);
    if (other === own || !/^\d+$/.test(name)) continue;
    const taken = tryTake(other);
    if (taken === undefined) continue;
    try {
      for (const segment of (await diskFiles.list(other)).toSorted()) {
        if (segmentNumber(segment) === undefined || isAside(segment)) continue;
        await diskFiles.rename(path.join(other, segment), path.join(own, segmentName(nextNumber)));
        nextNumber += 1;
      }
    } finally {
      taken.release();
    }
  }
  await diskFiles.syncFolder(own);
}
