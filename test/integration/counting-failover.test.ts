// Counting across the death of primaries, on a Redis Cluster of six servers: devices of all kinds report, with
// WAIT as ingest does it, and two agents fold all shards against each other. Primaries are killed while both
// go on, and right after commits and reports that no replica has: then older shards are back, with whatever was
// acknowledged. Each time every count is in the end that of the naive model.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import type { CountingRules } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { horizonsAt, slotOf } from "../../agent/health/health-window.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { primariesOf, serverOf } from "../../runtime/redis-servers.ts";
import { closeRedis, createRedis, isRedisAway, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis, RedisRole } from "../../runtime/redis.ts";
import { FIELD, tellStories } from "../support/fleet-stories.ts";
import type { Saying } from "../support/fleet-stories.ts";
import { createNaiveCounts } from "../support/naive-counts.ts";
import { readCounts, readDeviceView } from "../support/read-counts.ts";
import { startTestRedisCluster } from "../support/redis-cluster.ts";
import type { TestRedisCluster } from "../support/redis-cluster.ts";
import { compareTrees, expectSame } from "../support/same-counts.ts";
import { waitUntil } from "../support/wait-until.ts";

/** In a cluster made anew, shards 0, 3 and 2 are at different primaries. */
const SHARDS = 6;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** All reports come in between these two. */
const FROM_MS = Date.UTC(2026, 0, 31, 6);
const TO_MS = FROM_MS + 6 * HOUR_MS;

/** In the field devices say one word each; only there deadlines pass while devices report. */
const SOON_MS = 10 * MINUTE_MS;
const DEADLINE_MS = 12 * HOUR_MS;
const RULES: CountingRules = {
  ...DEFAULT_COUNTING_RULES,
  silenceDeadlineMsOf: ({ channel }) => (channel === FIELD.channel ? SOON_MS : DEADLINE_MS),
};
/** By the agents' clock: the deadlines in the field are over, and then all of them. */
const REPORTED_MS = TO_MS + 2 * SOON_MS;
const ALL_DUE_MS = TO_MS + DEADLINE_MS + 2 * MINUTE_MS;

const SEED = 5;
const DEVICES = 700;
const REPORTS_PER_REQUEST = 40;
/** Requests at the same time. */
const LANES = 3;
const TRIES_MAX = 1_000;

interface Agent {
  readonly redis: Redis;
  readonly stores: readonly ShardStore[];
}

const logger = createLogger({ name: "test", level: "silent" });
const sayings = tellStories({ seed: SEED, devices: DEVICES, fromMs: FROM_MS, toMs: TO_MS });
const model = createNaiveCounts({ rules: RULES });
const connections: Redis[] = [];

let cluster: TestRedisCluster;
let ingestRedis: Redis;
let agents: readonly Agent[];
let redis: Redis;
let health: HealthStore;
let nowMs = REPORTED_MS;
/** Of one test. */
let reports = { foldedBefore: 0, acknowledged: 0, refused: 0 };

beforeAll(async () => {
  cluster = await startTestRedisCluster();
  [redis, ingestRedis] = [await connect("worker"), await connect("request")];
  health = createHealthStore({ redis, shards: SHARDS });
  agents = [await openAgent(), await openAgent()];
}, 60_000);
afterAll(async () => {
  await Promise.all(connections.map(closeRedis));
  await cluster?.stop();
}, 60_000);

beforeEach(async () => {
  const { folded } = await health.readFoldTotals();
  reports = { foldedBefore: folded, acknowledged: 0, refused: 0 };
});

async function connect(role: RedisRole): Promise<Redis> {
  const connection = createRedis({ url: cluster.urls, role, logger });
  connections.push(connection);
  await waitUntilReady(connection, 5_000);
  return connection;
}

/** What it remembers of shards lives as long as it does. */
async function openAgent(): Promise<Agent> {
  const connection = await connect("worker");
  const stores = Array.from({ length: SHARDS }, (_, shard) => createShardStore({ redis: connection, shard }));
  return { redis: connection, stores };
}

/** Everything, in requests that are sent until they are acknowledged, as devices do. */
async function send(told: readonly Saying[], atThird?: () => void): Promise<void> {
  const requests = Array.from({ length: Math.ceil(told.length / REPORTS_PER_REQUEST) }, (_, index) =>
    told.slice(index * REPORTS_PER_REQUEST, (index + 1) * REPORTS_PER_REQUEST),
  );
  const third = Math.floor(requests.length / 3);
  let next = 0;
  const sendLane = async (): Promise<void> => {
    for (let index = next++; index < requests.length; index = next++) {
      if (index === third) atThird?.();
      await sendUntilAcknowledged(requests[index]!);
    }
  };
  await Promise.all(Array.from({ length: LANES }, sendLane));
}

async function sendUntilAcknowledged(request: readonly Saying[]): Promise<void> {
  // Nobody knows what a refused request has left behind: at the same time again, it is the same reports.
  const receivedAtMs = Math.ceil(request.at(-1)!.arrivesAtMs);
  const writer = createStreamWriter({
    redis: ingestRedis,
    shards: SHARDS,
    streamEntriesMax: 100_000,
    replicaAcks: 1,
    clock: () => receivedAtMs,
  });
  const batch = request.map(({ report }) => report);
  for (let tries = 0; (await writer.write(batch)).kind !== "written"; tries += 1) {
    if (tries === TRIES_MAX) throw new Error("a request was never acknowledged");
    reports.refused += batch.length;
    await sleep(20);
  }
  reports.acknowledged += batch.length;
  batch.forEach((report) => model.tell(report, receivedAtMs));
}

/** Each folds every shard, and looks for silence. Leaves: how many commits lost against the other's. */
async function foldAll(): Promise<number> {
  const folds = agents.flatMap(({ stores }) => stores.map(foldOne));
  return (await Promise.all(folds)).reduce((sum, lost) => sum + lost, 0);
}

/** Until stopped, and then once more. Leaves: the same. */
function keepFolding(): { stop(): Promise<number> } {
  let stopping = false;
  const isStopping = (): boolean => stopping;
  const fold = async (): Promise<number> => {
    let lost = 0;
    while (!isStopping()) {
      lost += await foldAll();
      await sleep(5);
    }
    return lost + (await foldAll());
  };
  const folded = fold();
  return {
    stop() {
      stopping = true;
      return folded;
    },
  };
}

async function foldOne(store: ShardStore): Promise<number> {
  try {
    const { lost } = await foldShard({
      store,
      rules: RULES,
      onChange: () => {},
      isStopping: () => false,
      nowMs: () => nowMs,
      heardFromMs: () => Promise.resolve(FROM_MS),
    });
    return lost;
  } catch (error) {
    // The job ends, and the next one goes on.
    if (!isRedisAway(error)) throw error;
    return 0;
  }
}

async function rollUpAll(): Promise<void> {
  await Promise.all(
    agents.flatMap((agent) =>
      agent.stores.map((_, shard) =>
        rollUpShard({ redis: agent.redis, shard, nowMs, which: "all", isStopping: () => false }),
      ),
    ),
  );
}

async function replace(primary: number, key: string): Promise<void> {
  await cluster.kill(primary);
  await cluster.untilTakenOver(key, primary);
  await cluster.restart(primary);
}

/** The primary of a shard dies, and all that was committed there during the work is lost with it. */
async function loseWork(shard: number, work: () => Promise<unknown>): Promise<void> {
  const key = reportStream(shard);
  const primary = await cluster.primaryOf(key);
  const server = serverOf(redis, key)!;
  const [, replica] = /^slave0:.*port=(\d+)/m.exec(await server.info("replication"))!;
  // What is on its way to a server that stands still arrives; what is sent after this does not.
  cluster.signal(Number(replica), "SIGSTOP");
  await server.call("CLIENT", "KILL", "TYPE", "replica");
  await work();
  const replaced = replace(primary, key);
  cluster.signal(Number(replica), "SIGCONT");
  await replaced;
}

type Expected = ReturnType<typeof model.counts>;

async function expectLost(expected: Expected): Promise<void> {
  expect(compareTrees(await readCounts(health), expected).differences).not.toEqual([]);
}

/** All is folded, and every count and device is as it should be. */
async function expectCounted(when: string, expected: Expected): Promise<void> {
  const lag = await health.readLag(nowMs);
  expect(lag.filter(({ waitingEntries }) => waitingEntries > 0)).toEqual([]);
  const { folded, deadLetters } = await health.readFoldTotals();
  expect(deadLetters).toBe(0);
  const { foldedBefore, acknowledged, refused } = reports;
  expect(folded).toBeGreaterThanOrEqual(foldedBefore + acknowledged);
  expect(folded).toBeLessThanOrEqual(foldedBefore + acknowledged + refused);
  expectSame(await readCounts(health), expected, when);
  const devices = new Map(
    sayings.map(({ report: { app, device } }) => [`${app}|${device}`, { app, device }]),
  );
  for (const { app, device } of devices.values())
    expect(await readDeviceView(health, app, device)).toEqual(model.device(app, device));
  const dirty = (await health.listDirty()).map(({ release }) => formatReleaseKey(release));
  expect(dirty.toSorted()).toEqual(Object.keys(expected).toSorted());
}

function sumOf(outcome: "silent" | "returned_late"): number {
  return Object.values(model.counts()).reduce((sum, { devices }) => sum + devices[outcome], 0);
}

describe("counts are those of the naive model", () => {
  const half = Math.floor(sayings.length / 2);

  it("when a primary dies while devices report and two agents fold", async () => {
    const owners = Array.from({ length: SHARDS }, (_, shard) => serverOf(redis, reportStream(shard)));
    expect(new Set(owners).size).toBe(primariesOf(redis).length);
    const primary = await cluster.primaryOf(reportStream(0));
    const folding = keepFolding();
    let replaced = Promise.resolve();
    await send(sayings.slice(0, half), () => void (replaced = replace(primary, reportStream(0))));
    await replaced;
    expect(await folding.stop()).toBeGreaterThan(0);
    expect(reports.refused).toBeGreaterThan(0);
    model.look(nowMs, { heardFromMs: FROM_MS });
    expect(sumOf("silent")).toBeGreaterThan(0);
    await expectCounted("after a death under load", model.counts());
  }, 60_000);

  it("when a primary dies with its newest commits, and with reports that were not acknowledged", async () => {
    const silent = new Map(
      sayings
        .slice(0, half)
        .filter(({ report: { channel } }) => channel === FIELD.channel)
        .map(({ report }) => [report.device, report]),
    );
    const back = [...silent.values()]
      .filter((_, index) => index % 2 === 0)
      .map((report): Saying => ({
        report: { ...report, event: "confirmed", at: TO_MS },
        arrivesAtMs: TO_MS,
      }));
    await send(sayings.slice(half));
    model.look(nowMs, { heardFromMs: FROM_MS });
    const counts = model.counts();
    let sending = Promise.resolve();
    await loseWork(3, async () => {
      await foldAll();
      await expectCounted("before the death", counts);
      // The primary has these, and no replica.
      sending = send(back);
      await waitUntil(
        () => reports.refused,
        (refused) => refused > 0,
      );
    });
    await expectLost(counts);
    await sending;
    expect(sumOf("returned_late")).toBe(back.length);
    await foldAll();
    await expectCounted("after a death with commits", model.counts());
  }, 60_000);

  it("when a primary dies with the devices that were found silent, and with windows that were rolled up", async () => {
    const silentBefore = sumOf("silent");
    nowMs = ALL_DUE_MS;
    model.look(nowMs, { heardFromMs: FROM_MS });
    expect(sumOf("silent")).toBeGreaterThan(silentBefore);
    const horizons = horizonsAt(Math.floor(nowMs / MINUTE_MS));
    const counts = model.counts({ slotOf: (minute) => slotOf(minute, horizons) });

    await loseWork(2, async () => {
      await foldAll();
      await rollUpAll();
      await expectCounted("before the death", counts);
    });
    await expectLost(counts);
    await foldAll();
    await rollUpAll();
    await expectCounted("after a death with silence and a roll-up", counts);
  }, 60_000);
});
