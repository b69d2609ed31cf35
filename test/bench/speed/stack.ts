// Real processes for the benches of speed: a redis-server of their own, ingest and agent from dist/, and the references
// that they are compared with. Enters: which parts, and the configuration. Leaves: their addresses, the CPU time that
// each has used, and one function that ends all of them.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SHARDS_DEFAULT, reportStream } from "../../../ingest/contract/stream-names.ts";
import { launchChild } from "../../../runtime/child-process.ts";
import { createLogger } from "../../../runtime/logger.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../../runtime/redis.ts";
import type { Redis } from "../../../runtime/redis.ts";
import { livePidOf } from "../../../runtime/pid-file.ts";
import type { ProcessHandle } from "../../../runtime/supervisor.ts";
import { OTA_SECRET } from "../../support/agent.ts";
import { TICKS_PER_SECOND, cpuTicksOf } from "../../support/process-time.ts";
import { startTestRedis } from "../../support/redis.ts";

export const INGEST_KEY = "bench-ingest-key";
export const APP = "com.acme.till";
export const CHANNEL = "production";
const REDIS_READY_MS_MAX = 5_000;

export interface BenchProcess {
  readonly pid: number;
  readonly urls: Readonly<Record<string, string>>;
  /** User and system time of the process since it started, in seconds; 0 where there is no /proc. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

export interface BenchRedis {
  readonly url: string;
  readonly port: number;
  readonly redis: Redis;
  /** Names of the streams that reports go into. */
  readonly streams: readonly string[];
  cpuSeconds(): Promise<number>;
  stop(): Promise<void>;
}

/** With its append-only file on, as the private Redis of `lastgood start` has it. */
export async function startBenchRedis(): Promise<BenchRedis> {
  const server = await startTestRedis({ tcp: true });
  const kill = (): void => {
    const pid = livePidOf(path.join(server.folder, "redis.pid"), "redis-server");
    if (pid !== undefined) process.kill(pid, "SIGTERM");
  };
  // The others notice by themselves that the bench is gone.
  process.once("exit", kill);
  const logger = createLogger({ name: "bench", level: "silent" });
  const redis = createRedis({ url: server.url, role: "worker", logger });
  await waitUntilReady(redis, REDIS_READY_MS_MAX);
  return {
    url: server.url,
    port: Number(new URL(server.url).port),
    redis,
    streams: Array.from({ length: SHARDS_DEFAULT }, (_, shard) => reportStream(shard)),
    async cpuSeconds() {
      const info = await redis.info("cpu");
      const of = (name: string): number => Number(new RegExp(`^${name}:([0-9.]+)`, "m").exec(info)?.[1] ?? 0);
      return of("used_cpu_user") + of("used_cpu_sys");
    },
    async stop() {
      process.off("exit", kill);
      await closeRedis(redis);
      await server.stop();
    },
  };
}

/** Runs a program of dist/ that says over IPC when it is ready. `script` is relative to dist/. */
export async function startProcess(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<BenchProcess> {
  const said: string[] = [];
  const handle: ProcessHandle = launchChild({
    name: script,
    script: fileURLToPath(new URL(`../../../${script}`, import.meta.url)),
    args,
    env: { ...withoutLastgoodVariables(process.env), ...env },
    onLine: (line) => void said.push(line),
  });
  const urls = await handle.ready;
  const pid = handle.pid!;
  return {
    pid,
    urls,
    cpuSeconds: () => cpuTicksOf(pid) / TICKS_PER_SECOND,
    stop: async () => void (await handle.stop()),
  };
}

/** The bench's stack is its own: settings of a Lastgood that this shell is set up for must not leak in. */
function withoutLastgoodVariables(env: NodeJS.ProcessEnv): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("LASTGOOD_")));
}

export interface BenchFolder {
  readonly path: string;
  write(name: string, text: string): string;
  remove(): void;
}

export function makeFolder(): BenchFolder {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-bench-"));
  return {
    path: folder,
    write(name, text) {
      const file = path.join(folder, name);
      writeFileSync(file, text);
      return file;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface ConfigOptions {
  readonly otaUrl?: string;
  /** Channels of the one app, each with the policy of the bench. */
  readonly channels?: readonly string[];
  /** Of ingest. */
  readonly processes?: number;
  readonly agentProcesses?: number;
}

/** A policy as short as the demo's, so that a release can be judged as soon as there is evidence. */
export function configText({
  otaUrl,
  channels = [CHANNEL],
  processes = 1,
  agentProcesses = 1,
}: ConfigOptions = {}): string {
  return `
ingest: { listen: "127.0.0.1:0", operations_listen: "127.0.0.1:0", limits: { stream_entries: 10000000 }, processes: ${processes} }
agent: { listen: "127.0.0.1:0", processes: ${agentProcesses} }
log_level: warn
apps:
  ${APP}:
    ingest_keys: [${INGEST_KEY}]
    ota_server: { type: http, url: "${otaUrl ?? "http://127.0.0.1:9"}", secret: ${OTA_SECRET} }
    channels:
${channels.map((channel) => `      ${channel}: { policy: bench }`).join("\n")}
policies:
  bench:
    action: ${otaUrl === undefined ? "page" : "rollback"}
    mode: automatic
    false_rollback_budget: 1%
    rules:
      - { signal: update_failure, limit: 5% }
    guards: { min_devices: 20, cooldown: 5s }
`;
}

export function startIngest(config: string, redisUrl: string): Promise<BenchProcess> {
  return startProcess("ingest/main.js", ["--config", config], { LASTGOOD_REDIS_URL: redisUrl });
}

export function startAgent(config: string, redisUrl: string): Promise<BenchProcess> {
  return startProcess("agent/main.js", ["--config", config], { LASTGOOD_REDIS_URL: redisUrl });
}
