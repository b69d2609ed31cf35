// The stage of the fault tests: a Redis with an append-only file that is fsynced with every write, ingest as a process of its
// own (from dist/), and a fleet that reports over HTTP like devices do. Enters: faults, by whoever uses it. Leaves: what was
// acknowledged, and whether the counts are exactly those of it.
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import { expect } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { decodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { sleep } from "../../runtime/clock.ts";
import { createNaiveCounts } from "./naive-counts.ts";
import type { ReleaseCounts } from "./naive-counts.ts";
import { inHours, readCounts } from "./read-counts.ts";
import { startTestRedis } from "./redis.ts";
import type { TestRedis } from "./redis.ts";
import { startPart } from "./part-process.ts";
import type { PartProcess } from "./part-process.ts";
import { expectSame } from "./same-counts.ts";
import { waitUntil } from "./wait-until.ts";

export const FAULT_SHARDS = 4;
/** Of the ingest process, whatever happens to it, in bytes; idle it takes some 90 MiB. */
export const INGEST_RSS_BYTES_MAX = 320 * 1024 ** 2;

const FOLDED_MS_MAX = 60_000;
export const FAULT_KEY = "fault-ingest-key";
export const FAULT_APP = "com.acme.till";

export interface IngestStart {
  /** YAML of `ingest.spool`. */
  readonly spool?: string;
  /** YAML of further settings of `ingest`, such as `processes: 2`. */
  readonly settings?: string;
  /** Before the command, such as `ulimit -f 100;`. */
  readonly shell?: string;
  /** In place of the stage's own. */
  readonly redisUrl?: string;
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface FaultStage {
  readonly folder: string;
  server(): TestRedis;
  /** Waits for Redis to come back. */
  readonly redis: Redis;
  startIngest(start?: IngestStart): Promise<PartProcess>;
  freezeRedis(): void;
  thawRedis(): void;
  killRedis(): Promise<void>;
  restartRedis(): Promise<void>;
  /** Bytes of all files below the spool's folder. */
  spoolBytes(): number;
  close(): Promise<void>;
}

export async function openFaultStage(): Promise<FaultStage> {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-fault-"));
  let server = await startTestRedis();
  const redis = new Redis({ ...server.options, replyMapping: "legacy" });
  redis.on("error", () => {});
  await redis.config("SET", "appendfsync", "always");
  const running = new Set<ChildProcess>();
  const signalRedis = (signal: NodeJS.Signals): void =>
    void process.kill(Number(readFileSync(path.join(server.folder, "redis.pid"), "utf8")), signal);
  let isUp = true;
  return {
    folder,
    server: () => server,
    redis,
    startIngest: (start = {}) => startIngestProcess({ folder, redisUrl: server.url, running, ...start }),
    freezeRedis: () => signalRedis("SIGSTOP"),
    thawRedis: () => signalRedis("SIGCONT"),
    async killRedis() {
      await server.kill();
      isUp = false;
    },
    async restartRedis() {
      server = await startTestRedis({ folder: server.folder });
      isUp = true;
      await redis.config("SET", "appendfsync", "always");
    },
    spoolBytes: () => bytesBelow(path.join(folder, "data", "spool")),
    async close() {
      for (const child of running) child.kill("SIGKILL");
      redis.disconnect();
      if (isUp) signalRedis("SIGCONT");
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Until Redis has all that waited on disk. */
export async function untilDrained(ingest: PartProcess, msMax = 60_000): Promise<void> {
  await waitUntil(
    () => ingest.sample("ota_ingest_spool_bytes"),
    (bytes) => bytes === 0,
    msMax,
  );
}

function bytesBelow(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).size, 0);
}

function configText({
  folder,
  spool,
  settings,
}: {
  readonly folder: string;
  readonly spool: string;
  readonly settings: string;
}): string {
  return `
data_dir: ${folder}/data
shards: ${FAULT_SHARDS}
ingest: { listen: "127.0.0.1:0", operations_listen: "127.0.0.1:0", spool: ${spool}, ${settings} }
apps:
  ${FAULT_APP}:
    ingest_keys: [${FAULT_KEY}]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: example-ota-secret }
    channels: { production: { policy: standard } }
policies:
  standard: { rules: [{ signal: update_failure, limit: 5% }] }
`;
}

function startIngestProcess({
  folder,
  spool = "{}",
  settings = "processes: 1",
  ...start
}: IngestStart & {
  folder: string;
  redisUrl: string;
  running: Set<ChildProcess>;
}): Promise<PartProcess> {
  const config = path.join(folder, "lastgood.yaml");
  writeFileSync(config, configText({ folder, spool, settings }));
  return startPart({ part: "ingest", config, ...start });
}

export interface Fleet {
  /** Devices whose report was acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** What those said, and when. */
  readonly told: readonly { readonly report: DeviceReport; readonly atMs: number }[];
  /** Answers by what they were: `202`, the code of a problem, or `unanswered`. */
  readonly answers: ReadonlyMap<string, number>;
  /** One request of as many devices. Leaves: what was answered. */
  send(devices?: number): Promise<string>;
  /** Requests one after the other in as many lanes. Leaves: the way to stop them, which waits for what is under way. */
  reportAllTheTime(lanes?: number): () => Promise<void>;
  retarget(ingest: Pick<PartProcess, "url">): void;
}

const FLEET_EVENTS = ["confirmed", "install_failed", "crashed", "installed"] as const;

/** Each report is of another device; one that was not acknowledged is never sent again, so that nothing hides a loss. */
export function createFleet(first: Pick<PartProcess, "url">): Fleet {
  let { url } = first;
  let next = 0;
  const acknowledged = new Set<string>();
  const told: { report: DeviceReport; atMs: number }[] = [];
  const answers = new Map<string, number>();
  const count = (answer: string): string => {
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
    return answer;
  };
  async function send(devices = 1): Promise<string> {
    const reports = Array.from({ length: devices }, () => reportOf(next++));
    try {
      const response = await fetch(`${url}/v1/reports`, {
        method: "POST",
        headers: { authorization: `Bearer ${FAULT_KEY}`, "content-type": "application/json" },
        body: JSON.stringify(reports),
        signal: AbortSignal.timeout(20_000),
      });
      const body = (await response.json()) as { code?: string };
      if (response.status === 202)
        for (const report of reports) {
          acknowledged.add(report.device);
          told.push({ report, atMs: Date.now() });
        }
      return count(response.status === 202 ? "202" : (body.code ?? String(response.status)));
    } catch {
      return count("unanswered");
    }
  }
  return {
    acknowledged,
    told,
    answers,
    send,
    reportAllTheTime(lanes = 8) {
      const over = new AbortController();
      const work = Array.from({ length: lanes }, async () => {
        while (!over.signal.aborted) {
          if ((await send(1 + (next % 20))) !== "202") await sleep(50);
          await sleep(2);
        }
      });
      return async () => {
        over.abort();
        await Promise.all(work);
      };
    },
    retarget: (ingest) => void ({ url } = ingest),
  };
}

function reportOf(number: number): DeviceReport {
  return {
    app: FAULT_APP,
    channel: "production",
    version: `1.${number % 3}.0`,
    device: `till-${number}`,
    event: FLEET_EVENTS[number % FLEET_EVENTS.length]!,
    at: Date.now() - (number % 1_000) * 1_000,
  } as unknown as DeviceReport;
}

export interface Counted {
  /** Reports that Redis has, each once however often it was written. */
  readonly reports: number;
  /** Reports that it has more than once. */
  readonly repeated: number;
}

/**
 * Everything acknowledged is in Redis, and the counts are those of what is there, by the model. Folds the streams, so it is
 * called once.
 */
export async function expectNothingLost({ redis }: FaultStage, fleet: Fleet): Promise<Counted> {
  const books = createNaiveCounts();
  const stored = new Map<string, number>();
  for (let shard = 0; shard < FAULT_SHARDS; shard += 1)
    for (const [, fields] of (await redis.xrange(reportStream(shard), "-", "+")) as [string, string[]][]) {
      const decoded = decodeReportEntry(fields);
      if (decoded.kind === "undecodable") throw new Error(decoded.reason);
      for (const { atMs, ...report } of decoded.entry.reports) {
        stored.set(report.device, (stored.get(report.device) ?? 0) + 1);
        books.tell({ ...report, at: atMs }, decoded.entry.receivedAtMs);
      }
    }
  expect([...fleet.acknowledged].filter((device) => !stored.has(device))).toEqual([]);
  await foldAll(redis);
  const health = createHealthStore({ redis, shards: FAULT_SHARDS });
  expectSame(inHours(await readCounts(health), 0), inHours(books.counts(), 0), "after the fault");
  return { reports: stored.size, repeated: [...stored.values()].filter((times) => times > 1).length };
}

/** The same where an agent folds: once the streams are empty, the app's counts are those of what was acknowledged. */
export async function expectCountedByAgent(
  { redis }: Pick<FaultStage, "redis">,
  fleet: Fleet,
  app: string,
): Promise<void> {
  const waiting = async (): Promise<number> => {
    let entries = 0;
    for (let shard = 0; shard < FAULT_SHARDS; shard += 1) entries += await redis.xlen(reportStream(shard));
    return entries;
  };
  await waitUntil(waiting, (entries) => entries === 0, FOLDED_MS_MAX);
  const books = createNaiveCounts();
  for (const { report, atMs } of fleet.told) books.tell(report, atMs);
  const counted = Object.entries(await readCounts(createHealthStore({ redis, shards: FAULT_SHARDS })));
  const ofApp = Object.fromEntries(counted.filter(([release]) => release.startsWith(`${app}|`)));
  expectSame(withoutReceipt(inHours(ofApp, 0)), withoutReceipt(inHours(books.counts(), 0)), "by the agent");
}

/** Without when reports were received: only the stream could say that, and it is empty. */
function withoutReceipt(counts: Record<string, ReleaseCounts>): Record<string, ReleaseCounts> {
  const none = { firstReportAtMs: 0, lastReportAtMs: 0, lastFailureAtMs: 0 };
  return Object.fromEntries(
    Object.entries(counts).map(([release, count]) => [release, { ...count, ...none }] as const),
  );
}

async function foldAll(redis: Redis): Promise<void> {
  for (let shard = 0; shard < FAULT_SHARDS; shard += 1)
    await foldShard({
      store: createShardStore({ redis, shard }),
      rules: DEFAULT_COUNTING_RULES,
      onChange: () => {},
      isStopping: () => false,
      nowMs: Date.now,
      heardFromMs: () => Promise.resolve(undefined),
    });
}
