// A log file that can't grow without end: at a size it is renamed to `<file>.1` (replacing the one before)
// and a new one is begun. Written synchronously, so that the last lines before a crash are there.
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import path from "node:path";

/** Size at which a log file is turned over, in bytes; twice this is what one log may take on the disk. */
export const LOG_FILE_BYTES_MAX = 10 * 1024 ** 2;

export interface LogFile {
  /** The line break is added here. */
  writeLine(line: string): void;
  close(): void;
}

export function openLogFile(file: string, bytesMax = LOG_FILE_BYTES_MAX): LogFile {
  mkdirSync(path.dirname(file), { recursive: true });
  let size = rotateWhenLarge(file, bytesMax);
  let descriptor = openSync(file, "a", 0o600);
  return {
    writeLine: (line) => {
      if (size >= bytesMax) {
        closeSync(descriptor);
        size = rotateWhenLarge(file, bytesMax);
        descriptor = openSync(file, "a", 0o600);
      }
      size += writeSync(descriptor, `${line}\n`);
    },
    close: () => closeSync(descriptor),
  };
}

/** Leaves the size that the file has afterwards, in bytes. */
export function rotateWhenLarge(file: string, bytesMax: number): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size < bytesMax) return size;
  renameSync(file, `${file}.1`);
  return 0;
}
