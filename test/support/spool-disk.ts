// A disk in memory for tests of the spool: it can be made to fail at a write, an fsync or a new file, and it loses what was not
// fsynced when the power goes. Leaves: SpoolFiles, what is on the disk, and the faults.
import path from "node:path";
import type { SpoolFiles } from "../../ingest/spool/spool-files.ts";

export type DiskStep = "create" | "write" | "sync" | "truncate" | "syncFolder" | "remove";

export interface SpoolDisk {
  readonly files: SpoolFiles;
  /** The next `times` steps of the kind fail with the code; a write leaves half of its bytes. */
  fail(step: DiskStep, code: string, times?: number): void;
  /** What is left of each file when the power goes now: nothing that no fsync was for. */
  powerLoss(): SpoolDisk;
  names(): readonly string[];
  bytes(): number;
  /** How often each step was done. */
  count(step: DiskStep): number;
  /** Paths in the order of fsyncs. */
  readonly synced: readonly string[];
}

interface DiskFile {
  content: Buffer;
  /** What a loss of power leaves. */
  durable: Buffer;
  isNameDurable: boolean;
}

export function createSpoolDisk(start: ReadonlyMap<string, Buffer> = new Map()): SpoolDisk {
  const disk = new Map<string, DiskFile>(
    [...start].map(([name, content]) => [name, { content, durable: content, isNameDurable: true }]),
  );
  const faults = new Map<DiskStep, { code: string; times: number }>();
  const counts = new Map<DiskStep, number>();
  const synced: string[] = [];
  const step = (kind: DiskStep): void => {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const fault = faults.get(kind);
    if (fault === undefined || fault.times === 0) return;
    fault.times -= 1;
    throw Object.assign(new Error(`${fault.code}: injected`), { code: fault.code });
  };
  const fileAt = (at: string): DiskFile => {
    const file = disk.get(at);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: ${at}`), { code: "ENOENT" });
    return file;
  };
  const files: SpoolFiles = {
    async create(at) {
      step("create");
      const file: DiskFile = { content: Buffer.alloc(0), durable: Buffer.alloc(0), isNameDurable: false };
      disk.set(at, file);
      return {
        async write(bytes) {
          await Promise.resolve();
          try {
            step("write");
          } catch (error) {
            file.content = Buffer.concat([file.content, bytes.subarray(0, bytes.length >> 1)]);
            throw error;
          }
          file.content = Buffer.concat([file.content, bytes]);
        },
        async sync() {
          await Promise.resolve();
          step("sync");
          file.durable = file.content;
          synced.push(at);
        },
        async truncate(bytes) {
          step("truncate");
          file.content = file.content.subarray(0, bytes);
        },
        close: () => Promise.resolve(),
      };
    },
    read: async (at) => Buffer.from(fileAt(at).content),
    readStart: async (at, bytes) => fileAt(at).content.subarray(0, bytes),
    sizeOf: async (at) => fileAt(at).content.length,
    list: async (folder) =>
      [...disk.keys()].filter((at) => path.dirname(at) === folder).map((at) => path.basename(at)),
    async rename(from, to) {
      disk.set(to, fileAt(from));
      disk.delete(from);
    },
    async remove(at) {
      step("remove");
      disk.delete(at);
    },
    async syncFolder() {
      step("syncFolder");
      for (const file of disk.values()) file.isNameDurable = true;
    },
  };
  return {
    files,
    fail: (kind, code, times = 1) => void faults.set(kind, { code, times }),
    powerLoss: () =>
      createSpoolDisk(
        new Map([...disk].flatMap(([at, file]) => (file.isNameDurable ? [[at, file.durable] as const] : []))),
      ),
    names: () => [...disk.keys()].map((at) => path.basename(at)).toSorted(),
    bytes: () => [...disk.values()].reduce((sum, { content }) => sum + content.length, 0),
    count: (kind) => counts.get(kind) ?? 0,
    synced,
  };
}
