// The disk, as far as the spool needs it; tests put a disk in its place that is full or broken. Enters: paths and bytes.
// Leaves: the same, on disk. Everything rejects with the system's own error.
import { open, readFile, readdir, rename, rm, stat } from "node:fs/promises";

export interface SpoolFile {
  /** At its end. After a rejection any part of it may be there. */
  write(bytes: Buffer): Promise<void>;
  /** Resolves when all of it is on disk. */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface SpoolFiles {
  /** A file that was not there before. */
  create(path: string): Promise<SpoolFile>;
  read(path: string): Promise<Buffer>;
  readStart(path: string, bytes: number): Promise<Buffer>;
  sizeOf(path: string): Promise<number>;
  list(folder: string): Promise<readonly string[]>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** So that a file which was just made is still there after a loss of power. */
  syncFolder(folder: string): Promise<void>;
}

export const diskFiles: SpoolFiles = {
  async create(path) {
    const file = await open(path, "ax", 0o600);
    return {
      write: (bytes) => file.writeFile(bytes),
      sync: () => file.datasync(),
      truncate: (bytes) => file.truncate(bytes),
      close: () => file.close(),
    };
  },
  read: (path) => readFile(path),
  async readStart(path, bytes) {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  },
  sizeOf: async (path) => (await stat(path)).size,
  list: (folder) => readdir(folder),
  rename: (from, to) => rename(from, to),
  remove: (path) => rm(path, { force: true }),
  async syncFolder(folder) {
    const file = await open(folder, "r");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  },
};
