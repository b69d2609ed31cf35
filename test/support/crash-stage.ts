// The stage of a crash test: a Redis with an append-only file, an OTA server, and agents as processes of their
// own, all of which can be killed. Enters: a folder. Leaves: the means to start and kill them, and to read what
// Redis holds meanwhile. Needs the build in dist/.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import { countingRulesOf } from "../../agent/config/counting-rules.ts";
import { loadSettings } from "../../agent/config/load.ts";
import type { CountingRules } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { SHARDS_DEFAULT } from "../../ingest/contract/stream-names.ts";
import { sleep } from "../../runtime/clock.ts";
import { OTA_SECRET, startOtaServer } from "./agent.ts";
import { ANNOUNCED_VERSIONS, BETA, FIELD, KIOSK, STORY_CHANNELS } from "./fleet-stories.ts";
import { startTestRedis } from "./redis.ts";
import type { TestRedis } from "./redis.ts";
import { distPath } from "./run-demo.ts";
import { TILL } from "./verdicts.ts";

/** On every channel but the impatient one; nobody falls silent there while the test runs. */
export const PATIENT_DEADLINE_MS = 7 * 24 * 3_600_000;

/** How long Redis stays away when it was killed, in milliseconds. */
const REDIS_AWAY_MS = 300;

export interface AgentProcess {
  readonly child: ChildProcess;
  /** Where it listens, when it does; rejects when it ends before. */
  readonly url: Promise<string>;
  /** SIGKILL. Throws when the agent had ended by itself. */
  kill(): Promise<void>;
}

export interface CrashStage {
  /** Outlives every restart of Redis: what is asked meanwhile waits. */
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly health: HealthStore;
  /** Those of the agents' configuration. */
  readonly rules: CountingRules;
  startAgent(): AgentProcess;
  /** SIGKILL, and a new server that goes on from the append-only file. */
  restartRedis(): Promise<void>;
  close(): Promise<void>;
}

export async function openCrashStage(): Promise<CrashStage> {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-crash-"));
  const ota = await startOtaServer();
  for (const channel of STORY_CHANNELS)
    for (const version of ANNOUNCED_VERSIONS) ota.publish({ ...channel, version });
  const config = path.join(folder, "lastgood.yaml");
  writeFileSync(config, configText(folder, ota.url));
  const loaded = loadSettings({ file: config, env: {} });
  if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.problems));
  let server = await startTestRedis();
  await syncEveryWrite(server);
  const redis = new Redis({ ...server.options, replyMapping: "legacy" });
  // That Redis is away is no news here.
  redis.on("error", () => {});
  const running = new Set<ChildProcess>();
  let isClosed = false;
  return {
    redis,
    redisUrl: server.url,
    health: createHealthStore({ redis, shards: SHARDS_DEFAULT }),
    rules: countingRulesOf(loaded.config),
    startAgent() {
      if (isClosed) throw new Error("the stage is closed");
      return startAgentProcess({ config, redisUrl: server.url, running });
    },
    async restartRedis() {
      await server.kill();
      await sleep(REDIS_AWAY_MS);
      server = await startTestRedis({ folder: server.folder });
      await syncEveryWrite(server);
    },
    async close() {
      isClosed = true;
      for (const child of running) child.kill("SIGKILL");
      redis.disconnect();
      await ota.close();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A killed Redis must not lose what it has answered for; with its default it may, for some moments. */
async function syncEveryWrite({ options }: TestRedis): Promise<void> {
  const redis = new Redis(options);
  await redis.config("SET", "appendfsync", "always");
  await redis.quit();
}

// `shadow`: this is about counting. Every app is counted in another way, and the agents have to know it.
function configText(folder: string, otaUrl: string): string {
  const appText = (fields: string): string => `
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "${otaUrl}", secret: "${OTA_SECRET}" }
    ${fields}`;
  return `
data_dir: ${folder}
shards: ${SHARDS_DEFAULT}
log_level: error
agent: { listen: "127.0.0.1:0" }
apps:
  ${TILL.app}:${appText(
    `channels: { ${TILL.channel}: { policy: patient }, ${BETA.channel}: { policy: patient }, ${FIELD.channel}: { policy: impatient } }`,
  )}
  ${KIOSK.app}:${appText(`channels: { ${KIOSK.channel}: { policy: patient } }
    strata: { by: [model] }`)}
policies:
  patient:
    mode: shadow
    rules: [{ signal: update_failure, limit: 5% }, { signal: silence, limit: 50%, deadline: 7d, worse_than_baseline: off }]
  impatient:
    mode: shadow
    rules: [{ signal: silence, limit: 50%, deadline: 5m, worse_than_baseline: off }]
`;
}

/** Needs the build in dist/. */
export function startAgentProcess({
  config,
  redisUrl,
  running,
}: {
  config: string;
  redisUrl: string;
  running: Set<ChildProcess>;
}): AgentProcess {
  const child = spawn(process.execPath, [distPath("agent/main.js"), "--config", config], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: { ...process.env, LASTGOOD_REDIS_URL: redisUrl },
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const url = new Promise<string>((resolve, reject) => {
    child.once("message", (message: { urls: { http: string } }) => resolve(message.urls.http));
    child.once("exit", () => reject(new Error("an agent ended before it was ready")));
  });
  // An agent may be killed before anybody asks where it listens.
  url.catch(() => {});
  return {
    child,
    url,
    async kill() {
      if (child.exitCode !== null) throw new Error(`an agent ended by itself, with code ${child.exitCode}`);
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
