// The processes of the demo: the OTA server, Lastgood with a configuration made for it, and the fleet.
// Enters: a folder and the demo's options. Leaves: their URLs, and one function that ends all of it.
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startChild } from "./child-process.ts";
import type { Child } from "./child-process.ts";
import { createLineReader } from "./fleet-messages.ts";
import type { FleetMessage } from "./fleet-messages.ts";

export const APP = "com.acme.till";
export const CHANNEL = "production";
/** The limit of the demo's policy, a ratio. */
export const LIMIT = 0.05;
export const FALSE_ROLLBACK_BUDGET = 0.01;
const INGEST_KEY = "demo-ingest-key";
const OTA_SECRET = "demo-ota-secret";
const STOP_MS_MAX = 25_000;

export interface Stack {
  readonly otaUrl: string;
  readonly ingestUrl: string;
  readonly ingestOperationsUrl: string;
  readonly agentUrl: string;
  readonly ingestKey: string;
  readonly configFile: string;
  readonly dataDir: string;
  startFleet(options: FleetStart): Child;
}

export interface FleetStart {
  readonly seed: number;
  readonly devices: number;
  readonly rolloutSeconds: number;
  /** Version to failure rate (0..1). */
  readonly fails: Readonly<Record<string, number>>;
  readonly onMessage: (message: FleetMessage) => void;
}

/** The processes by their life cycle: `stop` ends whatever was started so far, newest first. */
export interface StackProcesses {
  start(): Promise<Stack>;
  /** Safe to call at any time and more than once. */
  stop(): Promise<void>;
  children(): readonly Child[];
}

type ChildStart = Omit<Parameters<typeof startChild>[0], "logFile" | "onUnexpectedEnd"> & { log: string };

export function createStack(options: {
  folder: string;
  onUnexpectedEnd: (child: Child) => void;
}): StackProcesses {
  const { folder, onUnexpectedEnd } = options;
  const children: Child[] = [];
  const startOne = ({ log, ...child }: ChildStart): Child => {
    const started = startChild({ ...child, logFile: join(folder, `${log}.log`), onUnexpectedEnd });
    children.push(started);
    return started;
  };
  return {
    start: () => startStack(folder, startOne),
    stop: () => stopAll(children, join(folder, "data")),
    children: () => children,
  };
}

async function startStack(folder: string, startOne: (child: ChildStart) => Child): Promise<Stack> {
  const otaUrl = await startOtaServer(startOne);
  const ports = await freePorts(3);
  const [ingest, operations, agent] = ports as [number, number, number];
  const configFile = join(folder, "lastgood.yaml");
  writeFileSync(configFile, configText({ otaUrl, ingest, operations, agent }));
  startOne({
    name: "lastgood",
    log: "lastgood",
    script: scriptOf("../../agent/cli/lastgood.js"),
    args: ["start", "--config", configFile],
    tether: "ipc",
  });
  const urls = { otaUrl, ingestUrl: `http://127.0.0.1:${ingest}`, agentUrl: `http://127.0.0.1:${agent}` };
  return {
    ...urls,
    ingestOperationsUrl: `http://127.0.0.1:${operations}`,
    ingestKey: INGEST_KEY,
    configFile,
    dataDir: join(folder, "data"),
    startFleet: (fleet) =>
      startOne({
        name: "fleet",
        log: "fleet",
        script: scriptOf("./fleet-main.js"),
        args: fleetArguments(urls, fleet),
        tether: "stdin",
        onStdout: createLineReader({ onMessage: (message) => fleet.onMessage(message as FleetMessage) }),
      }),
  };
}

/** Resolves with its URL. */
function startOtaServer(startOne: (child: ChildStart) => Child): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = startOne({
      name: "OTA server",
      log: "ota-server",
      script: scriptOf("./ota-server-main.js"),
      args: ["--app", APP, "--channel", CHANNEL, "--versions", "1.3.0,1.4.0", "--secret", OTA_SECRET],
      tether: "ipc",
      onStdout: createLineReader({ onMessage: (message) => resolve((message as { url: string }).url) }),
    });
    void child.ended.then(() => reject(new Error("the OTA server ended before it was ready")));
  });
}

/** The pid that Lastgood's supervisor wrote down for one of its processes. */
export function readPid(
  dataDir: string,
  name: "lastgood" | "ingest" | "agent" | "redis",
): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataDir, "run", `${name}.pid`), "utf8"));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function fleetArguments(urls: { otaUrl: string; ingestUrl: string }, fleet: FleetStart): string[] {
  const named = {
    "ota-url": urls.otaUrl,
    "ingest-url": urls.ingestUrl,
    "ingest-key": INGEST_KEY,
    app: APP,
    channel: CHANNEL,
    seed: fleet.seed,
    devices: fleet.devices,
    "rollout-seconds": fleet.rolloutSeconds,
  };
  const fails = Object.entries(fleet.fails).map(([version, ratio]) => ["fails", `${version}=${ratio}`]);
  return [...Object.entries(named), ...fails].flatMap(([name, value]) => [`--${name}`, String(value)]);
}

async function stopAll(children: readonly Child[], dataDir: string): Promise<void> {
  // Read before the supervisor removes them: should it not end in time, what it started must still end.
  const names = ["ingest", "agent", "redis"] as const;
  const pids = names.map((name) => readPid(dataDir, name)).filter((pid) => pid !== undefined);
  for (const child of children.toReversed()) {
    await child.stop(child.name === "lastgood" ? "SIGINT" : "SIGTERM", STOP_MS_MAX);
  }
  for (const pid of pids.filter(isAlive)) process.kill(pid, "SIGKILL");
}

function scriptOf(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

/** Ports that are free now. Taken together, so that no two are the same. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(0, "127.0.0.1", resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function configText(ports: { otaUrl: string; ingest: number; operations: number; agent: number }): string {
  return `# Made by the demo. Guards are short because the demo's devices live fast.
data_dir: ./data
observability: off
ingest: { listen: "127.0.0.1:${ports.ingest}", operations_listen: "127.0.0.1:${ports.operations}" }
agent: { listen: "127.0.0.1:${ports.agent}" }
apps:
  ${APP}:
    ingest_keys: [${INGEST_KEY}]
    ota_server: { type: http, url: "${ports.otaUrl}", secret: ${OTA_SECRET} }
    channels:
      ${CHANNEL}: { policy: demo }
policies:
  demo:
    action: rollback
    mode: automatic
    false_rollback_budget: ${FALSE_ROLLBACK_BUDGET * 100}%
    rules:
      - { signal: update_failure, limit: ${LIMIT * 100}% }
    guards: { min_devices: 20, cooldown: 5s }
`;
}
