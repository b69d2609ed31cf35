// A program that is not ours (Prometheus, Alertmanager, Grafana) as a supervised child: it is ready when an address of it
// answers, its lines go to whoever asks, and SIGTERM stops it. Enters: a command line. Leaves: a ProcessHandle.
// It knows nothing of its parent: killed with SIGKILL, the parent leaves it running, and the next start ends it.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import { exitOf, signalGroup, stopChild } from "./child-process.ts";
import { sleep } from "./clock.ts";
import type { ProcessHandle } from "./supervisor.ts";
import type { ListenAddress } from "./units.ts";

/** How long such a program may take until it answers, in milliseconds: it may have a log of days to read. */
export const PROGRAM_READY_MS_MAX = 60_000;
/** After SIGTERM; Prometheus writes its head down before it goes, in milliseconds. */
export const PROGRAM_STOP_MS_MAX = 20_000;
const POLL_MS = 100;
/** One question whether it is ready, in milliseconds. */
const ANSWER_MS_MAX = 2_000;
/** Lines kept to explain a program that did not start. */
const LAST_LINES_MAX = 3;

export interface ProgramOptions {
  readonly name: string;
  /** Absolute path of the program. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where it works; files that it names without a folder are there. */
  readonly folder: string;
  /** Answers 2xx once it is ready. */
  readonly readyUrl: string;
  /** What the handle says of where it listens. */
  readonly urls: Readonly<Record<string, string>>;
  /** Each line of stdout and stderr. */
  readonly onLine: (line: string) => void;
  readonly readyMsMax?: number;
  readonly stopMsMax?: number;
}

// In a process group of its own, so that a Ctrl-C in the terminal does not reach it before its turn.
export function launchProgram(options: ProgramOptions): ProcessHandle {
  const child = spawn(options.command, [...options.args], {
    cwd: options.folder,
    detached: true,
    env: { ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lastLines: string[] = [];
  for (const stream of [child.stdout, child.stderr] as Readable[])
    createInterface({ input: stream }).on("line", (line) => {
      lastLines.push(line);
      if (lastLines.length > LAST_LINES_MAX) lastLines.shift();
      options.onLine(line);
    });
  const exited = exitOf(child);
  const killGroup = (): void => signalGroup(child, "SIGKILL");
  return {
    pid: child.pid,
    ready: untilReady({ child, exited, lastLines, options, killGroup }),
    exited,
    stop: () => stopChild({ child, exited, killGroup, stopMsMax: options.stopMsMax ?? PROGRAM_STOP_MS_MAX }),
    kill: killGroup,
  };
}

interface Starting {
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
  readonly lastLines: readonly string[];
  readonly options: ProgramOptions;
  readonly killGroup: () => void;
}

async function untilReady(starting: Starting): Promise<Readonly<Record<string, string>>> {
  const { exited, lastLines, options, killGroup } = starting;
  const readyMsMax = options.readyMsMax ?? PROGRAM_READY_MS_MAX;
  const deadlineMs = Date.now() + readyMsMax;
  let ended: string | undefined;
  void exited.then((reason) => (ended = reason));
  for (;;) {
    const isReady = await answers(options.readyUrl);
    // Its end is looked at last: what answered may be another program that has the port.
    if (ended !== undefined)
      throw new Error(`${options.name} did not start: ${[ended, ...lastLines].join("\n")}`);
    if (isReady) return options.urls;
    if (Date.now() > deadlineMs) {
      killGroup();
      throw new Error(`${options.name} was not ready within ${readyMsMax / 1_000} s: see its log`);
    }
    await Promise.race([sleep(POLL_MS), exited]);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) })).ok;
  } catch {
    return false;
  }
}

/** The first of the names that is a program on the PATH, as an absolute path. */
export function findProgram(names: readonly string[], searchPath: string | undefined): string | undefined {
  const folders = (searchPath ?? "").split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Whether somebody could listen there now. */
export function isPortFree({ host, port }: ListenAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
