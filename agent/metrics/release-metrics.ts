// What metrics say of releases: counts, rates with their intervals, evidence, verdicts. Enters: the summaries of the last
// evaluations and the decisions that stand. Leaves: the samples of gauges and
// counters, added.
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { DeviceHours } from "../health/health-window.ts";
import { OUTCOMES, toOutcomeCounts } from "../health/outcomes.ts";
import type { Outcome, OutcomeCounts } from "../health/outcomes.ts";
import type { ReleaseSummary } from "../journal/summary-store.ts";
import { VERDICT_KINDS } from "../judge/verdict.ts";
import type { SignalEvidence } from "../judge/verdict.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import { SampleBytes, formatLabels } from "../../runtime/metrics.ts";
import type { AddSample, TextMetric } from "../../runtime/metrics.ts";
import type { Instruments } from "./instruments.ts";

/** Versions of a channel with series of their own; older ones stand together in version="other". */
export const VERSIONS_PER_CHANNEL_SHOWN = 8;
/** Where versions stand that have no series of their own. */
const OTHER: string = "other";
/** Outcomes that devices leave again: no counter may hold them, it must never go down. */
const PASSING_OUTCOMES: readonly Outcome[] = [
  "failed_unannounced",
  "download_failed_unannounced",
  "silent",
  "running",
];
export const LASTING_OUTCOMES = OUTCOMES.filter((outcome) => !PASSING_OUTCOMES.includes(outcome));

const MORE_OF_OUTCOME = Object.fromEntries(
  OUTCOMES.map((outcome) => [outcome, `,outcome="${outcome}"`]),
) as Readonly<Record<Outcome, string>>;

interface Counts {
  readonly devices: OutcomeCounts;
  readonly hours: Pick<DeviceHours, "active" | "crashed" | "notResponding">;
}

/**
 * The versions that were reported last have series of their own; the others stand together. A summary is written once: whoever
 * gives the same object again gets the same samples.
 */
export function setReleases(
  instruments: Instruments,
  summaries: readonly ReleaseSummary[],
  standing: readonly DecisionRecord[],
): void {
  const condemned = new Set(standing.map(formatReleaseKey));
  for (const channel of groupByChannel(summaries)) {
    const newestFirst = channel.toSorted((left, right) => right.lastReportAtMs - left.lastReportAtMs);
    // A version that is called as the others are stands among them.
    const nameable = newestFirst.filter(({ verdict }) => verdict.release.version !== OTHER);
    const named = new Set(nameable.slice(0, VERSIONS_PER_CHANNEL_SHOWN));
    for (const summary of named) addRelease(instruments, summary, condemned);
    const folded = newestFirst.filter((summary) => !named.has(summary));
    const { app, channel: name } = newestFirst[0]!.verdict.release;
    if (folded.length > 0)
      addCounts(addNow, instruments, sumCounts(folded), formatLabels({ app, channel: name, version: OTHER }));
    instruments.versionsFolded.add(formatLabels({ app, channel: name }), folded.length);
  }
}

const addNow: AddSample = (metric, labels, value, more) => metric.add(labels, value, more);

function groupByChannel(summaries: readonly ReleaseSummary[]): ReleaseSummary[][] {
  const channels = new Map<string, ReleaseSummary[]>();
  for (const summary of summaries) {
    const text = formatChannelKey(summary.verdict.release);
    const channel = channels.get(text);
    if (channel === undefined) channels.set(text, [summary]);
    else channel.push(summary);
  }
  return [...channels.values()];
}

function sumCounts(summaries: readonly ReleaseSummary[]): Counts {
  const sum = (valueOf: (summary: ReleaseSummary) => number): number =>
    summaries.reduce((total, summary) => total + valueOf(summary), 0);
  return {
    devices: toOutcomeCounts(OUTCOMES.map((outcome) => sum(({ verdict }) => verdict.devices[outcome]))),
    hours: {
      active: sum(({ hours }) => hours.active),
      crashed: sum(({ hours }) => hours.crashed),
      notResponding: sum(({ hours }) => hours.notResponding),
    },
  };
}

function addRelease(instruments: Instruments, summary: ReleaseSummary, condemned: ReadonlySet<string>): void {
  // That follows from decisions: the summary stays as it is when one is made.
  const isCondemned = condemned.has(formatReleaseKey(summary.verdict.release));
  let written = instruments.written.get(summary);
  if (written?.isCondemned !== isCondemned) {
    const samples = new SampleBytes((add) => writeRelease(add, instruments, summary, isCondemned));
    written = { isCondemned, samples };
    instruments.written.set(summary, written);
  }
  written.samples.addAll();
}

/** Only what follows from these: neither from the time nor from another release. */
function writeRelease(
  add: AddSample,
  instruments: Instruments,
  { verdict, hours, lastReportAtMs }: ReleaseSummary,
  isCondemned: boolean,
): void {
  const { app, channel, version } = verdict.release;
  const labels = formatLabels({ app, channel, version });
  addCounts(add, instruments, { devices: verdict.devices, hours }, labels);
  add(instruments.releaseDevices, labels, verdict.devices.attempted);
  add(instruments.lastReport, labels, lastReportAtMs / 1_000);
  add(instruments.condemned, labels, isCondemned ? 1 : 0);
  for (const kind of VERDICT_KINDS)
    add(instruments.verdict, labels, kind === verdict.kind ? 1 : 0, `,verdict="${kind}"`);
  add(instruments.verdictReason, labels, 1, `,${formatLabels({ reason: verdict.reason })}`);
  const samples: Samples = new Map();
  for (const evidence of verdict.signals) setSignal(instruments, evidence, samples);
  for (const [metric, values] of samples)
    for (const [ofSignal, value] of values) add(metric, labels, value, ofSignal);
}

/**
 * What a release's signals have to say, by the labels that follow those of the release. Of two rules for one signal, what
 * has no label of the rule is said by both: the last one stays.
 */
type Samples = Map<TextMetric, Map<string, number>>;

function setSample(samples: Samples, metric: TextMetric, ofSignal: string, value: number): void {
  const values = samples.get(metric);
  if (values === undefined) samples.set(metric, new Map([[ofSignal, value]]));
  else values.set(ofSignal, value);
}

/** A rule that says nothing has no samples: a 0 would look like one that says "fine". */
function setSignal(instruments: Instruments, evidence: SignalEvidence, samples: Samples): void {
  const { signal, rule, failures, trials, baseline, rate, ratio } = evidence;
  if (evidence.unmeasured !== null || trials === 0) return;
  const labels = `,${formatLabels({ signal })}`;
  const ofRule = `,${formatLabels({ signal, rule })}`;
  const set = (metric: TextMetric, ofSignal: string, value: number): void =>
    setSample(samples, metric, ofSignal, value);
  // Of silence, a comparison counts who has not answered yet, whatever the deadline says.
  if (rule !== "worse_than_baseline" || signal !== "silence")
    set(instruments.failureRatio, labels, failures / trials);
  if (rate !== null) {
    set(instruments.failureRatioLow, ofRule, rate.low);
    if (rate.high !== null) set(instruments.failureRatioHigh, ofRule, rate.high);
  }
  if (baseline !== null && baseline.trials > 0)
    set(instruments.baselineRatio, labels, baseline.failures / baseline.trials);
  if (ratio !== null) {
    set(instruments.timesBaselineLow, labels, ratio.low);
    if (ratio.high !== null) set(instruments.timesBaselineHigh, labels, ratio.high);
  }
  setSegments(instruments, evidence, samples);
  if (evidence.evidenceLog10 === null) return;
  set(instruments.evidence, ofRule, evidence.evidenceLog10);
  set(instruments.threshold, ofRule, evidence.thresholdLog10);
}

/** Only kinds of device that stand out, a few of each rule at most: strata never get series of their own. */
function setSegments(
  instruments: Instruments,
  { signal, rule, segments }: SignalEvidence,
  samples: Samples,
): void {
  for (const { segment, failures, trials, evidenceLog10, thresholdLog10 } of segments) {
    const labels = `,${formatLabels({ signal, rule, segment })}`;
    setSample(samples, instruments.segmentRatio, labels, failures / trials);
    setSample(samples, instruments.segmentEvidence, labels, evidenceLog10);
    setSample(samples, instruments.segmentThreshold, labels, thresholdLog10);
  }
}

function addCounts(
  add: AddSample,
  instruments: Instruments,
  { devices, hours }: Counts,
  labels: string,
): void {
  for (const outcome of LASTING_OUTCOMES)
    add(instruments.devices, labels, devices[outcome], MORE_OF_OUTCOME[outcome]);
  add(instruments.silentDevices, labels, devices.silent);
  add(instruments.runningDevices, labels, devices.running);
  add(instruments.activeHours, labels, hours.active);
  add(instruments.crashedHours, labels, hours.crashed);
  add(instruments.notRespondingHours, labels, hours.notResponding);
}
