// The judge: weighs the counts of one release, beside those of its baseline, against the rules of its policy. Pure,
// and a function of counts and time alone, so that a replay of stored counts gives the same bits. Read it top to
// bottom. Enters: counts, rules, the false-rollback budget. Leaves: a Verdict.
import type { ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import type { UnsettledFailures } from "../health/settled-counts.ts";
import { compareHistories } from "./comparison.ts";
import { isCutOff, isExplainedByBaseline, isSurging } from "./environment.ts";
import type { BrokenLimit } from "./environment.ts";
import { usageSince } from "./hour-usage.ts";
import { weighPlain } from "./plain.ts";
import { thresholdsOf } from "./rule-to-judge.ts";
import type { RuleToJudge } from "./rule-to-judge.ts";
import { MISMATCH_LOG10, usageMismatchLog10 } from "./sample-ratio.ts";
import { segmentsOf } from "./segments.ts";
import { tellVerdict } from "./sentence.ts";
import { isUsageSignal } from "./signals.ts";
import { totalsByStratum } from "./stratum-totals.ts";
import { VERDICT_KIND_OF } from "./verdict.ts";
import type { AccusingRule, SignalEvidence, Verdict, VerdictReason } from "./verdict.ts";
import { weighComparison } from "./weigh-comparison.ts";
import { weighLimit } from "./weigh-limit.ts";
import type { Weighed, WeighingContext } from "./weighing.ts";

/** What a release is compared with: the channel's other live versions that came before it and are not condemned. */
export interface Baseline {
  /** Empty = there is none: then limits alone judge, and the verdict says so. */
  readonly versions: readonly Version[];
  /** From a day before the release's first window on. */
  readonly histories: readonly ReleaseHistory[];
  /** Devices that run one of them now. */
  readonly running: number;
}

export const NO_BASELINE: Baseline = { versions: [], histories: [], running: 0 };

export interface JudgeInput {
  readonly release: ReleaseKey;
  readonly devices: OutcomeCounts;
  readonly history: ReleaseHistory;
  readonly baseline: Baseline;
  /**
   * Failures that do not accuse yet (health/settled-counts.ts); undefined where there is nothing to wait for.
   * While it is given the release is not called healthy either: who never answered is not known.
   */
  readonly unsettled?: UnsettledFailures | undefined;
  /**
   * The shortest deadline that any silent device was counted with, in milliseconds. No silent device accuses by
   * a rule with a longer one: it is not known whether it kept silent for so long. Undefined where all did.
   */
  readonly silenceDeadlineMs?: number | undefined;
  readonly rules: readonly RuleToJudge[];
  /** Chance that a release that keeps its rules is ever called failing; a ratio in (0, 1). */
  readonly falseRollbackBudget: number;
  readonly nowMs: number;
}

/** log10 of the evidence (20 to 1) that a rule is kept before a release is called healthy. */
export const HEALTHY_LOG10 = Math.log10(20);

export function judge(input: JudgeInput): Verdict {
  const context = contextOf(input);
  const weighed = input.rules.map((rule) => weigh(rule, context));
  const { accused, excused } = sortAccused(weighed, context);
  const reason = reasonOf(input, {
    weighed,
    accused,
    isEnvironment: excused.length > 0 || isSurge(input),
  });
  const strongest = strongestOf(accused.length > 0 ? accused : excused.length > 0 ? excused : weighed);
  const signals = weighed.map(({ evidence }) => evidence);
  return {
    kind: VERDICT_KIND_OF[reason],
    reason,
    sentence: tellVerdict({
      input,
      reason,
      strongest: strongest?.evidence,
      isConfined: strongest !== undefined && strongest.shareOfFleet < 1,
      isExcused: excused.length > 0,
      signals,
    }),
    release: input.release,
    devices: input.devices,
    signals,
    accusing: accused.flatMap(accusingRules),
    baseline: input.baseline.versions,
    shareOfFleet: accused.length > 0 ? Math.max(...accused.map(({ shareOfFleet }) => shareOfFleet)) : 1,
  };
}

function contextOf(input: JudgeInput): WeighingContext {
  const { history, baseline, devices, rules, falseRollbackBudget, nowMs } = input;
  const totals = totalsByStratum(history);
  const since = new Map([...totals].map(([stratum, { sinceMinute }]) => [stratum, sinceMinute]));
  return {
    input,
    comparison: compareHistories(history, baseline.histories),
    totals,
    segments: segmentsOf(since),
    thresholds: thresholdsOf(rules, falseRollbackBudget),
    usage: rules.some(({ signal }) => isUsageSignal(signal)) && hasMismatch() ? "mismatched" : "comparable",
  };

  function hasMismatch(): boolean {
    const evidence = usageMismatchLog10({
      candidate: { history, running: devices.running },
      baseline,
      nowMinute: Math.floor(nowMs / 60_000),
    });
    return evidence >= MISMATCH_LOG10;
  }
}

function weigh(rule: RuleToJudge, context: WeighingContext): Weighed {
  switch (rule.form) {
    case "limit":
      return weighLimit(rule, context);
    case "worse_than_baseline":
      return weighComparison(rule, context);
    case "plain":
      return weighPlain(rule, context);
  }
}

/** Those who speak against the release, without those whose baseline does no better. */
function sortAccused(
  weighed: readonly Weighed[],
  context: WeighingContext,
): { readonly accused: readonly Weighed[]; readonly excused: readonly Weighed[] } {
  const over = weighed.filter(({ accuses }) => accuses !== "nobody");
  const excused = over.filter((each) => isExcused(each, context));
  return { accused: over.filter((each) => !excused.includes(each)), excused };
}

function isExcused({ evidence, accuses, failing }: Weighed, { input, thresholds }: WeighingContext): boolean {
  const { signal, limit, thresholdLog10 } = evidence;
  if (limit === null) return false;
  if (signal === "silence" && isNetworkDown(input, limit)) return true;
  const isExplained = (broken: Pick<BrokenLimit, "isMeant" | "thresholdLog10">, weight: number): boolean =>
    isExplainedByBaseline(input.history, input.baseline.histories, {
      ...broken,
      signal,
      limit,
      atFaultLog10: thresholds.atFaultLog10(weight),
    });
  if (accuses === "fleet" && !isExplained({ isMeant: () => true, thresholdLog10 }, 1)) return false;
  return failing.every(({ segment: { strata, weight }, thresholdLog10: ofSegmentLog10 }) =>
    isExplained({ isMeant: (stratum) => strata.has(stratum), thresholdLog10: ofSegmentLog10 }, weight),
  );
}

/** Devices that never began to take the release up are quiet as well. */
function isNetworkDown({ devices, history, baseline, rules, nowMs }: JudgeInput, limit: number): boolean {
  const { histories, running } = baseline;
  const pending = Math.max(devices.silent, unansweredSince(history, nowMs / 60_000 - PENDING_MINUTES));
  const left = usageSince(history, nowMs / 60_000 - 24 * 60).reduce(
    (sum, { confirmed }) => sum + confirmed,
    0,
  );
  const deadlines = rules.flatMap((rule) => (rule.form === "plain" ? [] : [rule.deadlineMs ?? 0]));
  const silentShare = devices.announced === 0 ? 0 : devices.silent / devices.announced;
  const quiet = { histories, running, pending, left, nowMs, silentShare: Math.max(0, silentShare - limit) };
  return isCutOff(quiet, Math.max(...deadlines));
}

/** Devices that began within so long may still run what they ran before, and say nothing of it; in minutes. */
const PENDING_MINUTES = 8 * 24 * 60;

function unansweredSince({ days }: JudgeInput["history"], sinceMinute: number): number {
  let unanswered = 0;
  for (const { dayMinute, hours } of days) {
    if (dayMinute + 24 * 60 <= sinceMinute) continue;
    for (const { devices, answered } of hours.flatMap(({ windows }) => windows))
      unanswered += Math.max(0, devices.attempted - answered.reduce((sum, bin) => sum + bin, 0));
  }
  return unanswered;
}

function accusingRules({ evidence, accuses, failing }: Weighed): AccusingRule[] {
  const { signal, rule, failures } = evidence;
  if (accuses === "fleet") return [{ signal, rule, segment: null, failures }];
  return failing.map((each) => ({ signal, rule, segment: each.segment.name, failures: each.failures }));
}

/** Of a release that nobody uses yet it says nothing. */
function isSurge({ rules, baseline, devices, nowMs }: JudgeInput): boolean {
  if (devices.attempted + devices.running === 0) return false;
  return rules.some(
    ({ signal }) => isUsageSignal(signal) && isSurging(baseline.histories, { signal, nowMs }),
  );
}

interface Weighings {
  readonly weighed: readonly Weighed[];
  readonly accused: readonly Weighed[];
  readonly isEnvironment: boolean;
}

/** Harm first, then what keeps anybody from knowing, then health. */
function reasonOf(
  { devices, rules, unsettled }: JudgeInput,
  { weighed, accused, isEnvironment }: Weighings,
): VerdictReason {
  const signals = weighed.map(({ evidence }) => evidence);
  if (rules.length === 0) return "no_rules";
  if (accused.length > 0) return accusationOf(strongestOf(accused)!);
  if (isEnvironment) return "environment";
  if (devices.attempted + devices.running === 0 || isUntried(devices, rules)) return "no_attempts";
  if (signals.some(({ unmeasured }) => unmeasured === "sample_ratio_mismatch"))
    return "sample_ratio_mismatch";
  const measured = signals.filter((signal) => signal.unmeasured === null);
  if (measured.length === 0) return signals[0]!.unmeasured!;
  if (unsettled !== undefined) return "attempts_not_announced";
  if (measured.every(({ rule }) => rule === "plain")) return "plain_limit_kept";
  return measured.every(isKept) ? "within_limits" : "not_enough_evidence";
}

/** Rules for attempts can say nothing of a release that is only used. */
function isUntried({ attempted }: OutcomeCounts, rules: readonly RuleToJudge[]): boolean {
  return attempted === 0 && rules.every(({ signal }) => !isUsageSignal(signal));
}

/** A plain rule proves nothing, and stands in nobody's way. */
function isKept({ rule, safetyLog10 }: SignalEvidence): boolean {
  return rule === "plain" || safetyLog10 >= HEALTHY_LOG10;
}

function accusationOf({ evidence, accuses }: Weighed): VerdictReason {
  if (evidence.rule === "plain") return "plain_limit_exceeded";
  if (accuses === "segments") return "segment_failing";
  return evidence.rule === "limit" ? "limit_exceeded" : "worse_than_baseline";
}

function strongestOf(weighed: readonly Weighed[]): Weighed | undefined {
  const [first, ...others] = weighed;
  return others.reduce((left, right) => (excessOf(right) > excessOf(left!) ? right : left), first);
}

/** How far the evidence is over its threshold, of the fleet or of the segment that is furthest; log10. */
function excessOf({ evidence, accuses, failing }: Weighed): number {
  const { evidenceLog10, thresholdLog10, unmeasured } = evidence;
  // What says nothing is told of last.
  if (unmeasured !== null) return Number.NEGATIVE_INFINITY;
  if (evidenceLog10 === null) return accuses === "nobody" ? Number.NEGATIVE_INFINITY : 0;
  const ofSegments = failing.map((segment) => segment.evidenceLog10 - segment.thresholdLog10);
  return Math.max(evidenceLog10 - thresholdLog10, ...ofSegments);
}
