// One process that the demo starts and ends: its output goes to a log file, its end is watched, and it is
// stopped by its own pid only. Each child is a process group of its own, so that Ctrl-C in the terminal
// reaches the demo alone, which then stops the others in order; a demo that dies closes the IPC channel
// and stdin, which each child takes as "stop".
import { spawn } from "node:child_process";
import { createWriteStream, readFileSync } from "node:fs";
import type { Writable } from "node:stream";

export interface ChildOptions {
  readonly name: string;
  /** Path of the JavaScript file that is run. */
  readonly script: string;
  readonly args: readonly string[];
  readonly logFile: string;
  /** Whole lines of stdout; without it stdout only goes to the log. */
  readonly onStdout?: (chunk: string) => void;
  /** How the child learns that its parent is gone. */
  readonly tether: "ipc" | "stdin";
  /** Called when the process ends without having been asked to. */
  readonly onUnexpectedEnd: (child: Child) => void;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  write(line: string): void;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  hasEnded(): boolean;
  /** Says that the process will now end by itself. */
  expectEnd(): void;
  /** Signals, waits, and kills what is left after `deadlineMs`. */
  stop(signal: "SIGINT" | "SIGTERM", deadlineMs: number): Promise<void>;
  /** The last lines of the log. */
  tail(lines: number): string;
}

export function startChild(options: ChildOptions): Child {
  const log = createWriteStream(options.logFile, { flags: "a" });
  const spawned = spawn(process.execPath, ["--enable-source-maps", options.script, ...options.args], {
    detached: true,
    stdio: options.tether === "ipc" ? ["ignore", "pipe", "pipe", "ipc"] : ["pipe", "pipe", "pipe"],
    env: withoutLastgoodVariables(process.env),
  });
  copyOutput(spawned.stdout, log, options.onStdout);
  copyOutput(spawned.stderr, log, undefined);
  const stdin: Writable | null = spawned.stdin;
  // A child that has just ended closes its stdin under our hands: its end is reported elsewhere.
  stdin?.on("error", () => {});
  let isEndExpected = false;
  let isOver = false;
  const ended = new Promise<void>((resolve) => {
    spawned.once("close", () => {
      isOver = true;
      log.end();
      resolve();
      if (!isEndExpected) options.onUnexpectedEnd(child);
    });
  });
  spawned.once("error", (error) => log.write(`${String(error)}\n`));
  const child: Child = {
    name: options.name,
    pid: spawned.pid ?? -1,
    logFile: options.logFile,
    write: (line) => void stdin?.write(`${line}\n`),
    ended,
    hasEnded: () => isOver,
    expectEnd: () => void (isEndExpected = true),
    stop: async (signal, deadlineMs) => {
      isEndExpected = true;
      if (isOver) return;
      spawned.kill(signal);
      const timer = setTimeout(() => spawned.kill("SIGKILL"), deadlineMs);
      await ended.finally(() => clearTimeout(timer));
    },
    tail: (lines) => tailOf(options.logFile, lines),
  };
  return child;
}

/** The demo's stack is its own: settings of a Lastgood that this shell is set up for must not leak in. */
function withoutLastgoodVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("LASTGOOD_")));
}

function copyOutput(
  output: NodeJS.ReadableStream | null,
  log: Writable,
  onText: ((chunk: string) => void) | undefined,
): void {
  output?.setEncoding("utf8").on("data", (chunk: string) => {
    if (onText === undefined) log.write(chunk);
    else onText(chunk);
  });
}

function tailOf(file: string, lines: number): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "";
  }
}
