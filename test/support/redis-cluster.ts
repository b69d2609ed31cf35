// A real Redis Cluster for tests: three primaries with a replica each, as processes on free ports of
// 127.0.0.1, in a temporary folder. A primary can be killed, its replica takes over, and it can come back.
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { keySlot } from "../../runtime/key-slot.ts";
import { waitUntil } from "./wait-until.ts";

/** Above it the port of the cluster bus (10,000 higher) would not be a port any more. */
const PORT_MAX = 65_535 - 10_000;
const PORT_LEAST = 20_000;
const PRIMARIES = 3;
const REPLICAS_PER_PRIMARY = 1;
/** After this silence a server counts as dead, in milliseconds. */
const NODE_TIMEOUT_MS = 1_000;
const START_MS_MAX = 20_000;

export interface TestRedisCluster {
  /** For `redis.cluster`: all servers, alive or not. */
  readonly urls: readonly string[];
  /** The port of the primary that owns a key now. */
  primaryOf(key: string): Promise<number>;
  /** SIGKILL; its folder stays. */
  kill(port: number): Promise<void>;
  /** SIGSTOP: connected and silent, as a machine that has vanished. SIGCONT undoes it. */
  signal(port: number, signal: "SIGSTOP" | "SIGCONT"): void;
  /** Resolves when another server owns the key and the cluster is whole again. */
  untilTakenOver(key: string, from: number): Promise<void>;
  /** Starts a killed server again on its folder; resolves when it follows its new primary. */
  restart(port: number): Promise<void>;
  /** Kills every server that is left, by its pid, and removes the folder. */
  stop(): Promise<void>;
}

interface Node {
  readonly port: number;
  child: ChildProcess;
}

export async function startTestRedisCluster(): Promise<TestRedisCluster> {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-cluster-"));
  const ports = await freeClusterPorts(PRIMARIES * (1 + REPLICAS_PER_PRIMARY));
  const nodes: Node[] = ports.map((port) => ({ port, child: launch(folder, port) }));
  const alive = (): Node[] => nodes.filter(({ child }) => isRunning(child));
  const nodeAt = (port: number): Node => nodes.find((node) => node.port === port)!;
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(({ child }) => end(child)));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await create(ports);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    urls: ports.map((port) => `redis://127.0.0.1:${port}`),
    primaryOf: (key) => ownerOf(key, alive()[0]!.port),
    kill: (port) => end(nodeAt(port).child),
    signal: (port, signal) => void nodeAt(port).child.kill(signal),
    async untilTakenOver(key, from) {
      const others = ports.filter((port) => port !== from && isRunning(nodeAt(port).child));
      await waitUntil(
        () => Promise.all(others.map((port) => viewOf(port, key))),
        (views) => views.every(({ owner, isOk }) => isOk && owner !== from && owner !== 0),
        START_MS_MAX,
      );
    },
    async restart(port) {
      nodeAt(port).child = launch(folder, port);
      await waitUntil(
        () => ask(port, (redis) => redis.info("replication")).catch(() => ""),
        (info) => info.includes("role:slave") && info.includes("master_link_status:up"),
        START_MS_MAX,
      );
    },
    stop,
  };
}

function launch(folder: string, port: number): ChildProcess {
  const dir = path.join(folder, String(port));
  mkdirSync(dir, { recursive: true });
  const directives = {
    port: String(port),
    bind: "127.0.0.1",
    dir,
    logfile: path.join(dir, "redis.log"),
    "cluster-enabled": "yes",
    "cluster-node-timeout": String(NODE_TIMEOUT_MS),
    "repl-diskless-sync-delay": "0",
    appendonly: "yes",
    save: "",
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-entries": "2048",
    "hash-max-listpack-value": "512",
  };
  const args = Object.entries(directives).flatMap(([name, value]) => [`--${name}`, value]);
  return spawn("redis-server", args, { stdio: "ignore" });
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

async function end(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const gone = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
  // Ends a stopped process as well.
  child.kill("SIGKILL");
  await gone;
}

async function create(ports: readonly number[]): Promise<void> {
  const pings = (): Promise<string[]> =>
    Promise.all(ports.map((port) => ask(port, (redis) => redis.ping()).catch(String)));
  await waitUntil(pings, (answers) => answers.every((answer) => answer === "PONG"), START_MS_MAX);
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const replicas = ["--cluster-replicas", String(REPLICAS_PER_PRIMARY), "--cluster-yes"];
  await promisify(execFile)("redis-cli", ["--cluster", "create", ...addresses, ...replicas], {
    timeout: START_MS_MAX,
  });
  await waitUntil(
    () => Promise.all(ports.map((port) => ask(port, isComplete))),
    (complete) => complete.every(Boolean),
    START_MS_MAX,
  );
}

/** Every server knows all slots; a replica has its primary's data, a primary its replica's ear. */
async function isComplete(redis: Redis): Promise<boolean> {
  const [cluster, replication] = await Promise.all([redis.cluster("INFO"), redis.info("replication")]);
  return (
    cluster.includes("cluster_state:ok") &&
    (replication.includes("master_link_status:up") || replication.includes("connected_slaves:1"))
  );
}

async function viewOf(port: number, key: string): Promise<{ owner: number; isOk: boolean }> {
  const [owner, info] = await Promise.all([ownerOf(key, port), ask(port, (redis) => redis.cluster("INFO"))]);
  return { owner, isOk: info.includes("cluster_state:ok") };
}

/** 0: nobody. */
async function ownerOf(key: string, askedPort: number): Promise<number> {
  const slot = keySlot(key);
  const ranges = await ask(askedPort, (redis) => redis.cluster("SLOTS"));
  return ranges.find(([first, last]) => first <= slot && slot <= last)?.[2]?.[1] ?? 0;
}

async function ask<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    port,
    host: "127.0.0.1",
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    commandTimeout: 1_000,
  });
  redis.on("error", () => {});
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

/** Ports that, with the port of their cluster bus, nobody had a moment ago. */
async function freeClusterPorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  for (let tries = 0; ports.length < count && tries < 1_000; tries += 1) {
    const port = PORT_LEAST + Math.floor(Math.random() * (PORT_MAX - PORT_LEAST));
    const pair = await Promise.all([hold(port), hold(port + 10_000)]);
    held.push(...pair.filter((server) => server !== undefined));
    if (pair.every((server) => server !== undefined)) ports.push(port);
  }
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  if (ports.length < count) throw new Error("there are no free ports for a Redis Cluster");
  return ports;
}

function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
