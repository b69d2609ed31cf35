// What metrics say of releases: counts, rates with their intervals, evidence, verdicts. Enters: the summaries of the last
// evaluations and the decisions that stand. Leaves: gauges and counters, set.
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { OUTCOMES } from "../health/outcomes.ts";
import type { Outcome } from "../health/outcomes.ts";
import type { ReleaseSummary } from "../journal/summary-store.ts";
import { VERDICT_KINDS } from "../judge/verdict.ts";
import type { SignalEvidence } from "../judge/verdict.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
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

/** The versions that were reported last have series of their own; the others stand together. */
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
    for (const summary of named) setRelease(instruments, summary, condemned);
    const folded = newestFirst.filter((summary) => !named.has(summary));
    const { app, channel: name } = newestFirst[0]!.verdict.release;
    for (const summary of folded) addCounts(instruments, summary, { app, channel: name, version: OTHER });
    instruments.versionsFolded.set({ app, channel: name }, folded.length);
  }
}

function groupByChannel(summaries: readonly ReleaseSummary[]): ReleaseSummary[][] {
  const channels = new Map<string, ReleaseSummary[]>();
  for (const summary of summaries) {
    const text = formatChannelKey(summary.verdict.release);
    channels.set(text, [...(channels.get(text) ?? []), summary]);
  }
  return [...channels.values()];
}

function setRelease(instruments: Instruments, summary: ReleaseSummary, condemned: ReadonlySet<string>): void {
  const { verdict, lastReportAtMs } = summary;
  const { app, channel, version } = verdict.release;
  const labels = { app, channel, version };
  addCounts(instruments, summary, labels);
  instruments.releaseDevices.set(labels, verdict.devices.attempted);
  instruments.lastReport.set(labels, lastReportAtMs / 1_000);
  instruments.condemned.set(labels, condemned.has(formatReleaseKey(verdict.release)) ? 1 : 0);
  for (const kind of VERDICT_KINDS)
    instruments.verdict.set({ ...labels, verdict: kind }, kind === verdict.kind ? 1 : 0);
  instruments.verdictReason.set({ ...labels, reason: verdict.reason }, 1);
  for (const evidence of verdict.signals) setSignal(instruments, evidence, labels);
}

/** A rule that says nothing has no samples: a 0 would look like one that says "fine". */
function setSignal(
  instruments: Instruments,
  evidence: SignalEvidence,
  release: Record<string, string>,
): void {
  const { signal, rule, failures, trials, baseline, rate, ratio } = evidence;
  if (evidence.unmeasured !== null || trials === 0) return;
  const labels = { ...release, signal };
  const ofRule = { ...labels, rule };
  // Of silence, a comparison counts who has not answered yet, whatever the deadline says.
  if (rule !== "worse_than_baseline" || signal !== "silence")
    instruments.failureRatio.set(labels, failures / trials);
  if (rate !== null) {
    instruments.failureRatioLow.set(ofRule, rate.low);
    if (rate.high !== null) instruments.failureRatioHigh.set(ofRule, rate.high);
  }
  if (baseline !== null && baseline.trials > 0)
    instruments.baselineRatio.set(labels, baseline.failures / baseline.trials);
  if (ratio !== null) {
    instruments.timesBaselineLow.set(labels, ratio.low);
    if (ratio.high !== null) instruments.timesBaselineHigh.set(labels, ratio.high);
  }
  setSegments(instruments, evidence, ofRule);
  if (evidence.evidenceLog10 === null) return;
  instruments.evidence.set(ofRule, evidence.evidenceLog10);
  instruments.threshold.set(ofRule, evidence.thresholdLog10);
}

/** Only kinds of device that stand out, a few of each rule at most: strata never get series of their own. */
function setSegments(
  instruments: Instruments,
  { segments }: SignalEvidence,
  ofRule: Record<string, string>,
): void {
  for (const { segment, failures, trials, evidenceLog10, thresholdLog10 } of segments) {
    const labels = { ...ofRule, segment };
    instruments.segmentRatio.set(labels, failures / trials);
    instruments.segmentEvidence.set(labels, evidenceLog10);
    instruments.segmentThreshold.set(labels, thresholdLog10);
  }
}

/** Adds, because several releases stand in version="other". */
function addCounts(
  instruments: Instruments,
  { verdict: { devices }, hours }: ReleaseSummary,
  labels: Record<string, string>,
): void {
  for (const outcome of LASTING_OUTCOMES) instruments.devices.inc({ ...labels, outcome }, devices[outcome]);
  instruments.silentDevices.inc(labels, devices.silent);
  instruments.runningDevices.inc(labels, devices.running);
  instruments.activeHours.inc(labels, hours.active);
  instruments.crashedHours.inc(labels, hours.crashed);
  instruments.notRespondingHours.inc(labels, hours.notResponding);
}
