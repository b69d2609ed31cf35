// Process ids: whether one lives, waiting for its end, and the lock file that keeps a second start away
// from the same data folder.
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { sleep } from "./clock.ts";

const POLL_MS = 20;

/** True for a process of another user too: not being allowed to signal it means that it is there. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

// An orphan in a container without an init stays in the process table after its end: it holds nothing. But for its first
// thread that may be so while others are still ending, and until the last of them its files and ports are taken.
function isZombie(pid: number): boolean {
  try {
    const isEnded = /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    return isEnded && readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return false;
  }
}

/** Whether the process ended within the time. */
export async function untilProcessGone(pid: number, timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  while (isProcessAlive(pid)) {
    if (Date.now() > deadlineMs) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** The pid in a file, if there is one and it is a number. */
export function readPidFile(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

export function writePidFile(file: string, pid: number): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${pid}\n`);
}

/**
 * The pid in a file if it is alive and its command line holds `program`: after a restart of the machine
 * the number may belong to somebody else.
 */
export function livePidOf(file: string, program: string): number | undefined {
  const pid = readPidFile(file);
  if (pid === undefined || !isProcessAlive(pid)) return undefined;
  const command = commandOf(pid);
  return command === undefined || command.includes(program) ? pid : undefined;
}

/** The command line of a process, or undefined where the system does not tell. */
function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return commandByPs(pid);
  }
}

function commandByPs(pid: number): string | undefined {
  try {
    return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return undefined;
  }
}

export type LockResult =
  | { readonly kind: "locked"; release(): void }
  | { readonly kind: "held"; readonly pid: number };

/**
 * Takes the lock file for this process. One left behind by a dead process, or whose number now belongs to
 * a program that is not `program`, is taken over.
 */
export function takeLock({ file, program }: { file: string; program: string }): LockResult {
  mkdirSync(path.dirname(file), { recursive: true });
  // Written aside and linked into place: a lock file is never seen empty, and of two only one can link.
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, `${process.pid}\n`);
  try {
    for (;;) {
      if (tryLink(mine, file)) return { kind: "locked", release: () => releaseLock(file) };
      const pid = livePidOf(file, program);
      if (pid !== undefined && pid !== process.pid) return { kind: "held", pid };
      rmSync(file, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function releaseLock(file: string): void {
  if (readPidFile(file) === process.pid) rmSync(file, { force: true });
}
