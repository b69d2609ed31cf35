// A backlog at full size: two million entries wait while no agent runs, until ingest refuses more; then one
// agent works it off while devices go on sending what was refused. Prints its speed and its memory.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { SHARDS_DEFAULT } from "../../ingest/contract/stream-names.ts";
import { byShard, createBoundedAppend, encodeReports } from "../../ingest/stream-writer.ts";
import { sleep, systemClock } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import { compareStreamIds, lookAtStream, sendBacklog } from "../support/backlog.ts";
import type { BacklogSent } from "../support/backlog.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const MAIN = fileURLToPath(new URL("../../dist/agent/main.js", import.meta.url));
const DEVICES = 500_000;
const EVENTS = ["update_started", "installed", "confirmed", "active"] as const;
const REPORTS = DEVICES * EVENTS.length;
/** A little less than there will be, so that the last reports are refused until the agent has made room. */
const STREAM_ENTRIES_MAX = Math.floor((REPORTS / SHARDS_DEFAULT) * 0.98);
const SENDERS = 2_000;

/** What the agent may take while it works off any backlog, whatever its length. */
const AGENT_RSS_BYTES_MAX = 400 * 1024 ** 2;
/** How much more it may take in the second half of the work than in the first. */
const AGENT_RSS_GROWTH_MAX = 1.25;
const REPORTS_PER_SECOND_LEAST = 5_000;

let folder: string;
let server: TestRedis;
let redis: Redis;
let agent: ChildProcess | undefined;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-backlog-"));
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});

afterAll(async () => {
  agent?.kill("SIGKILL");
  await redis.quit();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startAgentProcess(): Promise<string> {
  const file = path.join(folder, "lastgood.yaml");
  writeFileSync(
    file,
    `
data_dir: ${folder}
log_level: warn
agent: { listen: "127.0.0.1:0" }
apps:
  ${TILL.app}:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: example-ota-secret }
    channels: { ${TILL.channel}: { policy: standard } }
policies:
  standard: { action: rollback, mode: shadow, rules: [{ signal: update_failure, limit: 5% }] }
`,
  );
  agent = spawn(process.execPath, [MAIN, "--config", file], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: { ...process.env, LASTGOOD_REDIS_URL: server.url },
  });
  const [message] = (await once(agent, "message")) as [{ urls: { http: string } }];
  return message.urls.http;
}

async function rssOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1]);
}

interface Sample {
  readonly atMs: number;
  readonly rssBytes: number;
  readonly waiting: number;
}

/** Looks at memory and at every stream until all is acknowledged and folded. */
async function watch(url: string, isAllSent: () => boolean): Promise<Sample[]> {
  const samples: Sample[] = [];
  const cursors = new Map<number, string>();
  for (;;) {
    const isLast = isAllSent();
    let waiting = 0;
    for (let shard = 0; shard < SHARDS_DEFAULT; shard += 1) {
      const { cursor, firstId, entries } = await lookAtStream(redis, shard);
      waiting += entries;
      expect(compareStreamIds(firstId, cursor)).toBeGreaterThan(0);
      expect(compareStreamIds(cursor, cursors.get(shard) ?? "0-0")).toBeGreaterThanOrEqual(0);
      cursors.set(shard, cursor);
    }
    samples.push({ atMs: performance.now(), rssBytes: await rssOf(url), waiting });
    if (isLast && waiting === 0) return samples;
    await sleep(200);
  }
}

it("works two million entries off at full speed, with memory that does not grow", async () => {
  const redisOfIngest = createRedis({
    url: server.url,
    role: "request",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  await waitUntilReady(redisOfIngest, 5_000);
  // Not in groups: an entry for each report is the most that the agent can be given to do.
  const { appendAlone } = createBoundedAppend({
    redis: redisOfIngest,
    streamEntriesMax: STREAM_ENTRIES_MAX,
    clock: systemClock,
  });
  let progress: BacklogSent = { acknowledged: 0, refused: 0 };
  const startedAtMs = performance.now();
  const sending = sendBacklog(
    {
      release: releaseOf("1.4.0"),
      devices: DEVICES,
      events: EVENTS,
      senders: SENDERS,
      write: async (reports) => {
        const { entries } = encodeReports({ reports, shards: SHARDS_DEFAULT, receivedAtMs: systemClock() });
        const { kind } = await appendAlone(byShard(entries));
        return kind === "appended" ? "written" : kind;
      },
    },
    (sent) => (progress = sent),
  );
  // Every sender waits: all that fits is in, and nothing more is taken.
  await waitUntil(
    async () => {
      const { acknowledged } = progress;
      await sleep(2_000);
      return { before: acknowledged, now: progress.acknowledged, refused: progress.refused };
    },
    ({ before, now, refused }) => before === now && refused > 0,
    240_000,
  );
  const stored = progress.acknowledged;
  const filledMs = performance.now() - startedAtMs;
  expect(stored).toBeGreaterThan(0.9 * REPORTS);
  expect(stored).toBeLessThan(REPORTS);

  const url = await startAgentProcess();
  let isAllSent = false;
  const workMs = performance.now();
  const [samples, sent] = await Promise.all([
    watch(url, () => isAllSent),
    sending.then((result) => {
      isAllSent = true;
      return result;
    }),
  ]);
  const seconds = (samples.at(-1)!.atMs - workMs) / 1_000;
  const half = Math.floor(samples.length / 2);
  const highest = (part: readonly Sample[]): number => Math.max(...part.map(({ rssBytes }) => rssBytes));
  const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
  process.stdout.write(
    `backlog: ${stored} entries stored in ${(filledMs / 1_000).toFixed(1)} s, then refused; ` +
      `${REPORTS} reports worked off in ${seconds.toFixed(1)} s, ${Math.round(REPORTS / seconds)} a second; ` +
      `agent at most ${mib(highest(samples))} (first half ${mib(highest(samples.slice(0, half)))}, ` +
      `second half ${mib(highest(samples.slice(half)))}); ${samples.length} samples\n`,
  );

  expect(sent.acknowledged).toBe(REPORTS);
  const health = createHealthStore({ redis, shards: SHARDS_DEFAULT });
  expect((await health.readRelease(releaseOf("1.4.0"))).devices).toMatchObject({
    update_started: DEVICES,
    installed: DEVICES,
    confirmed: DEVICES,
    active: DEVICES,
    attempted: DEVICES,
    failed: 0,
  });
  expect(await health.readFoldTotals()).toEqual({ folded: REPORTS, deadLetters: 0 });
  expect(highest(samples)).toBeLessThan(AGENT_RSS_BYTES_MAX);
  expect(highest(samples.slice(half)) / highest(samples.slice(0, half))).toBeLessThan(AGENT_RSS_GROWTH_MAX);
  expect(REPORTS / seconds).toBeGreaterThan(REPORTS_PER_SECOND_LEAST);
  await closeRedis(redisOfIngest);
}, 600_000);
