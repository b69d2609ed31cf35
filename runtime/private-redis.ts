// A redis-server of our own on a unix socket, for those who bring none. Enters: a folder. Leaves: a
// running server whose append-only file is on, its URL, and the way to stop it without losing a write.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, openSync, closeSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import { sleep } from "./clock.ts";
import { LOG_FILE_BYTES_MAX, rotateWhenLarge } from "./log-file.ts";
import { isProcessAlive, livePidOf, readPidFile, untilProcessGone, writePidFile } from "./pid-file.ts";
import { checkRedisServer } from "./redis-server.ts";
import type { ProcessHandle } from "./supervisor.ts";

/** Socket paths longer than this do not fit `sockaddr_un` everywhere (104 bytes on macOS, 108 on Linux). */
export const SOCKET_PATH_BYTES_MAX = 100;
/** How long the server may take to load its file, in milliseconds; minutes, as files grow. */
export const REDIS_START_MS_MAX = 10 * 60_000;
/** How long SHUTDOWN may take before SIGTERM, and SIGTERM before SIGKILL, in milliseconds. */
export const REDIS_STOP_MS_MAX = 30_000;
const POLL_MS = 20;
const PROGRESS_EVERY_MS = 2_000;

export interface PrivateRedisOptions {
  /** Absolute folder for its files; made if missing. */
  readonly folder: string;
  /** Where its pid is kept. */
  readonly pidFile: string;
  /** Listens on 127.0.0.1 at this port as well; 0 or undefined = the socket only. */
  readonly port?: number;
  /** One line for people while it takes long. */
  readonly onProgress?: (line: string) => void;
  readonly startMsMax?: number;
  /** Gives up while the server still loads. */
  readonly signal?: AbortSignal;
}

export interface PrivateRedis {
  /** `unix:///…/redis.sock` */
  readonly url: string;
  readonly pid: number;
  readonly socketPath: string;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<void>;
  /** SHUTDOWN (which syncs the file), then SIGTERM, then SIGKILL. */
  stop(): Promise<void>;
  /** SIGKILL: for tests of what a crash leaves. */
  kill(): Promise<void>;
}

/** Throws with the remedy when redis-server is missing, too old, or does not come up. */
export async function startPrivateRedis(options: PrivateRedisOptions): Promise<PrivateRedis> {
  await checkRedisServer();
  const socketPath = socketPathFor(options.folder);
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  ensureOwnFolder(path.dirname(socketPath));
  await stopOrphan(socketPath, options);
  rmSync(socketPath, { force: true });
  const child = spawnServer(options, socketPath);
  const exited = exitOf(child, options.pidFile);
  const redis: PrivateRedis = {
    url: `unix://${socketPath}`,
    pid: child.pid ?? 0,
    socketPath,
    exited,
    stop: async () => {
      await stopServer({ socketPath, pid: child.pid ?? 0 });
      await exited;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
  await untilAnswering(redis, child, options);
  return redis;
}

/** The same for a supervisor: can be stopped and killed while it still loads. */
export function launchPrivateRedis(options: PrivateRedisOptions): ProcessHandle {
  const givingUp = new AbortController();
  const started = startPrivateRedis({ ...options, signal: givingUp.signal });
  return {
    // It writes its pid file itself, as soon as there is a pid.
    pid: undefined,
    ready: started.then(({ url }) => ({ redis: url })),
    exited: started.then(
      ({ exited }) => exited.then(() => "redis-server ended; its log says why"),
      (error: unknown) => String(error),
    ),
    stop: async () => {
      givingUp.abort();
      const redis = await started.catch(() => undefined);
      await redis?.stop();
      return "stopped";
    },
    kill: () => {
      const pid = readPidFile(options.pidFile);
      if (pid !== undefined && isProcessAlive(pid)) process.kill(pid, "SIGKILL");
    },
  };
}

/** Inside `folder`, or in a folder of the system's temporary one where that would be too long. */
export function socketPathFor(folder: string): string {
  const inside = path.join(folder, "redis.sock");
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  const name = createHash("sha256").update(folder).digest("hex").slice(0, 16);
  return path.join(tmpdir(), `lastgood-${name}`, "redis.sock");
}

/** In the system's temporary folder somebody else may have made a folder of this name before us. */
function ensureOwnFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const owner = statSync(folder).uid;
  if (process.getuid !== undefined && owner !== process.getuid())
    throw new Error(`${folder} belongs to another user: choose another data_dir, or remove that folder`);
}

function serverArguments({ folder, port }: PrivateRedisOptions, socketPath: string): string[] {
  const directives = {
    dir: folder,
    unixsocket: socketPath,
    unixsocketperm: "700",
    port: String(port ?? 0),
    bind: "127.0.0.1",
    appendonly: "yes",
    appendfsync: "everysec",
    save: "",
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-entries": "2048",
    "hash-max-listpack-value": "512",
  };
  return Object.entries(directives).flatMap(([name, value]) => [`--${name}`, value]);
}

// Detached, so that a Ctrl-C in the terminal does not reach it: it must be the last to stop.
function spawnServer(options: PrivateRedisOptions, socketPath: string): ChildProcess {
  rotateWhenLarge(logFileIn(options.folder), LOG_FILE_BYTES_MAX);
  const log = openSync(logFileIn(options.folder), "a");
  try {
    const child = spawn("redis-server", serverArguments(options, socketPath), {
      detached: true,
      stdio: ["ignore", log, log],
    });
    if (child.pid !== undefined) writePidFile(options.pidFile, child.pid);
    return child;
  } finally {
    closeSync(log);
  }
}

function logFileIn(folder: string): string {
  return path.join(folder, "redis.log");
}

function exitOf(child: ChildProcess, pidFile: string): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      // By then it may name the server that was started after this one.
      if (readPidFile(pidFile) === child.pid) rmSync(pidFile, { force: true });
      resolve();
    };
    child.once("exit", done).once("error", done);
  });
}

async function untilAnswering(
  redis: PrivateRedis,
  child: ChildProcess,
  options: PrivateRedisOptions,
): Promise<void> {
  const startedAtMs = Date.now();
  const deadlineMs = startedAtMs + (options.startMsMax ?? REDIS_START_MS_MAX);
  let nextProgressMs = startedAtMs + PROGRESS_EVERY_MS;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
      throw new Error(`redis-server stopped at once; the end of its log:\n${endOfLog(options.folder)}`);
    const state = await ping(redis.socketPath);
    if (options.signal?.aborted === true) {
      await redis.stop();
      throw new Error("starting Redis was given up");
    }
    if (state === "ready") return;
    if (Date.now() > deadlineMs) {
      await redis.kill();
      throw new Error(`redis-server was not ready in time; the end of its log:\n${endOfLog(options.folder)}`);
    }
    if (Date.now() > nextProgressMs) {
      const seconds = Math.round((Date.now() - startedAtMs) / 1_000);
      options.onProgress?.(
        `redis is ${state === "loading" ? "reading its file" : "starting"} (${seconds} s)`,
      );
      nextProgressMs += PROGRESS_EVERY_MS;
    }
    await sleep(POLL_MS);
  }
}

function endOfLog(folder: string): string {
  try {
    return readFileSync(logFileIn(folder), "utf8").trimEnd().split("\n").slice(-5).join("\n");
  } catch {
    return "(no log)";
  }
}

/** One try to reach the server behind a socket. */
async function ping(socketPath: string): Promise<"ready" | "loading" | "absent"> {
  return withConnection(socketPath, async (redis) => {
    try {
      await redis.ping();
      return "ready";
    } catch (error) {
      return String(error).includes("LOADING") ? "loading" : "absent";
    }
  });
}

async function withConnection<T>(socketPath: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    path: socketPath,
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: 1_000,
    commandTimeout: 1_000,
  });
  redis.on("error", () => {});
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

/** A server left behind by a killed supervisor still holds the files: it must be gone before the next starts. */
async function stopOrphan(socketPath: string, options: PrivateRedisOptions): Promise<void> {
  const state = await ping(socketPath);
  const pid = await orphanPid(socketPath, options.pidFile, state);
  if (state === "absent" && pid === undefined) return;
  options.onProgress?.("stopping the redis-server that an earlier run left behind");
  await stopServer({ socketPath, pid: pid ?? 0 });
}

async function orphanPid(
  socketPath: string,
  pidFile: string,
  state: "ready" | "loading" | "absent",
): Promise<number | undefined> {
  if (state === "ready") {
    const info = await withConnection(socketPath, (redis) => redis.info("server"));
    return Number(/process_id:(\d+)/.exec(info)?.[1]);
  }
  // Loading answers nothing else, and a server that is still starting has no socket yet: only the pid
  // file knows. A pid may have been given to another program since, so its name is looked at too.
  return livePidOf(pidFile, "redis-server");
}

async function stopServer({ socketPath, pid }: { socketPath: string; pid: number }): Promise<void> {
  if (pid !== 0 && !isProcessAlive(pid)) return;
  const isAsked = await withConnection(socketPath, askToShutDown);
  if (pid === 0 || (isAsked && (await untilProcessGone(pid, REDIS_STOP_MS_MAX)))) return;
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (isProcessAlive(pid)) process.kill(pid, signal);
    if (await untilProcessGone(pid, REDIS_STOP_MS_MAX)) return;
  }
}

// The answer to SHUTDOWN is the connection closing, which is an error for the client. One that is still
// loading refuses the command, but not SIGTERM, which does the same.
async function askToShutDown(redis: Redis): Promise<boolean> {
  try {
    await redis.connect();
  } catch {
    return false;
  }
  try {
    await redis.shutdown();
    return true;
  } catch (error) {
    return !/LOADING|ERR /.test(String(error));
  }
}
