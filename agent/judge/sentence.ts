// What a verdict says to people, in plain sentences: "212 of 5,310 devices failed to install or boot 1.4.3 (4.0%, at
// least 3.4%); limit 2%; evidence 10^4.1 against 10^2.3 needed." Pure.
import { SETTLE_MS } from "../health/settled-counts.ts";
import type { UnsettledFailures } from "../health/settled-counts.ts";
import type { JudgeInput } from "./judge.ts";
import type { LimitRule } from "./rule-to-judge.ts";
import { describeFailure } from "./signals.ts";
import type { JudgedSignal } from "./signals.ts";
import type { Allowance } from "./statistics/ratio-test.ts";
import type { SegmentEvidence, SignalEvidence, VerdictReason } from "./verdict.ts";
import { isCountedEarlier } from "./weigh-limit.ts";

export interface Telling {
  readonly input: JudgeInput;
  readonly reason: VerdictReason;
  /** The rule that the sentence is about, and whether its failure is confined to some kinds of device. */
  readonly strongest: SignalEvidence | undefined;
  readonly isConfined: boolean;
  /** Whether a broken rule is explained by the environment; else the environment speaks for itself. */
  readonly isExcused: boolean;
  readonly signals: readonly SignalEvidence[];
}

export function tellVerdict({ input, reason, strongest, isConfined, isExcused, signals }: Telling): string {
  const { version } = input.release;
  if (strongest === undefined) return "The policy names no rule to judge by.";
  if (reason === "no_attempts") return `No device has tried to take ${version} yet.`;
  const compared = strongest.unmeasured === null ? [describe(strongest, version)] : [];
  if (isConfined) compared.push(...describeSegments(strongest));
  if (reason === "environment")
    return isExcused ? [...compared, describeEnvironment(input)].join(" ") : describeSurge(input);
  const isFailing = [
    "limit_exceeded",
    "worse_than_baseline",
    "segment_failing",
    "plain_limit_exceeded",
  ].includes(reason);
  if (isFailing) return compared.join(" ");
  const notes = [
    ...input.rules.flatMap((rule) => (rule.form === "limit" ? describeEarlySilence(rule, input) : [])),
    ...describeUnmeasured(signals, input),
    ...(reason === "attempts_not_announced" ? [describeUnsettled(input.unsettled!)] : []),
  ];
  return [...compared, ...notes].join(" ");
}

/** What was counted, what it is held against, and the evidence. */
function describe(signal: SignalEvidence, version: string): string {
  const { evidenceLog10, thresholdLog10 } = signal;
  const held =
    evidenceLog10 === null
      ? "a plain rule, which weighs no evidence"
      : `evidence ${power(evidenceLog10)} against ${power(thresholdLog10)} needed`;
  return `${describeCounts(signal, version)}; ${describeAllowed(signal)}; ${held}.`;
}

function describeCounts(
  { signal, rule, unit, failures, trials, rate }: SignalEvidence,
  version: string,
): string {
  if (signal === "silence" && rule === "worse_than_baseline")
    return `${count(failures)} of ${count(trials)} ${devices(trials)} that began to take ${version} ${trials === 1 ? "has" : "have"} not answered yet`;
  const share = trials === 0 ? "no attempts" : percentWithPlace(failures / trials);
  const least =
    rate !== null && rate.low > 0 && failures > 0 ? `, at least ${percentWithPlace(rate.low)}` : "";
  if (unit === "devices")
    return `${count(failures)} of ${count(trials)} ${devices(trials)} ${describeFailure(signal)} ${version} (${share}${least})`;
  const hours = `${count(trials)} ${trials === 1 ? "hour" : "hours"} of use`;
  return `${count(failures)} ${devices(failures)} ${describeFailure(signal)} ${version} in ${hours} (${trials === 0 ? "no use yet" : share}${least})`;
}

function describeAllowed({ signal, limit, allowance, baseline, ratio, unit }: SignalEvidence): string {
  if (allowance === null) return `limit ${percent(limit!)}`;
  const beside = describeBaseline(signal, baseline!, unit);
  const low = ratio === null || ratio.low <= 1 ? "" : `, at least ${times(ratio.low)} as often`;
  return `${beside}${low}; ${describeAllowance(signal, allowance)} is allowed`;
}

function describeBaseline(
  signal: JudgedSignal,
  { failures, trials }: { readonly failures: number; readonly trials: number },
  unit: SignalEvidence["unit"],
): string {
  const share = trials === 0 ? "" : ` (${percentWithPlace(failures / trials)})`;
  const of = unit === "devices" ? count(trials) : `${count(trials)} hours of use`;
  return `the baseline${signal === "silence" ? " of the same age" : ""} ${count(failures)} of ${of}${share}`;
}

function describeAllowance(signal: JudgedSignal, { ratio, points }: Allowance): string {
  if (points > 0) return `${shortest(points * 100, 2)} ${points === 0.01 ? "point" : "points"} more`;
  return signal === "silence" ? `${times(ratio)} as slow` : `${times(ratio)} as often`;
}

function describeSegments({ segments }: SignalEvidence): string[] {
  if (segments.length === 0) return [];
  const named = segments.map(
    ({ segment, failures, trials, evidenceLog10, thresholdLog10, shareOfFleet }: SegmentEvidence) =>
      `${segment} (${count(failures)} of ${count(trials)}, ${percent(shareOfFleet)} of the fleet; ${power(evidenceLog10)} against ${power(thresholdLog10)})`,
  );
  return [`Standing out: ${named.join(", ")}.`];
}

function describeEnvironment({ baseline }: JudgeInput): string {
  const versions = baseline.versions.length === 0 ? "the baseline" : baseline.versions.join(", ");
  return (
    `The same happens on ${versions} at the same time: it is the environment (a backend, a network), not the release. ` +
    "Nothing is rolled back for it; somebody must look."
  );
}

function describeSurge({ baseline, release }: JudgeInput): string {
  return (
    `Devices on ${baseline.versions.join(", ")}, which were there before ${release.version}, suddenly fail far more often ` +
    "than usual: it is the environment (a backend, a network), not the release. Somebody must look."
  );
}

function describeUnmeasured(signals: readonly SignalEvidence[], { release }: JudgeInput): string[] {
  const names = (why: SignalEvidence["unmeasured"]): string =>
    [...new Set(signals.filter(({ unmeasured }) => unmeasured === why).map(({ signal }) => signal))].join(
      ", ",
    );
  const notes: string[] = [];
  const uncompared = names("no_baseline");
  if (uncompared !== "")
    notes.push(
      `No other live version on the channel to compare with at the same time (${uncompared}): only limits and silence judge.`,
    );
  const unreported = names("usage_not_reported");
  if (unreported !== "")
    notes.push(
      `Fewer than half of the devices on ${release.version} report their use (event active), so there are no hours to hold failures against (${unreported}).`,
    );
  const mismatched = names("sample_ratio_mismatch");
  if (mismatched !== "")
    notes.push(
      `Devices on ${release.version} report their use less than half as often as those of the baseline: their hours can't be compared (${mismatched}). Look for a changed heartbeat, or reports that get lost.`,
    );
  return notes;
}

function describeEarlySilence(rule: LimitRule, input: JudgeInput): string[] {
  const { silent } = input.devices;
  if (silent === 0 || rule.signal !== "silence" || !isCountedEarlier(rule, input)) return [];
  return [
    `${count(silent)} silent ${silent === 1 ? "device does" : "devices do"} not count: devices of this release ` +
      "were counted by a shorter deadline than the rule has now.",
  ];
}

function describeUnsettled({ failed, download_failed }: UnsettledFailures): string {
  const waiting = Math.max(failed, download_failed);
  if (waiting === 0)
    return "Few devices say when they begin (update_started), so who never answered is not known.";
  return (
    `${count(waiting)} ${waiting === 1 ? "failure" : "failures"} of the last ${SETTLE_MS / 60_000} minutes ${waiting === 1 ? "does" : "do"} not count yet: these devices did not say ` +
    `when they began (update_started), and good answers take longer.`
  );
}

function devices(number: number): string {
  return number === 1 ? "device" : "devices";
}

/** 5310 -> "5,310". */
function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function power(log10: number): string {
  // Not "10^-0.0".
  return `10^${(Math.round(log10 * 10) / 10 + 0).toFixed(1)}`;
}

function times(ratio: number): string {
  return `${shortest(ratio, ratio < 10 ? 1 : 0)}x`;
}

/** As a rule is written: 5%, 0.75%. */
function percent(ratio: number): string {
  const value = ratio * 100;
  return `${shortest(value, value < 1 ? 2 : 1)}%`;
}

/** As a measurement: 4.0%, 0.46%. */
function percentWithPlace(ratio: number): string {
  const value = ratio * 100;
  if (value > 0 && value < 0.1) return `${value.toPrecision(2)}%`;
  return `${value.toFixed(value < 1 ? 2 : 1)}%`;
}

/** With so many places at most. */
function shortest(value: number, places: number): string {
  return String(Number(value.toFixed(places)));
}
