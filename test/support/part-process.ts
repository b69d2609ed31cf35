// Ingest or the agent as a process of its own, from dist/, for tests that stop, kill and starve it. Enters: its configuration
// file and Redis. Leaves: where it listens, its log, its metrics, its memory, and the means to end it.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { distPath } from "./run-demo.ts";

/** Pids of the processes that it has started itself. */
export function childrenOf({ child }: Pick<PartProcess, "child">): number[] {
  const told = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  return told === "" ? [] : told.split(" ").map(Number);
}

export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

export interface PartProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly operationsUrl: string;
  /** Lines of its log so far. */
  log(): string;
  /** The value of a sample; undefined = there is none. */
  sample(name: string): Promise<number | undefined>;
  rssBytes(): number;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM; leaves the exit code. */
  stop(): Promise<number | null>;
}

export interface PartStart {
  readonly part: "ingest" | "agent";
  /** Its configuration file. */
  readonly config: string;
  readonly redisUrl: string;
  /** Holds the process as long as it runs. */
  readonly running: Set<ChildProcess>;
  /** Before the command, such as `ulimit -f 100;`. */
  readonly shell?: string;
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Resolves when it is ready. */
export async function startPart({
  part,
  config,
  redisUrl,
  running,
  shell = "",
  nodeArgs = [],
  env = {},
}: PartStart): Promise<PartProcess> {
  const command = [process.execPath, ...nodeArgs, distPath(`${part}/main.js`), "--config", config];
  const child = spawn("bash", ["-c", `${shell} exec "$@"`, "bash", ...command], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...process.env, ...env, LASTGOOD_REDIS_URL: redisUrl },
  });
  running.add(child);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  void exited.then(() => running.delete(child));
  let log = "";
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (data: Buffer) => (log += data.toString()));
  const urls = await Promise.race([
    once(child, "message").then(([message]) => (message as { urls: Record<string, string> }).urls),
    exited.then((code) => Promise.reject(new Error(`${part} ended with ${code}:\n${log}`))),
  ]);
  return {
    child,
    url: urls["http"]!,
    operationsUrl: urls["operations"]!,
    log: () => log,
    async sample(name) {
      const text = await (await fetch(`${urls["operations"]!}/metrics`)).text();
      const line = text.split("\n").find((one) => one.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.slice(name.length + 1));
    },
    rssBytes: () =>
      Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))![1]) * 1024,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async stop() {
      child.kill("SIGTERM");
      return await exited;
    },
  };
}
