// Lastgood on a Redis Cluster of six servers: the same ingest and agent, unchanged. Reports come in, a bad
// release is rolled back once, and while devices go on reporting one primary after the other dies, or stands
// still and comes back believing that it leads. In the end every count is what the devices have told.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { QUEUE_PREFIX } from "../../agent/jobs/queues.ts";
import { JOURNAL } from "../../agent/journal/control-keys.ts";
import { checkChain } from "../../agent/journal/journal-entry.ts";
import type { JournalEntry } from "../../agent/journal/journal-entry.ts";
import { checkRedis } from "../../agent/preflight.ts";
import type { AppId, Channel, Version } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { REPLICA_ACK_MS_MAX } from "../../ingest/entry-appender.ts";
import { startIngest } from "../../ingest/ingest.ts";
import type { RunningIngest } from "../../ingest/ingest.ts";
import { sleep, systemClock } from "../../runtime/clock.ts";
import { keySlot } from "../../runtime/key-slot.ts";
import { createLogger } from "../../runtime/logger.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import { closeRedis, createRedis, isRedisAway, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import {
  isCluster,
  pingServers,
  primariesOf,
  serverOf,
  watchReplication,
} from "../../runtime/redis-servers.ts";
import { agentSettings, startOtaServer } from "../support/agent.ts";
import type { TestOtaServer } from "../support/agent.ts";
import { createTestIngest, manyReports, sendReports } from "../support/ingest-app.ts";
import { startTestRedisCluster } from "../support/redis-cluster.ts";
import type { TestRedisCluster } from "../support/redis-cluster.ts";
import { waitUntil } from "../support/wait-until.ts";

const SHARDS = 12;
const CHANNEL = "production" as Channel;
const APPS = ["before", "steady", "after"] as const;
type App = (typeof APPS)[number];
const logger = createLogger({ name: "test", level: "silent" });

let cluster: TestRedisCluster;
let ota: TestOtaServer;
let ingest: RunningIngest;
let agent: RunningAgent;

beforeAll(async () => {
  cluster = await startTestRedisCluster();
  ota = await startOtaServer();
  for (const app of APPS)
    ["1.3.0", "1.4.0"].forEach((version, index) =>
      ota.publish({
        app: app as string as AppId,
        channel: CHANNEL,
        version: version as Version,
        releasedAtMs: Date.now() - (3 - index) * 86_400_000,
      }),
    );
  const apps = APPS.map((name) => ({ name, otaUrl: ota.url }));
  const settings = { ...agentSettings(apps), shards: SHARDS, replicaAcks: 1 };
  const ofIngest = [...settings.apps].map(
    ([app, { ingestKeys }]) => [app, { ingestKeys, channels: new Set([CHANNEL]) }] as const,
  );
  const started = { redisUrl: cluster.urls, version: "0.0.0", logger };
  ingest = await startIngest({ ...started, settings: { ...settings, apps: new Map(ofIngest) } });
  agent = await startAgent({ ...started, settings });
}, 60_000);

afterAll(async () => {
  await agent?.stop(5_000);
  await ingest?.stop(5_000);
  await ota?.close();
  await cluster?.stop();
}, 60_000);

interface Told {
  readonly app: App;
  readonly version: string;
  readonly device: string;
  readonly event: string;
}

/** What the devices have told, as plainly as can be: a set of events for each device of each release. */
const told = new Map<string, Map<string, Set<string>>>();

function note({ app, version, device, event }: Told): void {
  const release = `${app} ${version}`;
  const devices = told.get(release) ?? new Map<string, Set<string>>();
  told.set(release, devices);
  devices.set(device, (devices.get(device) ?? new Set()).add(event));
}

function expectedCounts(app: App, version: string): Record<string, number> {
  const devices = [...(told.get(`${app} ${version}`)?.values() ?? [])];
  const count = (holds: (events: Set<string>) => boolean): number => devices.filter(holds).length;
  const events = ["update_started", "installed", "confirmed", "reverted", "crashed", "active"];
  return {
    ...Object.fromEntries(events.map((event) => [event, count((of) => of.has(event))])),
    attempted: count((of) => ["update_started", "installed", "confirmed", "reverted"].some((e) => of.has(e))),
    failed: count((of) => of.has("reverted")),
    recovered: count((of) => of.has("reverted") && of.has("confirmed")),
  };
}

/** How often reports had to be sent again. */
let refusals = 0;

/** Sends until it is acknowledged, as devices do. Bounded. */
async function report(reports: readonly Told[]): Promise<void> {
  reports.forEach(note);
  const body = JSON.stringify(reports.map((one) => ({ ...one, channel: CHANNEL })));
  const headers = { authorization: "Bearer example-ingest-key", "content-type": "application/json" };
  for (let tries = 0; tries < 300; tries += 1) {
    const response = await fetch(`${ingest.url}/v1/reports`, { method: "POST", body, headers });
    const answer = (await response.json()) as { accepted?: number; code?: string };
    if (response.status === 202) return expect(answer.accepted).toBe(reports.length);
    expect(answer.code).toBe("redis_unavailable");
    refusals += 1;
    await sleep(100);
  }
  throw new Error("reports were refused 300 times");
}

function reportsOf(app: App, version: string, device: number, events: readonly string[]): Told[] {
  return events.map((event) => ({ app, version, device: `device-${device}`, event }));
}

/** 20 of 100 devices come back from it. */
async function reportBad(app: App): Promise<void> {
  const devices = Array.from({ length: 100 }, (_, device) =>
    reportsOf(app, "1.4.0", device, ["update_started", "installed", device < 20 ? "reverted" : "confirmed"]),
  );
  await report(devices.flat());
}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(`${agent.url}${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

interface Status {
  readonly channels: {
    app: string;
    releases: { version: string; devices: Record<string, number> }[];
  }[];
}

async function expectCounts(app: App, version: string): Promise<void> {
  const expected = expectedCounts(app, version);
  const read = async (): Promise<Record<string, number> | undefined> => {
    const { channels } = await get<Status>("/v1/status");
    const ofApp = channels.find((channel) => channel.app === app)!;
    return ofApp.releases.find((release) => release.version === version)?.devices;
  };
  const isEqual = (devices: Record<string, number> | undefined): boolean =>
    Object.entries(expected).every(([name, count]) => devices?.[name] === count);
  await waitUntil(read, isEqual).catch(() => {});
  expect(await read()).toMatchObject(expected);
}

async function expectOneRollback(app: App): Promise<void> {
  const decisions = async () =>
    (
      await get<{ decisions: { app: string; outcome: { kind: string } | null }[] }>("/v1/decisions")
    ).decisions.filter((decision) => decision.app === app);
  const ended = await waitUntil(
    decisions,
    (all) => all.length > 0 && all.every(({ outcome }) => outcome !== null),
  );
  expect(ended).toMatchObject([{ version: "1.4.0", target: "1.3.0", outcome: { kind: "applied" } }]);
  const calls = ota.calls().filter((one) => one.call === "rollback" && one.app === app);
  expect(calls).toMatchObject([{ acted: true, status: 200 }]);
}

async function withRedis<T>(role: "request" | "worker", use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = createRedis({ url: cluster.urls, role, logger });
  try {
    await waitUntilReady(redis, 5_000);
    return await use(redis);
  } finally {
    await closeRedis(redis);
  }
}

describe("a connection to a cluster", () => {
  it("knows which server owns a key, as the cluster says itself", async () => {
    await withRedis("request", async (redis) => {
      expect(isCluster(redis)).toBe(true);
      expect(primariesOf(redis).length).toBe(3);
      const keys = [
        "",
        "a",
        "{lg:1}:x",
        "{}a",
        "a{b}c{d}",
        JOURNAL,
        "ü{",
        "{",
        "}{x}",
        "x".repeat(1_000),
        "123456789",
      ];
      for (const key of keys) {
        expect(await serverOf(redis, key)!.cluster("KEYSLOT", key)).toBe(keySlot(key));
      }
      expect(
        new Set(Array.from({ length: SHARDS }, (_, shard) => serverOf(redis, reportStream(shard)))).size,
      ).toBe(3);
      await pingServers(redis);
    });
  });

  it("runs a script at whichever server has the key, loaded there or not", async () => {
    const url = new URL("../../agent/health/lua/clear-dirty.lua", import.meta.url);
    await withRedis("worker", async (redis) => {
      const script = loadLuaScript(url);
      for (let shard = 0; shard < SHARDS; shard += 1)
        expect(await script.run(redis, [`{lg:${shard}}:nothing`], ["a", "b"])).toBe(0);
    });
  });

  it("tells whether replicas have what was written", async () => {
    await withRedis("worker", async (redis) => {
      const [byOne, byTwo] = [1, 2].map((replicas) => watchReplication(redis, "{lg:0}:nothing", replicas));
      await redis.set("{lg:0}:nothing", "here");
      await redis.del("{lg:0}:nothing");
      await waitUntil(byOne!, (isReplicated) => isReplicated, 1_000);
      expect(await byOne!()).toBe(true);
      expect(await byTwo!()).toBe(false);
    });
  });

  it("checks every primary at the start, and names the one that is not fit", async () => {
    await withRedis("worker", async (redis) => {
      expect(await checkRedis({ redis, replicaAcks: 1, clock: systemClock })).toEqual([]);
      const port = await cluster.primaryOf(JOURNAL);
      await serverOf(redis, JOURNAL)!.config("SET", "maxmemory-policy", "allkeys-lru");
      const findings = await checkRedis({ redis, replicaAcks: 2, clock: systemClock });
      await serverOf(redis, JOURNAL)!.config("SET", "maxmemory-policy", "noeviction");
      expect(findings.filter(({ level }) => level === "refuse").map(({ detail }) => detail)).toEqual([
        `127.0.0.1:${port}: Redis may evict counts (maxmemory-policy is allkeys-lru): set maxmemory-policy to noeviction.`,
      ]);
      expect(findings.filter(({ level }) => level === "warn").length).toBe(3);
    });
  });
});

describe("ingest", () => {
  it("is refused when fewer replicas than asked for acknowledge, however many requests wait", async () => {
    await withRedis("request", async (redis) => {
      const { app } = createTestIngest({ redis, replicaAcks: 2 });
      const startedAt = performance.now();
      const answers = await Promise.all(Array.from({ length: 20 }, () => sendReports(app, manyReports(50))));
      for (const { status, body } of answers)
        expect({ status, code: body.code }).toEqual({ status: 503, code: "redis_unavailable" });
      // Each waits for the one before it at most, not for all of them.
      expect(performance.now() - startedAt).toBeLessThan(2 * REPLICA_ACK_MS_MAX + 1_000);
    });
    await withRedis("request", async (redis) => {
      const { app } = createTestIngest({ redis, replicaAcks: 1 });
      await Promise.all(Array.from({ length: 20 }, () => sendReports(app, manyReports(50)).expect(202)));
      // What this test has written belongs to none of the apps that are counted below.
    });
  });
});

describe("Lastgood on a cluster", () => {
  it("counts, and rolls a bad release back once", async () => {
    await reportBad("before");
    await expectOneRollback("before");
    await expectCounts("before", "1.4.0");
  }, 30_000);

  it("goes on, exactly, when primaries die and stand still while devices report", async () => {
    const reporting = steadyReporting();
    await sleep(500);
    // The one with the queues, the one with the journal, and one that wakes up as a leader of the past.
    for (const key of [`${QUEUE_PREFIX}:fold`, JOURNAL]) {
      const victim = await cluster.primaryOf(key);
      await cluster.kill(victim);
      await cluster.untilTakenOver(key, victim);
      await cluster.restart(victim);
      await sleep(500);
    }
    const frozen = await cluster.primaryOf(reportStream(0));
    cluster.signal(frozen, "SIGSTOP");
    await cluster.untilTakenOver(reportStream(0), frozen);
    cluster.signal(frozen, "SIGCONT");
    await sleep(1_000);
    const devices = await reporting.stop();
    expect(refusals).toBeGreaterThan(0);
    expect(devices).toBeGreaterThan(500);
    await expectCounts("steady", "1.3.0");
    await expectCounts("steady", "1.4.0");
    await expectCounts("before", "1.4.0");
  }, 80_000);

  it("has lost no decision, makes none twice, and still rolls back", async () => {
    await reportBad("after");
    await expectOneRollback("after");
    await expectOneRollback("before");
    await expectCounts("after", "1.4.0");
    const { entries } = await get<{ entries: JournalEntry[] }>("/v1/journal?limit=1000");
    expect(checkChain(entries)).toEqual({ kind: "intact", entries: entries.length });
    expect(entries.filter(({ kind }) => kind === "decision").length).toBe(2);
    expect(ota.calls().filter(({ call }) => call === "rollback").length).toBe(2);
  }, 30_000);

  it("says that it is ready, and lags behind with nothing", async () => {
    expect((await fetch(`${ingest.operationsUrl}/readyz`)).status).toBe(200);
    expect((await fetch(`${agent.url}/readyz`)).status).toBe(200);
    const lag = await waitUntil(
      () => get<{ waiting_entries: number }>("/v1/lag"),
      ({ waiting_entries }) => waiting_entries === 0,
    );
    expect(lag.waiting_entries).toBe(0);
    expect(await (await fetch(`${agent.url}/metrics`)).text()).toMatch(/^ota_redis_up 1$/m);
  });

  it("answers at once while a primary is away: 503, and it heals", async () => {
    await withRedis("request", async (redis) => {
      const victim = await cluster.primaryOf(reportStream(1));
      await cluster.kill(victim);
      const startedAt = performance.now();
      const failure: unknown = await redis.xlen(reportStream(1)).catch((error: unknown) => error);
      expect(isRedisAway(failure)).toBe(true);
      await expect(pingServers(redis)).rejects.toThrow(/./);
      expect(performance.now() - startedAt).toBeLessThan(1_000);
      await cluster.untilTakenOver(reportStream(1), victim);
      await waitUntil(
        () => redis.xlen(reportStream(1)).catch(() => undefined),
        (length) => length !== undefined,
        3_000,
      );
      await waitUntil(
        () => pingServers(redis).then(() => "ok", String),
        (state) => state === "ok",
        3_000,
      );
    });
  }, 30_000);
});

const SENDERS = 6;
const STEADY_DEVICES_MAX = 20_000;

/** Devices that update one after the other, some of them badly, and say some things twice; until stopped. */
function steadyReporting(): { stop(): Promise<number> } {
  let next = 0;
  let stopping = false;
  const isStopping = (): boolean => stopping;
  const send = async (): Promise<void> => {
    while (!isStopping() && next < STEADY_DEVICES_MAX) {
      const first = next;
      next += 10;
      const reports: Told[] = [];
      for (let device = first; device < first + 10; device += 1) {
        const events = ["update_started", "installed", device % 50 === 0 ? "reverted" : "confirmed"];
        if (device % 100 === 0) events.push("confirmed");
        reports.push(...reportsOf("steady", "1.4.0", device, events));
        reports.push(
          ...reportsOf("steady", "1.3.0", device, device % 7 === 0 ? ["active", "crashed"] : ["active"]),
        );
        reports.push(...reportsOf("steady", "1.4.0", Math.floor(device / 2), ["installed"]));
      }
      await report(reports);
      await sleep(20);
    }
  };
  const senders = Promise.all(Array.from({ length: SENDERS }, send));
  return {
    async stop() {
      stopping = true;
      await senders;
      return next;
    },
  };
}
