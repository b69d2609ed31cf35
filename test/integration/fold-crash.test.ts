// Exactness under violence: two agent processes are killed again and again while reports arrive, Redis is
// killed once and comes back from its append-only file, and in the end every count is exactly the model's.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SLOT_MINUTES } from "../../agent/health/health-window.ts";
import { SETTLE_MS, hasUnannouncedFailures } from "../../agent/health/settled-counts.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { EVENTS } from "../../ingest/contract/device-report.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Channel, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import { sleep } from "../../runtime/clock.ts";
import { createRandom } from "../simulation/random.ts";
import type { Random } from "../simulation/random.ts";
import { AGENT_TEST_SHARDS, OTA_SECRET, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { createNaiveCounts, readCounts } from "../support/naive-counts.ts";
import type { NaiveCounts, ToldReport } from "../support/naive-counts.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

// Built by the set-up of `npm test` (runtime/setup.mjs).
const MAIN = fileURLToPath(new URL("../../dist/agent/main.js", import.meta.url));
const SEED = 7;
const REQUESTS = 400;
const KILLS_PER_AGENT = 4;
const DEVICES = 2_000;
/** Attempts older than this wait for nothing: few of these devices announce, and younger failures stay on the list. */
const SETTLED_MS = SETTLE_MS + (SLOT_MINUTES + 1) * 60_000;

let folder: string;
let server: TestRedis;
let ota: TestOtaServer;
let fleet: TestFleet;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error("there is no build: run `node runtime/setup.mjs` first");
  folder = mkdtempSync(path.join(tmpdir(), "lg-crash-"));
  server = await startTestRedis();
  await syncEveryWrite();
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  writeFileSync(configFile(), configText());
  fleet = await createTestFleet(server.url);
});

afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  fleet.close();
  await ota.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function configFile(): string {
  return path.join(folder, "lastgood.yaml");
}

// `shadow`: this is about counting.
function configText(): string {
  return `
data_dir: ${folder}
shards: ${AGENT_TEST_SHARDS}
agent: { listen: "127.0.0.1:0" }
apps:
  ${TILL.app}:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "${ota.url}", secret: "${OTA_SECRET}" }
    channels: { ${TILL.channel}: { policy: standard }, beta: { policy: standard } }
policies:
  standard: { action: rollback, mode: shadow, rules: [{ signal: update_failure, limit: 5% }] }
`;
}

/** A killed Redis must not lose what it has answered for; with its default it may, for some moments. */
async function syncEveryWrite(): Promise<void> {
  const redis = new Redis(server.options);
  await redis.config("SET", "appendfsync", "always");
  await redis.quit();
}

interface AgentProcess {
  readonly child: ChildProcess;
  /** Its URL, when it is ready. */
  readonly url: Promise<string>;
}

function startAgentProcess(): AgentProcess {
  const child = spawn(process.execPath, [MAIN, "--config", configFile()], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: { ...process.env, LASTGOOD_REDIS_URL: server.url },
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const url = new Promise<string>((resolve) =>
    child.on("message", (message: { urls: { http: string } }) => resolve(message.urls.http)),
  );
  return { child, url };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) throw new Error(`an agent ended by itself, with code ${child.exitCode}`);
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** An agent that is killed at moments that the seed chooses, mostly in the middle of its work. */
async function keepKilling(random: Random): Promise<void> {
  for (let kills = 0; kills < KILLS_PER_AGENT; kills += 1) {
    const { child, url } = startAgentProcess();
    await url;
    await sleep(random.between(20, 1_500));
    await kill(child);
  }
}

function makeReport(random: Random, nowMs: number): ToldReport {
  return {
    app: TILL.app,
    channel: random.pick([TILL.channel, "beta" as Channel]),
    device: `device-${Math.floor(random.next() * DEVICES)}`,
    version: random.pick(["1.3.0", "1.4.0", "1.5.0"]) as Version,
    event: random.pick(EVENTS),
    at: nowMs - Math.floor(random.between(SETTLED_MS, SETTLED_MS + 1_800_000)),
  };
}

/** Sends until it is acknowledged, like a device; what was acknowledged stands in the model. */
async function sendAll(model: NaiveCounts, random: Random): Promise<number> {
  let acknowledged = 0;
  const sentBefore: ToldReport[] = [];
  for (let request = 0; request < REQUESTS; request += 1) {
    const reports = Array.from({ length: Math.ceil(random.between(1, 150)) }, () =>
      sentBefore.length > 0 && random.chance(0.2) ? random.pick(sentBefore) : makeReport(random, Date.now()),
    );
    while ((await fleet.write(reports)) !== "written") await sleep(20);
    reports.forEach((report) => model.tell(report));
    sentBefore.push(...reports.slice(0, 5));
    acknowledged += reports.length;
    await sleep(20);
  }
  return acknowledged;
}

async function killRedisOnce(): Promise<void> {
  await sleep(4_000);
  const { folder: redisFolder } = server;
  await server.kill();
  await sleep(300);
  server = await startTestRedis({ folder: redisFolder });
  await syncEveryWrite();
}

it("counts stay exact while agents and Redis are killed", async () => {
  const model = createNaiveCounts();
  const [acknowledged] = await Promise.all([
    sendAll(model, createRandom(SEED, "reports")),
    keepKilling(createRandom(SEED, "first agent")),
    keepKilling(createRandom(SEED, "second agent")),
    killRedisOnce(),
  ]);
  const last = startAgentProcess();
  const url = await last.url;

  const redis = new Redis({ ...server.options, replyMapping: "legacy" });
  const health = createHealthStore({ redis, shards: AGENT_TEST_SHARDS });
  await waitUntil(
    () => health.readLag(Date.now()),
    (lag) => lag.every(({ waitingEntries }) => waitingEntries === 0),
    20_000,
  );
  expect(await readCounts(health)).toEqual(model.counts());
  const totals = await health.readFoldTotals();
  // A request whose acknowledgement was lost is sent twice, and folded twice, and counted once.
  expect(totals.folded).toBeGreaterThanOrEqual(acknowledged);
  expect(totals.deadLetters).toBe(0);

  // What was counted is also evaluated, whoever died between the two.
  const devicesShown = async () => {
    const { channels } = (await (await fetch(`${url}/v1/status`)).json()) as Status;
    return Object.fromEntries(
      channels.flatMap(({ app, channel, releases }) =>
        releases.map((release) => [`${app}|${channel}|${release.version}`, release.devices]),
      ),
    );
  };
  const devicesCounted = Object.fromEntries(
    Object.entries(model.counts()).map(([release, { devices }]) => [release, devices]),
  );
  await waitUntil(devicesShown, (shown) => isSame(shown, devicesCounted), 20_000);
  // What stays on the list waits for unannounced failures to settle: these releases are minutes old.
  const counts = model.counts();
  const mayWait = ({ release }: { release: ReleaseKey }): boolean =>
    hasUnannouncedFailures(counts[formatReleaseKey(release)]!.devices);
  await waitUntil(
    () => health.listDirty(),
    (dirty) => dirty.every(mayWait),
    20_000,
  );

  last.child.kill("SIGTERM");
  expect(await once(last.child, "exit")).toEqual([0, null]);
  await redis.quit();
}, 120_000);

interface Status {
  readonly channels: {
    readonly app: string;
    readonly channel: string;
    readonly releases: { readonly version: string; readonly devices: Record<string, number> }[];
  }[];
}

function isSame(left: Record<string, object>, right: Record<string, object>): boolean {
  const canonical = (value: Record<string, object>): string =>
    JSON.stringify(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  return canonical(left) === canonical(right);
}
