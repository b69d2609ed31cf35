// What metrics say of a verdict: its kind, its reason (every one that there is), its evidence, and how sure the rates are.
import { describe, expect, it } from "vitest";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import { VERDICT_KIND_OF, VERDICT_REASONS } from "../../../../agent/judge/verdict.ts";
import type { SignalEvidence, Verdict } from "../../../../agent/judge/verdict.ts";
import { registerScrapedMetrics } from "../../../../agent/metrics/scraped-metrics.ts";
import type { ScrapedMetricsDeps } from "../../../../agent/metrics/scraped-metrics.ts";
import { createRegistry } from "../../../../runtime/metrics.ts";
import { failingVerdict } from "../../../support/verdicts.ts";

/** Samples of a scrape while this verdict holds, without the release's own labels. */
async function scrape(verdict: Verdict): Promise<Map<string, string>> {
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
    redis: { hgetall: () => Promise.resolve({}), hmget: () => Promise.resolve([null, null]) },
    health: {
      readLag: () => Promise.resolve([]),
      readFoldTotals: () => Promise.resolve({ folded: 0, deadLetters: 0 }),
    },
    summaries: { list: () => Promise.resolve([summary]) },
    holds: { list: () => Promise.resolve(new Map()), counts: () => Promise.resolve(new Map()) },
    decisions: {
      list: () => Promise.resolve([]),
      listPending: () => Promise.resolve([]),
      listWaiting: () => Promise.resolve([]),
    },
    absolutions: { list: () => Promise.resolve(new Map()) },
    freezes: { list: () => Promise.resolve([]) },
    deadLetters: { count: () => Promise.resolve({ kept: 0, dropped: 0 }) },
    queues: { all: {} },
    clock: () => 1,
  } as unknown as ScrapedMetricsDeps);
  const text = (await registry.metrics()).replaceAll(
    'app="com.acme.till",channel="production",version="1.4.0",',
    "",
  );
  const lines = text.split("\n").filter((line) => line.startsWith("ota_release_"));
  return new Map(lines.map((line) => line.split(/ (?=[^ ]+$)/) as [string, string]));
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
