// Evaluating a channel whose rules compare, on a real Redis with reports that were really folded: which versions are the
// baseline, what happens on all of them at once, kinds of device, and devices that are only missed by time going by.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { openStores } from "../../agent/pipeline.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { evaluateChannel } from "../../agent/jobs/evaluate-channel.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { createHoldStore } from "../../agent/journal/hold-store.ts";
import type { HoldStore } from "../../agent/journal/hold-store.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import { createSummaryStore } from "../../agent/journal/summary-store.ts";
import type { SummaryStore } from "../../agent/journal/summary-store.ts";
import { BASELINE_VERSIONS_MAX } from "../../agent/judge/baseline-choice.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import type { Verdict } from "../../agent/judge/verdict.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import { createDecisionStore } from "../../agent/rollback/decision-store.ts";
import type { DecisionStore } from "../../agent/rollback/decision-store.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf, sampleGuards, samplePolicy, version } from "../support/verdicts.ts";

const NOON_MS = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let server: TestRedis;
let redis: Redis;
let nowMs: number;
let health: HealthStore;
let summaries: SummaryStore;
let holds: HoldStore;
let decisions: DecisionStore;
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
  nowMs = NOON_MS;
  health = createHealthStore({ redis, shards: 1 });
  summaries = createSummaryStore({ redis });
  const journal = createJournal({ redis });
  holds = createHoldStore({ redis, journal });
  decisions = createDecisionStore({ redis, journal });
});

/** So many devices of a version say all of this, now. */
async function report(
  text: string,
  devices: number,
  events: readonly DeviceEvent[],
  fields: { from?: number; model?: string } = {},
): Promise<void> {
  const { from = 0, model } = fields;
  const reports = Array.from({ length: devices }, (_, device) =>
    events.map((event) => ({
      ...releaseOf(text),
      device: `${text}-${model ?? ""}${device + from}`,
      event,
      atMs: nowMs,
      ...(model === undefined ? {} : { model }),
    })),
  ).flat();
  for (let first = 0; first < reports.length; first += 1_000)
    await redis.xadd(
      reportStream(0),
      "*",
      ...encodeReportEntry({ receivedAtMs: nowMs, reports: reports.slice(first, first + 1_000) }),
    );
  await foldShard({
    store: createShardStore({ redis, shard: 0 }),
    rules: DEFAULT_COUNTING_RULES,
    onChange: () => {},
    isStopping: () => false,
    nowMs: () => nowMs,
    heardFromMs: () => Promise.resolve(0),
  });
}

const BOOTED: readonly DeviceEvent[] = ["update_started", "confirmed"];

const offered: Pick<OtaServer, "capabilities" | "readChannel"> = {
  capabilities: { rollback: true, pause: true },
  readChannel: () =>
    Promise.resolve({
      kind: "channel",
      state: {
        version: version("1.5.0"),
        releases: ["1.5.0", "1.4.0", "1.3.0"].map((text) => ({
          version: version(text),
          releasedAt: "2026-01-30T12:00:00.000Z",
        })),
      },
    }),
};

async function evaluate(rules: readonly RuleToJudge[], policy: Partial<Policy> = {}): Promise<string[]> {
  const decided: string[] = [];
  await evaluateChannel(
    {
      key: TILL,
      policy: samplePolicy({ rules, ...policy }),
      minimumVersion: undefined,
      server: offered as OtaServer,
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

async function verdictOf(text: string): Promise<Verdict> {
  return (await summaries.read(releaseOf(text)))!.verdict;
}

async function dirtyVersions(): Promise<string[]> {
  return (await health.listDirty()).map(({ release }) => release.version);
}

const CRASHES: readonly RuleToJudge[] = [
  { form: "worse_than_baseline", signal: "crash", allowance: { ratio: 2, points: 0 } },
];
const LIMIT: readonly RuleToJudge[] = [{ form: "limit", signal: "update_failure", limit: 0.05 }];
const SILENCE: readonly RuleToJudge[] = [
  {
    form: "worse_than_baseline",
    signal: "silence",
    allowance: { ratio: 1.5, points: 0 },
    deadlineMs: 6 * HOUR_MS,
  },
];

describe("crashes beside a baseline", () => {
  it("condemn a release that crashes more than it may, and say what it was compared with", async () => {
    await report("1.4.0", 600, [...BOOTED, "active"]);
    await report("1.4.0", 6, ["crashed"]);
    await report("1.5.0", 100, [...BOOTED, "active"]);
    await report("1.5.0", 12, ["crashed"]);
    const decided = await evaluate(CRASHES);
    // Whoever was evaluated before its baseline was known is compared with the next report.
    await report("1.5.0", 1, ["active"]);
    decided.push(...(await evaluate(CRASHES)));
    expect(decided).toHaveLength(1);
    expect(await verdictOf("1.5.0")).toMatchObject({
      kind: "failing",
      reason: "worse_than_baseline",
      baseline: ["1.4.0"],
      signals: [{ failures: 12, trials: 100, baseline: { failures: 6, trials: 600 } }],
    });
    const [decision] = await decisions.list();
    expect(decision).toMatchObject({ version: "1.5.0", target: "1.4.0" });
    expect(decision!.last_needed_report_at).toBe(new Date(NOON_MS).toISOString());
  });

  it("of a device in a crash loop are one device", async () => {
    await report("1.4.0", 600, [...BOOTED, "active"]);
    await report("1.5.0", 20, [...BOOTED, "active"]);
    for (let hour = 0; hour < 12; hour += 1) {
      nowMs = NOON_MS + hour * HOUR_MS;
      await report("1.4.0", 600, ["active"]);
      await report("1.4.0", 6, ["crashed"]);
      await report("1.5.0", 20, ["active"]);
      await report("1.5.0", 1, ["crashed"]);
      expect(await evaluate(CRASHES)).toEqual([]);
    }
    expect((await verdictOf("1.5.0")).signals[0]).toMatchObject({ failures: 1, trials: 240 });
  });
});

describe("the baseline", () => {
  it("is what came before, is live and was never condemned", async () => {
    await report("1.2.0", 100, [...BOOTED, "active"]);
    await evaluate(LIMIT);
    nowMs += 2 * 24 * HOUR_MS;
    for (const text of ["1.3.0", "1.4.0", "1.5.0", "1.10.0"]) await report(text, 100, [...BOOTED, "active"]);
    await report("1.4.0", 60, ["install_failed"], { from: 100 });
    await evaluate(LIMIT);
    for (const text of ["1.3.0", "1.5.0", "1.10.0"]) await report(text, 1, ["active"]);
    await evaluate(LIMIT);
    expect((await verdictOf("1.3.0")).baseline).toEqual([]);
    // 1.4.0 fails, but nobody has condemned it: the channel offers another version.
    expect(new Set((await verdictOf("1.5.0")).baseline)).toEqual(new Set(["1.3.0", "1.4.0"]));
    expect(new Set((await verdictOf("1.10.0")).baseline)).toEqual(new Set(["1.3.0", "1.4.0", "1.5.0"]));
    await report("1.5.0", 90, ["update_started", "install_failed"], { from: 100 });
    expect(await evaluate(LIMIT)).toHaveLength(1);
    await report("1.10.0", 1, ["active"]);
    await evaluate(LIMIT);
    expect(new Set((await verdictOf("1.10.0")).baseline)).toEqual(new Set(["1.3.0", "1.4.0"]));
  });

  it(`is at most ${BASELINE_VERSIONS_MAX} versions, those reported about last`, async () => {
    for (let minor = 1; minor <= BASELINE_VERSIONS_MAX + 2; minor += 1) {
      nowMs += MINUTE_MS;
      await report(`1.${minor}.0`, 2, BOOTED);
    }
    nowMs += MINUTE_MS;
    await report("2.0.0", 2, BOOTED);
    await evaluate(LIMIT);
    await report("2.0.0", 1, ["active"]);
    await evaluate(LIMIT);
    const { baseline } = await verdictOf("2.0.0");
    expect(baseline).toHaveLength(BASELINE_VERSIONS_MAX);
    expect(baseline[0]).toBe("1.10.0");
    expect(baseline).not.toContain("1.2.0");
  });
});

describe("what happens on every version at once", () => {
  it("holds the rollback, says so, and lets go when the release is at fault after all", async () => {
    await report("1.4.0", 400, BOOTED);
    await report("1.4.0", 130, ["update_started", "install_failed"], { from: 400 });
    await report("1.5.0", 100, BOOTED);
    await evaluate(LIMIT);
    await report("1.5.0", 30, ["update_started", "install_failed"], { from: 100 });
    expect(await evaluate(LIMIT)).toEqual([]);
    expect(await verdictOf("1.5.0")).toMatchObject({ kind: "inconclusive", reason: "environment" });
    const held = async () => (await holds.list()).get(formatReleaseKey(releaseOf("1.5.0")));
    expect(await held()).toMatchObject({ reason: "environment", guard: "version_at_fault" });
    await report("1.5.0", 120, ["update_started", "install_failed"], { from: 200 });
    // Not to the version before, which fails as well.
    expect(await evaluate(LIMIT)).toHaveLength(1);
    expect(await held()).toBeUndefined();
    expect((await decisions.list())[0]).toMatchObject({ version: "1.5.0", target: "1.3.0" });
  });
});

describe("kinds of device", () => {
  it("one model that fails is found, and moves the channel only if the policy lets so few", async () => {
    await report("1.5.0", 800, BOOTED, { model: "T1" });
    await report("1.5.0", 10, BOOTED, { model: "T2" });
    await report("1.5.0", 14, ["update_started", "install_failed"], { model: "T2", from: 10 });
    const shy = { guards: sampleGuards({ shareOfFleetLeast: 0.1 }) };
    expect(await evaluate(LIMIT, shy)).toEqual([]);
    expect(await verdictOf("1.5.0")).toMatchObject({ kind: "failing", reason: "segment_failing" });
    expect([...(await holds.list()).values()]).toMatchObject([
      { reason: "share_too_small", guard: "share_of_fleet" },
    ]);
    await report("1.5.0", 1, ["active"], { model: "T1" });
    await report("1.4.0", 5, BOOTED);
    expect(await evaluate(LIMIT)).toHaveLength(1);
  });
});

describe("devices that do not come back", () => {
  it("are found by time alone, without a report about the release; then it rests", async () => {
    await report("1.4.0", 300, ["update_started"]);
    await report("1.5.0", 30, ["update_started"]);
    await evaluate(SILENCE);
    nowMs += 2 * MINUTE_MS;
    await report("1.4.0", 280, ["confirmed"]);
    expect(await evaluate(SILENCE)).toEqual([]);
    // Waits on the list, as its devices owe an answer.
    expect(await dirtyVersions()).toContain("1.5.0");
    nowMs = NOON_MS + 11 * MINUTE_MS;
    expect(await evaluate(SILENCE)).toHaveLength(1);
    expect(await verdictOf("1.5.0")).toMatchObject({
      reason: "worse_than_baseline",
      signals: [{ signal: "silence", failures: 30, trials: 30, baseline: { failures: 20, trials: 300 } }],
    });
    nowMs = NOON_MS + 8 * HOUR_MS;
    await evaluate(SILENCE);
    expect(await dirtyVersions()).toEqual([]);
  });
});
