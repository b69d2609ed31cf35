// Evaluating a channel on a real Redis, with reports that were really folded: a fleet that does not say
// when it begins, devices that fall silent, releases that retired, and what stays on the list for the next sweep.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES, SILENCE_DEADLINE_MS_DEFAULT } from "../../agent/health/counting-rules.ts";
import { openStores } from "../../agent/pipeline.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { FINE_SLOT_MINUTES } from "../../agent/health/health-window.ts";
import { SETTLE_MS } from "../../agent/health/settled-counts.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { evaluateChannel } from "../../agent/jobs/evaluate-channel.ts";
import type { WatchedChannel } from "../../agent/jobs/watched-channel.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { createSummaryStore } from "../../agent/journal/summary-store.ts";
import type { SummaryStore } from "../../agent/journal/summary-store.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf, samplePolicy, version } from "../support/verdicts.ts";

/** A whole number of slots after the epoch. */
const START_MS = Date.UTC(2026, 0, 31, 12);
const SLOT_MS = FINE_SLOT_MINUTES * 60_000;
const RELEASE = releaseOf("1.4.0");

let server: TestRedis;
let redis: Redis;
let nowMs: number;
let store: ShardStore;
let health: HealthStore;
let summaries: SummaryStore;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  nowMs = START_MS;
  store = createShardStore({ redis, shard: 0 });
  health = createHealthStore({ redis, shards: 1 });
  summaries = createSummaryStore({ redis });
});

async function report(devices: number, ...events: DeviceEvent[]): Promise<void> {
  await reportOf(RELEASE, devices, ...events);
  await fold();
}

async function reportOf(release: ReleaseKey, devices: number, ...events: DeviceEvent[]): Promise<void> {
  const reports = Array.from({ length: devices }, (_, device) =>
    events.map((event) => ({ ...release, device: `${release.version}-${device}`, event, atMs: nowMs })),
  ).flat();
  await redis.xadd(reportStream(0), "*", ...encodeReportEntry({ receivedAtMs: nowMs, reports }));
}

async function fold(deadlineMs = SILENCE_DEADLINE_MS_DEFAULT, of: ShardStore = store): Promise<void> {
  await foldShard({
    store: of,
    rules: { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => deadlineMs },
    onChange: () => {},
    isStopping: () => false,
    nowMs: () => nowMs,
    heardFromMs: () => Promise.resolve(0),
  });
}

function offeredRelease(text: string) {
  return { version: version(text), releasedAt: "2026-01-30T12:00:00.000Z" };
}

const offered: Pick<OtaServer, "capabilities" | "readChannel" | "rollback"> = {
  capabilities: { rollback: true, pause: true },
  readChannel: () =>
    Promise.resolve({
      kind: "channel",
      state: {
        version: version("1.4.0"),
        releases: ["1.4.0", "1.3.0"].map(offeredRelease),
      },
    }),
  rollback: () => Promise.reject(new Error("evaluating must not act")),
};

/** Leaves: ids of the decisions that were made. */
async function evaluate(watched: Partial<WatchedChannel> = {}): Promise<string[]> {
  const decided: string[] = [];
  await evaluateChannel(
    {
      key: TILL,
      policy: samplePolicy(),
      minimumVersion: undefined,
      server: offered as OtaServer,
      ...watched,
    },
    {
      ...openStores(redis, 1),
      health,
      onDecision: (id) => Promise.resolve(void decided.push(id)),
      onNews: () => Promise.resolve(),
      watchReplication: () => () => Promise.resolve(true),
      clock: () => nowMs,
      logger: createLogger({ name: "test", level: "silent" }),
    },
  );
  return decided;
}

async function dirtyVersions(): Promise<string[]> {
  return (await health.listDirty()).map(({ release }) => release.version);
}

describe("a fleet that does not announce its attempts", () => {
  it("is not accused by its first answers, stays on the list, and is accused once they have settled", async () => {
    await report(20, "install_failed");
    expect(await evaluate()).toEqual([]);
    expect((await summaries.read(RELEASE))!.verdict).toMatchObject({
      kind: "inconclusive",
      reason: "attempts_not_announced",
      signals: [{ failures: 0, trials: 20 }],
    });
    expect(await dirtyVersions()).toEqual(["1.4.0"]);

    nowMs = START_MS + SLOT_MS + SETTLE_MS - 1;
    expect(await evaluate()).toEqual([]);
    expect(await dirtyVersions()).toEqual(["1.4.0"]);

    // No report comes any more: time alone changes the verdict.
    nowMs += 1;
    expect((await evaluate()).length).toBe(1);
    expect((await summaries.read(RELEASE))!.verdict).toMatchObject({
      kind: "failing",
      signals: [{ failures: 20, trials: 20 }],
    });
    expect(await dirtyVersions()).toEqual([]);
  });

  it("is left alone when the good answers come meanwhile", async () => {
    await report(5, "install_failed");
    expect(await evaluate()).toEqual([]);
    nowMs += SLOT_MS;
    const good = Array.from({ length: 995 }, (_, device) => ({
      ...RELEASE,
      device: `good-${device}`,
      event: "confirmed" as const,
      atMs: nowMs,
    }));
    await redis.xadd(reportStream(0), "*", ...encodeReportEntry({ receivedAtMs: nowMs, reports: good }));
    await fold();
    nowMs += SETTLE_MS + SLOT_MS;
    expect(await evaluate()).toEqual([]);
    expect((await summaries.read(RELEASE))!.verdict).toMatchObject({
      kind: "inconclusive",
      reason: "attempts_not_announced",
      signals: [{ failures: 5, trials: 1_000 }],
    });
    expect(await dirtyVersions()).toEqual([]);
  });

  it("the same failures are accused at once where they were announced", async () => {
    await report(20, "update_started", "install_failed");
    expect((await evaluate()).length).toBe(1);
    expect(await dirtyVersions()).toEqual([]);
  });
});

describe("devices that fall silent", () => {
  const policy = samplePolicy({
    rules: [{ form: "limit", signal: "silence", limit: 0.02, deadlineMs: SILENCE_DEADLINE_MS_DEFAULT }],
  });

  it("change counts without a report: the release is on the list, and is accused", async () => {
    await report(20, "update_started");
    expect(await evaluate({ policy })).toEqual([]);
    expect(await dirtyVersions()).toEqual([]);
    // The whole minute in which they began, and the deadline.
    nowMs = START_MS + 60_000 + SILENCE_DEADLINE_MS_DEFAULT - 1;
    await fold();
    expect(await dirtyVersions()).toEqual([]);
    nowMs += 1;
    await fold();
    expect(await dirtyVersions()).toEqual(["1.4.0"]);
    expect((await evaluate({ policy })).length).toBe(1);
    expect((await summaries.read(RELEASE))!.verdict).toMatchObject({
      kind: "failing",
      signals: [{ signal: "silence", failures: 20, trials: 20 }],
    });
    expect(await dirtyVersions()).toEqual([]);
  });

  it("and come back before anybody looked again accuse nobody", async () => {
    await report(20, "update_started");
    nowMs = START_MS + 60_000 + SILENCE_DEADLINE_MS_DEFAULT;
    await fold();
    await report(20, "confirmed");
    expect(await evaluate({ policy })).toEqual([]);
    expect((await summaries.read(RELEASE))!.verdict).toMatchObject({
      signals: [{ signal: "silence", failures: 0, trials: 20 }],
    });
  });

  it("by a shorter deadline than the rule has now accuse nobody; those of the next release do", async () => {
    const [hourMs, weekMs] = [3_600_000, 7 * 24 * 3_600_000];
    const patient = samplePolicy({
      rules: [{ form: "limit", signal: "silence", limit: 0.02, deadlineMs: weekMs }],
    });
    await reportOf(RELEASE, 20, "update_started");
    await fold(hourMs);
    nowMs = START_MS + 60_000 + hourMs;
    await fold(hourMs);
    expect(await health.readRelease(RELEASE)).toMatchObject({
      devices: { silent: 20 },
      silenceDeadlineMs: hourMs,
    });
    expect(await evaluate({ policy: patient })).toEqual([]);
    expect((await summaries.read(RELEASE))!.verdict).toMatchObject({
      kind: "inconclusive",
      devices: { silent: 20 },
      signals: [{ signal: "silence", failures: 0, trials: 20 }],
    });

    // The channel is counted by the longer deadline from now on; it does not hide the shorter one.
    const next = releaseOf("1.4.1");
    const begunMs = nowMs;
    await reportOf(next, 20, "update_started");
    await reportOf(RELEASE, 25, "installed");
    await fold(weekMs);
    nowMs = begunMs + 60_000 + weekMs - 1;
    await fold(weekMs);
    expect(await health.readRelease(next)).toMatchObject({ devices: { silent: 0 }, silenceDeadlineMs: 0 });
    nowMs += 1;
    await fold(weekMs);
    expect(await health.readRelease(RELEASE)).toMatchObject({
      devices: { silent: 25 },
      silenceDeadlineMs: hourMs,
    });
    expect(await health.readRelease(next)).toMatchObject({ silenceDeadlineMs: weekMs });
    const versionNow = { state: { version: next.version, releases: ["1.4.1", "1.3.0"].map(offeredRelease) } };
    const { capabilities } = offered;
    const server = { capabilities, readChannel: () => Promise.resolve({ kind: "channel", ...versionNow }) };
    expect((await evaluate({ policy: patient, server: server as unknown as OtaServer })).length).toBe(1);
    expect((await summaries.read(RELEASE))!.verdict.kind).toBe("inconclusive");
    expect((await summaries.read(next))!.verdict).toMatchObject({
      kind: "failing",
      signals: [{ signal: "silence", failures: 20, trials: 20 }],
    });
  });
});

it("the deadline of silence is the shortest that any device was counted with, over time and shards", async () => {
  const hourMs = 3_600_000;
  const shards = [0, 1].map((shard) => createShardStore({ redis, shard }));
  const both = createHealthStore({ redis, shards: 2 });
  const silentIn = async (shard: 0 | 1, device: string, deadlineMs: number): Promise<number> => {
    const reports = [{ ...RELEASE, device, event: "update_started" as const, atMs: nowMs }];
    await redis.xadd(reportStream(shard), "*", ...encodeReportEntry({ receivedAtMs: nowMs, reports }));
    await fold(deadlineMs, shards[shard]);
    nowMs += 60_000 + deadlineMs;
    await fold(deadlineMs, shards[shard]);
    return (await both.readRelease(RELEASE)).silenceDeadlineMs;
  };
  expect(await silentIn(1, "a", 4 * hourMs)).toBe(4 * hourMs);
  expect(await silentIn(0, "b", 3 * hourMs)).toBe(3 * hourMs);
  expect(await silentIn(0, "c", 2 * hourMs)).toBe(2 * hourMs);
  expect(await silentIn(0, "d", 5 * hourMs)).toBe(2 * hourMs);
  expect(await silentIn(1, "e", hourMs)).toBe(hourMs);
  expect((await both.readRelease(RELEASE)).devices.silent).toBe(5);
});

it("a release that every shard has retired loses its summary, and only that one", async () => {
  await report(5, "update_started");
  await summaries.write({
    ...(await summaryOfToday()),
    verdict: { ...(await summaryOfToday()).verdict, release: releaseOf("1.0.0") },
  });
  await health.markDirty([releaseOf("1.0.0")]);
  await evaluate();
  expect((await summaries.list()).map(({ verdict }) => verdict.release.version)).toEqual(["1.4.0"]);
  expect(await dirtyVersions()).toEqual([]);
});

async function summaryOfToday() {
  await evaluate();
  return (await summaries.read(RELEASE))!;
}
