// What metrics say of a verdict: its kind, its reason (every one that there is), its evidence, and how sure the rates are.
import { describe, expect, it } from "vitest";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import { VERDICT_KIND_OF, VERDICT_REASONS } from "../../../../agent/judge/verdict.ts";
import type { SignalEvidence, Verdict } from "../../../../agent/judge/verdict.ts";
import { registerScrapedMetrics } from "../../../../agent/metrics/scraped-metrics.ts";
import type { ScrapedMetricsDeps } from "../../../../agent/metrics/scraped-metrics.ts";
import { formatChannelKey } from "../../../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../../../ingest/contract/release-key.ts";
import type { ChannelSummary } from "../../../../agent/journal/summary-store.ts";
import type { Policy } from "../../../../agent/policy/policy.ts";
import type { DecisionRecord } from "../../../../agent/rollback/decision-record.ts";
import { createRegistry } from "../../../../runtime/metrics.ts";
import { TILL, failingVerdict, sampleDecision, samplePolicy } from "../../../support/verdicts.ts";

/** Samples of a scrape while this verdict holds, without the release's own labels. */
async function scrape(verdict: Verdict): Promise<Map<string, string>> {
  const { text } = await scrapeAll({ verdict });
  const ofRelease = text.replaceAll('app="com.acme.till",channel="production",version="1.4.0",', "");
  const lines = ofRelease.split("\n").filter((line) => line.startsWith("ota_release_"));
  return new Map(lines.map((line) => line.split(/ (?=[^ ]+$)/) as [string, string]));
}

const INFO = [
  "# Memory",
  "used_memory:1000",
  "maxmemory:0",
  "connected_clients:3",
  "total_commands_processed:77",
  "aof_enabled:1",
  "aof_last_write_status:ok",
].join("\r\n");

interface Scraped {
  readonly verdict?: Verdict;
  readonly info?: string;
  readonly channels?: readonly { readonly key: ChannelKey; readonly policy: Policy }[];
  readonly offered?: ReadonlyMap<string, ChannelSummary>;
  readonly decisions?: readonly DecisionRecord[];
}

async function scrapeAll({
  verdict = failingVerdict({}),
  info = INFO,
  channels = [],
  offered = new Map(),
  decisions = [],
}: Scraped): Promise<{ readonly text: string; readonly samples: (name: string) => string[] }> {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  const summary = {
    verdict,
    hours: NO_DEVICE_HOURS,
    evaluatedAtMs: 1,
    firstReportAtMs: 1,
    lastReportAtMs: 1,
  };
  registerScrapedMetrics({
    registry,
    redis: {
      options: { host: "127.0.0.1", port: 6379 },
      ping: () => Promise.resolve("PONG"),
      info: () => Promise.resolve(info),
      hgetall: () => Promise.resolve({}),
      hmget: () => Promise.resolve([null, null]),
    },
    channels: { all: channels },
    health: {
      readLag: () => Promise.resolve([]),
      readFoldTotals: () => Promise.resolve({ folded: 0, deadLetters: 0 }),
    },
    summaries: {
      listStored: () => Promise.resolve(new Map([["release", JSON.stringify(summary)]])),
      listChannels: () => Promise.resolve(offered),
    },
    holds: { list: () => Promise.resolve(new Map()), counts: () => Promise.resolve(new Map()) },
    decisions: {
      list: () => Promise.resolve(decisions),
      listPending: () => Promise.resolve([]),
      listWaiting: () => Promise.resolve([]),
    },
    absolutions: { list: () => Promise.resolve(new Map()) },
    freezes: { list: () => Promise.resolve([]) },
    deadLetters: { count: () => Promise.resolve({ kept: 0, dropped: 0 }) },
    queues: { all: {} },
    clock: () => 1,
  } as unknown as ScrapedMetricsDeps);
  const text = await registry.metrics();
  return { text, samples: (name) => text.split("\n").filter((line) => line.startsWith(`${name}{`)) };
}

function samplesOf(samples: ReadonlyMap<string, string>, name: string): [string, string][] {
  return [...samples].filter(([sample]) => sample.startsWith(`${name}{`));
}

const SIGNAL: SignalEvidence = {
  signal: "crash",
  rule: "worse_than_baseline",
  unit: "device_hours",
  failures: 19,
  trials: 150,
  limit: null,
  allowance: { ratio: 2, points: 0 },
  baseline: { failures: 8, trials: 800 },
  evidenceLog10: 4.4,
  thresholdLog10: 2.8,
  safetyLog10: -3,
  rate: { low: 0.05, high: 0.2 },
  ratio: { low: 3.5, high: null },
  unmeasured: null,
  segments: [],
};

describe("a verdict", () => {
  it.each(VERDICT_REASONS.map((reason) => [reason] as const))("because of %s", async (reason) => {
    const kind = VERDICT_KIND_OF[reason];
    const samples = await scrape(failingVerdict({ kind, reason }));
    expect(samplesOf(samples, "ota_release_verdict_reason")).toEqual([
      [`ota_release_verdict_reason{reason="${reason}"}`, "1"],
    ]);
    const kinds = samplesOf(samples, "ota_release_verdict").filter(([, value]) => value === "1");
    expect(kinds).toEqual([[`ota_release_verdict{verdict="${kind}"}`, "1"]]);
  });
});

describe("a statement", () => {
  it("has its evidence, its rates and how sure they are", async () => {
    const samples = await scrape(failingVerdict({ signals: [SIGNAL] }));
    const rule = 'signal="crash",rule="worse_than_baseline"';
    expect(Object.fromEntries(samples)).toMatchObject({
      [`ota_release_evidence{${rule}}`]: "4.4",
      [`ota_release_evidence_threshold{${rule}}`]: "2.8",
      'ota_release_failure_ratio{signal="crash"}': String(19 / 150),
      [`ota_release_failure_ratio_low{${rule}}`]: "0.05",
      [`ota_release_failure_ratio_high{${rule}}`]: "0.2",
      'ota_release_baseline_failure_ratio{signal="crash"}': "0.01",
      'ota_release_times_baseline_low{signal="crash"}': "3.5",
    });
    expect(samplesOf(samples, "ota_release_times_baseline_high")).toEqual([]);
  });

  it("that says nothing has no samples; a plain one has a rate and no evidence", async () => {
    const unmeasured = await scrape(
      failingVerdict({ signals: [{ ...SIGNAL, trials: 0, unmeasured: "no_baseline" }] }),
    );
    expect(samplesOf(unmeasured, "ota_release_evidence")).toEqual([]);
    const plain: SignalEvidence = {
      ...SIGNAL,
      rule: "plain",
      limit: 0.05,
      evidenceLog10: null,
      rate: null,
      ratio: null,
    };
    const samples = await scrape(failingVerdict({ signals: [plain] }));
    expect(samplesOf(samples, "ota_release_evidence")).toEqual([]);
    expect(samplesOf(samples, "ota_release_failure_ratio")).toHaveLength(1);
  });
});

const SEGMENT = {
  segment: "model=till-9",
  failures: 6,
  trials: 8,
  evidenceLog10: 5,
  thresholdLog10: 3.5,
  shareOfFleet: 0.2,
};

describe("kinds of device", () => {
  it("that stand out have their own series; no other has any", async () => {
    const samples = await scrape(failingVerdict({ signals: [{ ...SIGNAL, segments: [SEGMENT] }] }));
    const labels = 'signal="crash",rule="worse_than_baseline",segment="model=till-9"';
    expect(Object.fromEntries(samples)).toMatchObject({
      [`ota_release_segment_failure_ratio{${labels}}`]: "0.75",
      [`ota_release_segment_evidence{${labels}}`]: "5",
      [`ota_release_segment_evidence_threshold{${labels}}`]: "3.5",
    });
    const none = await scrape(failingVerdict({ signals: [SIGNAL] }));
    expect(samplesOf(none, "ota_release_segment_failure_ratio")).toEqual([]);
  });
});

describe("a channel", () => {
  const limits = [
    { form: "limit", signal: "update_failure", limit: 0.05 },
    { form: "plain", signal: "update_failure", limit: 0.03, windowMs: 1, forMs: 0, minDevices: 1 },
    { form: "worse_than_baseline", signal: "crash", allowance: { ratio: 2, points: 0 } },
  ] as const;

  it("has the limits of its policy, the stricter of two; none where a rule only compares", async () => {
    const { samples } = await scrapeAll({
      channels: [{ key: TILL, policy: samplePolicy({ rules: limits }) }],
    });
    expect(samples("ota_policy_limit_ratio")).toEqual([
      'ota_policy_limit_ratio{app="com.acme.till",channel="production",signal="update_failure"} 0.03',
    ]);
  });

  it("says what it offers, as far as the OTA server has said it, and when it was judged", async () => {
    const channels = [{ key: TILL, policy: samplePolicy() }];
    const offered = (version: string | null) =>
      new Map([[formatChannelKey(TILL), { version, readAtMs: 1 } as ChannelSummary]]);
    const { samples } = await scrapeAll({ channels, offered: offered("1.4.0") });
    expect(samples("ota_channel_offered_info")).toEqual([
      'ota_channel_offered_info{app="com.acme.till",channel="production",version="1.4.0"} 1',
    ]);
    expect(samples("ota_channel_evaluated_timestamp_seconds")).toEqual([
      'ota_channel_evaluated_timestamp_seconds{app="com.acme.till",channel="production"} 0.001',
    ]);
    const silent = await scrapeAll({ channels, offered: offered(null) });
    expect(silent.samples("ota_channel_offered_info")).toEqual([]);
  });

  it("tells its newest decision alone, with no empty label", async () => {
    const at = (day: number): string => new Date(Date.UTC(2026, 0, day)).toISOString();
    const newest = sampleDecision("1.6.0", {
      at: at(2),
      outcome: null,
      target: null,
      action: "pause",
    });
    const older = sampleDecision("1.5.0", { at: at(1) });
    const { samples } = await scrapeAll({ decisions: [newest, older] });
    expect(samples("ota_last_decision_timestamp_seconds")).toHaveLength(1);
    const [line] = samples("ota_last_decision_timestamp_seconds");
    expect(line).toContain('version="1.6.0"');
    expect(line).toContain('target_version="none"');
    expect(line).toContain('outcome="none"');
    expect(line).toMatch(/ 1767312000$/);
  });
});

describe("the Redis server", () => {
  it("is told of by name, and has no limit of memory where it has none", async () => {
    const { samples } = await scrapeAll({});
    expect(samples("ota_redis_memory_bytes")).toEqual([
      'ota_redis_memory_bytes{server="127.0.0.1:6379"} 1000',
    ]);
    expect(samples("ota_redis_memory_max_bytes")).toEqual([]);
    expect(samples("ota_redis_commands_total")).toEqual([
      'ota_redis_commands_total{server="127.0.0.1:6379"} 77',
    ]);
    expect(samples("ota_redis_persistence_ok")).toEqual([
      'ota_redis_persistence_ok{server="127.0.0.1:6379"} 1',
    ]);
  });

  it.each(["aof_enabled:0", "aof_last_write_status:err"])("is at risk with %s", async (line) => {
    const info = INFO.replace(new RegExp(`${line.split(":")[0]!}:\\w+`), line).replace(
      "maxmemory:0",
      "maxmemory:9",
    );
    const { samples } = await scrapeAll({ info });
    expect(samples("ota_redis_persistence_ok")).toEqual([
      'ota_redis_persistence_ok{server="127.0.0.1:6379"} 0',
    ]);
    expect(samples("ota_redis_memory_max_bytes")).toEqual([
      'ota_redis_memory_max_bytes{server="127.0.0.1:6379"} 9',
    ]);
  });
});
