// What is written as text of releases and channels is, line by line, what prom-client's instruments print for the same
// summaries: the oracle here sets those, sample by sample, as the agent did before it wrote text.
import { describe, expect, it } from "vitest";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import type { ReleaseSummary } from "../../../../agent/journal/summary-store.ts";
import { VERDICT_KINDS } from "../../../../agent/judge/verdict.ts";
import type { SignalEvidence } from "../../../../agent/judge/verdict.ts";
import { setChannels } from "../../../../agent/metrics/channel-metrics.ts";
import { createInstruments } from "../../../../agent/metrics/instruments.ts";
import {
  LASTING_OUTCOMES,
  VERSIONS_PER_CHANNEL_SHOWN,
  setReleases,
} from "../../../../agent/metrics/release-metrics.ts";
import { describeMetric } from "../../../../ingest/contract/metric-names.ts";
import type { MetricNameOf } from "../../../../ingest/contract/metric-names.ts";
import { formatReleaseKey } from "../../../../ingest/contract/release-key.ts";
import type { Channel, ReleaseKey } from "../../../../ingest/contract/release-key.ts";
import {
  Counter,
  Gauge,
  createRegistry,
  createTextMetric,
  encode,
  formatLabels,
  readFamilies,
  toOpenMetrics,
} from "../../../../runtime/metrics.ts";
import { TextMetric } from "../../../../runtime/text-metric.ts";
import {
  TILL,
  failingVerdict,
  outcomeCounts,
  releaseOf,
  sampleDecision,
  samplePolicy,
} from "../../../support/verdicts.ts";

type Name = MetricNameOf<"agent">;
type Labels = Record<string, string>;

function createOracle() {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  const gauges = new Map<Name, Gauge>();
  const counters = new Map<Name, Counter>();
  return {
    registry,
    set(name: Name, labels: Labels, value: number): void {
      if (!gauges.has(name)) gauges.set(name, new Gauge({ ...describeMetric(name), registers: [registry] }));
      gauges.get(name)!.set(labels, value);
    },
    add(name: Name, labels: Labels, value: number, gauge = false): void {
      if (gauge) {
        if (!gauges.has(name))
          gauges.set(name, new Gauge({ ...describeMetric(name), registers: [registry] }));
        return gauges.get(name)!.inc(labels, value);
      }
      if (!counters.has(name))
        counters.set(name, new Counter({ ...describeMetric(name), registers: [registry] }));
      counters.get(name)!.inc(labels, value);
    },
  };
}

type Oracle = ReturnType<typeof createOracle>;

function addCounts(oracle: Oracle, { verdict: { devices }, hours }: ReleaseSummary, labels: Labels): void {
  for (const outcome of LASTING_OUTCOMES)
    oracle.add("ota_devices_total", { ...labels, outcome }, devices[outcome]);
  oracle.add("ota_silent_devices", labels, devices.silent, true);
  oracle.add("ota_running_devices", labels, devices.running, true);
  oracle.add("ota_active_device_hours_total", labels, hours.active);
  oracle.add("ota_crashed_device_hours_total", labels, hours.crashed);
  oracle.add("ota_not_responding_device_hours_total", labels, hours.notResponding);
}

function setSignal(oracle: Oracle, evidence: SignalEvidence, release: Labels): void {
  const { signal, rule, failures, trials, baseline, rate, ratio } = evidence;
  if (evidence.unmeasured !== null || trials === 0) return;
  const labels = { ...release, signal };
  const ofRule = { ...labels, rule };
  if (rule !== "worse_than_baseline" || signal !== "silence")
    oracle.set("ota_release_failure_ratio", labels, failures / trials);
  if (rate !== null) {
    oracle.set("ota_release_failure_ratio_low", ofRule, rate.low);
    if (rate.high !== null) oracle.set("ota_release_failure_ratio_high", ofRule, rate.high);
  }
  if (baseline !== null && baseline.trials > 0)
    oracle.set("ota_release_baseline_failure_ratio", labels, baseline.failures / baseline.trials);
  if (ratio !== null) {
    oracle.set("ota_release_times_baseline_low", labels, ratio.low);
    if (ratio.high !== null) oracle.set("ota_release_times_baseline_high", labels, ratio.high);
  }
  for (const each of evidence.segments) {
    const ofSegment = { ...ofRule, segment: each.segment };
    oracle.set("ota_release_segment_failure_ratio", ofSegment, each.failures / each.trials);
    oracle.set("ota_release_segment_evidence", ofSegment, each.evidenceLog10);
    oracle.set("ota_release_segment_evidence_threshold", ofSegment, each.thresholdLog10);
  }
  if (evidence.evidenceLog10 === null) return;
  oracle.set("ota_release_evidence", ofRule, evidence.evidenceLog10);
  oracle.set("ota_release_evidence_threshold", ofRule, evidence.thresholdLog10);
}

function setRelease(oracle: Oracle, summary: ReleaseSummary, condemned: ReadonlySet<string>): void {
  const { verdict, lastReportAtMs } = summary;
  const { app, channel, version } = verdict.release;
  const labels = { app, channel, version };
  addCounts(oracle, summary, labels);
  oracle.set("ota_release_devices", labels, verdict.devices.attempted);
  oracle.set("ota_release_last_report_timestamp_seconds", labels, lastReportAtMs / 1_000);
  oracle.set("ota_release_condemned", labels, condemned.has(formatReleaseKey(verdict.release)) ? 1 : 0);
  for (const kind of VERDICT_KINDS)
    oracle.set("ota_release_verdict", { ...labels, verdict: kind }, kind === verdict.kind ? 1 : 0);
  oracle.set("ota_release_verdict_reason", { ...labels, reason: verdict.reason }, 1);
  for (const evidence of verdict.signals) setSignal(oracle, evidence, labels);
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
  evidenceLog10: Infinity,
  thresholdLog10: -Infinity,
  safetyLog10: -3,
  rate: { low: 1e-7, high: 1e21 },
  ratio: { low: Number.NaN, high: null },
  unmeasured: null,
  segments: [
    {
      segment: 'model="a\\b\nc", {x=#}',
      failures: 6,
      trials: 8,
      evidenceLog10: 5,
      thresholdLog10: 3.5,
      shareOfFleet: 0.2,
    },
  ],
};
const SIGNALS: readonly SignalEvidence[] = [
  SIGNAL,
  // Two rules for one signal: the last one says what has no label of the rule.
  { ...SIGNAL, rule: "limit", failures: 3, ratio: { low: 0, high: -0 }, rate: null, segments: [] },
  { ...SIGNAL, signal: "silence", evidenceLog10: null, baseline: { failures: 0, trials: 0 } },
  { ...SIGNAL, signal: "download_failure", unmeasured: "no_baseline" },
  { ...SIGNAL, signal: "update_failure", trials: 0 },
  { ...SIGNAL, signal: "update_failure", rule: "plain", rate: { low: 0.1 + 0.2, high: 5e-324 } },
];

let ageMs = 0;
function summaryOf(release: ReleaseKey, signals = SIGNALS): ReleaseSummary {
  ageMs += 1;
  return {
    verdict: failingVerdict({
      release,
      signals,
      devices: outcomeCounts({ attempted: 4_000, silent: ageMs }),
    }),
    hours: { ...NO_DEVICE_HOURS, active: 0.1 * ageMs, crashed: 1e21, notResponding: 3 },
    evaluatedAtMs: 1_700_000_000_123 - ((ageMs * 7) % 5),
    firstReportAtMs: 1,
    lastReportAtMs: 1_700_000_000_000 - ageMs,
  };
}

const BETA = { ...TILL, channel: "beta" as Channel };
const HOSTILE = ["{}", "a,b=c", "#", "# EOF", "app='x'", "1.0.0+b7", "other", "NaN"].map((text) =>
  releaseOf(text),
);
const SHOWN = HOSTILE.map((release) => summaryOf(release));
const CROWD = Array.from({ length: 14 }, (_, index) => summaryOf(releaseOf(`2.${index}.0`, BETA)));

/** Samples and heads of what both print, without what only one of the registries has. */
const linesOf = (text: string, names: ReadonlySet<string>): string[] =>
  text
    .split("\n")
    .filter((line) => names.has(/^(?:# (?:HELP|TYPE) )?([a-z_]+)/.exec(line)?.[1] ?? ""))
    .toSorted();

describe("the exposition of releases and channels", () => {
  const summaries = [...SHOWN, ...CROWD];
  const decision = sampleDecision("1.0.0+b7");
  const condemned = new Set([formatReleaseKey(decision)]);
  const oracle = createOracle();
  for (const [key, list] of [[TILL, SHOWN] as const, [BETA, CROWD] as const]) {
    const named = list.filter(({ verdict }) => verdict.release.version !== "other");
    const shown = new Set(named.slice(0, VERSIONS_PER_CHANNEL_SHOWN));
    const folded = list.filter((summary) => !shown.has(summary));
    for (const summary of shown) setRelease(oracle, summary, condemned);
    for (const summary of folded) addCounts(oracle, summary, { ...key, version: "other" });
    oracle.set("ota_versions_folded", { ...key }, folded.length);
    const evaluatedAtMs = Math.max(...list.map((summary) => summary.evaluatedAtMs));
    oracle.set("ota_channel_evaluated_timestamp_seconds", { ...key }, evaluatedAtMs / 1_000);
  }
  oracle.set("ota_policy_limit_ratio", { ...TILL, signal: "update_failure" }, 0.05);
  oracle.set("ota_channel_offered_info", { ...TILL, version: "{1}" }, 1);

  const registry = createRegistry({ process: "test", version: "0.0.0" });
  const instruments = createInstruments(registry);
  instruments.refreshWith(() => {
    instruments.resetAll();
    setReleases(instruments, summaries, [decision]);
    setChannels(instruments, {
      channels: [{ key: TILL, policy: samplePolicy() }],
      offered: new Map([["com.acme.till|production", { version: releaseOf("{1}").version, readAtMs: 1 }]]),
      summaries,
    });
    return Promise.resolve();
  });
  const names = new Set(oracle.registry.getMetricsAsArray().map(({ name }) => name));

  it("is what prom-client prints, also a second time and for two scrapes at once", async () => {
    const expected = linesOf(await oracle.registry.metrics(), names);
    // Nothing is written as text that the oracle does not set.
    const written = registry.getMetricsAsArray().filter((metric) => metric instanceof TextMetric);
    expect(written.length).toBeGreaterThan(20);
    for (const { name } of written) expect(names).toContain(name);
    expect(expected.length).toBeGreaterThan(500);
    expect(linesOf(await registry.metrics(), names)).toEqual(expected);
    const both = await Promise.all([registry.metrics(), registry.metrics()]);
    for (const text of both) expect(linesOf(text, names)).toEqual(expected);
  });

  it("says of a summary that stays the same whether it is condemned now", async () => {
    const again = createRegistry({ process: "test", version: "0.0.0" });
    const own = createInstruments(again);
    let standing = [decision];
    own.refreshWith(() => {
      own.resetAll();
      setReleases(own, summaries, standing);
      return Promise.resolve();
    });
    const condemnedNow = async (): Promise<string[]> =>
      (await again.metrics()).split("\n").filter((line) => /^ota_release_condemned\{.* 1$/.test(line));
    expect(await condemnedNow()).toEqual([expect.stringContaining('version="1.0.0+b7"')]);
    standing = [];
    expect(await condemnedNow()).toEqual([]);
    standing = [decision];
    expect(await condemnedNow()).toHaveLength(1);
  });

  it("has numbers of every form, and each series once", async () => {
    const lines = linesOf(await registry.metrics(), names).filter((line) => !line.startsWith("#"));
    for (const value of ["1e-7", "1e+21", "+Inf", "-Inf", "Nan", "0.30000000000000004", "5e-324"])
      expect(lines.some((line) => line.endsWith(` ${value}`))).toBe(true);
    const series = lines.map((line) => line.slice(0, line.lastIndexOf(" ")));
    expect(new Set(series).size).toBe(series.length);
    expect(lines.some((line) => line.includes(String.raw`segment="model=\"a\\b\nc\", {x=#}"`))).toBe(true);
  });

  it("is the same in OpenMetrics, but for the names of counters' families", async () => {
    const text = await registry.metrics();
    const open = encode(toOpenMetrics(await readFamilies(registry)))
      .toString()
      .split("\n");
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(open.filter((line) => line !== "" && !line.startsWith("#"))).toEqual(samples);
    expect(open).toContain("# TYPE ota_devices counter");
    expect(open).not.toContain("# TYPE ota_devices_total counter");
    expect(open.filter((line) => line === "")).toEqual([""]);
  });
});

describe("a metric that is written as text", () => {
  const metricOf = (type: "counter" | "gauge") => {
    const registry = createRegistry({ process: "test", version: "0.0.0" });
    return createTextMetric({
      name: "ota_x_total",
      help: "Backslash \\ and\nline.",
      type,
      labelNames: ["a"],
      registers: [registry],
      collect: () => Promise.resolve(),
    });
  };

  it("escapes its help, and without samples is only its head", async () => {
    const head = ["# HELP ota_x_total Backslash \\\\ and\\nline.", "# TYPE ota_x_total gauge"].join("\n");
    const metric = metricOf("gauge");
    metric.add(formatLabels({ a: "b" }), 1);
    expect(await metric.exposition()).toBe(`${head}\nota_x_total{a="b"} 1`);
    metric.reset();
    expect(await metric.exposition()).toBe(head);
  });

  it("takes no value that prom-client would not", () => {
    expect(() => metricOf("gauge").add("", null as unknown as number)).toThrow(TypeError);
    for (const value of [-1, Infinity, -Infinity])
      expect(() => metricOf("counter").add("", value)).toThrow(RangeError);
  });
});
