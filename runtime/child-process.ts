// A Node program as a supervised child: it says over IPC when it is ready (lifecycle.ts), its log lines go
// to whoever asks, and it is told to stop by SIGTERM. It runs in a process group of its own, so that a
// Ctrl-C in the terminal reaches the supervisor alone, which stops things in order.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import { STOP_MS_MAX } from "./lifecycle.ts";
import { humanLogLine, isAtLeast } from "./log-line.ts";
import { livePidOf, untilProcessGone } from "./pid-file.ts";
import type { ProcessHandle } from "./supervisor.ts";

/** How long a child may take until it is ready, in milliseconds. */
export const READY_MS_MAX = 60_000;
/** After SIGTERM; longer than a child gives itself, so that it is the child that ends its own work. */
export const CHILD_STOP_MS_MAX = STOP_MS_MAX + 3_000;
/** Lines kept to explain a child that did not start. */
const LAST_ERRORS_MAX = 5;

export interface ChildOptions {
  readonly name: string;
  /** The JavaScript file to run. */
  readonly script: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Each line of stdout and stderr. */
  readonly onLine: (line: string) => void;
  readonly readyMsMax?: number;
  readonly stopMsMax?: number;
}

export function launchChild(options: ChildOptions): ProcessHandle {
  const child = spawn(process.execPath, [options.script, ...options.args], {
    detached: true,
    env: { ...options.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const lastErrors: string[] = [];
  for (const stream of [child.stdout, child.stderr] as Readable[])
    createInterface({ input: stream }).on("line", (line) => {
      rememberError(lastErrors, line);
      options.onLine(line);
    });
  const exited = exitOf(child);
  const killGroup = (): void => signalGroup(child, "SIGKILL");
  return {
    pid: child.pid,
    ready: readinessOf({ child, exited, lastErrors, options, killGroup }),
    exited,
    stop: () => stopChild({ child, exited, killGroup, stopMsMax: options.stopMsMax ?? CHILD_STOP_MS_MAX }),
    kill: killGroup,
  };
}

const FOR_OURS = [undefined, "SIGTERM", "SIGKILL"] as const;
const FOR_FOREIGN = ["SIGTERM", "SIGKILL"] as const;

/** Ends a child of an earlier supervisor: it stops by itself when its parent goes; this waits, then insists. */
export async function endOrphanChild(options: {
  readonly pidFile: string;
  /** Part of its command line, to tell it from a program that got the same number later. */
  readonly script: string;
  /** A program that is not ours does not notice that its parent went: it is told at once. Default: our own. */
  readonly whose?: "ours" | "foreign";
  readonly stopMsMax?: number;
  /** Called when there is one to wait for. */
  readonly onFound?: () => void;
}): Promise<void> {
  const pid = livePidOf(options.pidFile, options.script);
  if (pid === undefined) return;
  options.onFound?.();
  const stopMsMax = options.stopMsMax ?? CHILD_STOP_MS_MAX;
  const signals = options.whose === "foreign" ? FOR_FOREIGN : FOR_OURS;
  for (const signal of signals) {
    if (signal !== undefined) signalPid(pid, signal);
    if (await untilProcessGone(pid, stopMsMax)) return;
  }
}

/** Lines of a crash that explain nothing: frames, carets, braces, Node's own version. */
const NOISE = /^\s*(at |\^|[{}]|node:|throw |Node\.js v|requireStack|$)/;

function rememberError(lastErrors: string[], line: string): void {
  const { level, message } = humanLogLine("", line);
  if (!isAtLeast(level, "error") || NOISE.test(message)) return;
  lastErrors.push(message);
  if (lastErrors.length > LAST_ERRORS_MAX) lastErrors.shift();
}

/** What a child had started itself may take to end when it is dead, in milliseconds. */
const LEFT_OVER_MS_MAX = 2_000;

/**
 * Waits for `close`, not `exit`: only then have all lines been read. But a process that the child had started keeps its
 * output open, and one that hangs would keep it for ever: it ends with its group, or the child would never be missed.
 */
export function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      const reason = signal ?? `exit code ${code}`;
      const timer = setTimeout(() => {
        if (child.pid !== undefined) signalPid(-child.pid, "SIGKILL");
        resolve(reason);
      }, LEFT_OVER_MS_MAX);
      child.once("close", () => {
        clearTimeout(timer);
        resolve(reason);
      });
    });
  });
}

interface Starting {
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
  readonly lastErrors: readonly string[];
  readonly options: ChildOptions;
  readonly killGroup: () => void;
}

async function readinessOf(starting: Starting): Promise<Readonly<Record<string, string>>> {
  const { child, exited, lastErrors, options, killGroup } = starting;
  const readyMsMax = options.readyMsMax ?? READY_MS_MAX;
  let timer: NodeJS.Timeout | undefined;
  const answer = new Promise<Readonly<Record<string, string>>>((resolve, reject) => {
    child.on("message", (message) => {
      if (isReadyMessage(message)) resolve(message.urls);
    });
    void exited.then((reason) => {
      const why = lastErrors.length === 0 ? reason : lastErrors.join("\n");
      reject(new Error(`${options.name} did not start: ${why}`));
    });
    timer = setTimeout(() => {
      killGroup();
      reject(new Error(`${options.name} was not ready within ${readyMsMax / 1_000} s: see its log`));
    }, readyMsMax);
  });
  return answer.finally(() => clearTimeout(timer));
}

function isReadyMessage(message: unknown): message is { kind: "ready"; urls: Record<string, string> } {
  return typeof message === "object" && message !== null && "kind" in message && message.kind === "ready";
}

/** SIGTERM, and SIGKILL to its group when it takes too long. */
export async function stopChild(options: {
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
  readonly killGroup: () => void;
  readonly stopMsMax: number;
}): Promise<"stopped" | "killed"> {
  const { child, exited, killGroup, stopMsMax } = options;
  child.kill("SIGTERM");
  let wasKilled = false;
  const timer = setTimeout(() => {
    wasKilled = true;
    killGroup();
  }, stopMsMax);
  await exited;
  clearTimeout(timer);
  return wasKilled ? "killed" : "stopped";
}

export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  signalPid(-child.pid, signal);
}

function signalPid(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in between, which is what was wanted.
  }
}
