// What the judge is asked: one statement about one signal that a release has to keep. And how the release's
// false-rollback budget is shared among statements. Pure.
import type { OutcomeSignal, UsageSignal } from "./signals.ts";
import type { Allowance } from "./statistics/ratio-test.ts";

/** "The true rate is at most the limit." */
export interface LimitRule {
  readonly form: "limit";
  readonly signal: OutcomeSignal | UsageSignal;
  /** A ratio in (0, 1): of devices that tried, or of device-hours. */
  readonly limit: number;
  /** Of a rule for silence: how long a device must have said nothing to accuse, in milliseconds. */
  readonly deadlineMs?: number | undefined;
}

/** "The rate is at most what is allowed beside the baseline." */
export interface ComparisonRule {
  readonly form: "worse_than_baseline";
  readonly signal: OutcomeSignal | UsageSignal;
  /** Of a rule for silence: `ratio` is how much slower devices may come back; without points. */
  readonly allowance: Allowance;
  /** Of a rule for silence: ages up to it are looked at, in milliseconds. */
  readonly deadlineMs?: number | undefined;
}

/** The classic alternative: the rate over a window has been above the limit for a while. It has no guarantee. */
export interface PlainRule {
  readonly form: "plain";
  readonly signal: OutcomeSignal | UsageSignal;
  readonly limit: number;
  /** In milliseconds. */
  readonly windowMs: number;
  /** How long the rate has to be above the limit, in milliseconds. */
  readonly forMs: number;
  /** Devices (or device-hours) that the window must hold at least. */
  readonly minDevices: number;
}

/** Ages at which devices are compared by how fast they come back, at most; what is silent longer is for the deadline. */
export const RETURN_AGE_MS_MAX = 6 * 3_600_000;

/** Up to which age this rule compares, in milliseconds. */
export function returnAgeMs({ deadlineMs = RETURN_AGE_MS_MAX }: ComparisonRule): number {
  return Math.min(deadlineMs, RETURN_AGE_MS_MAX);
}

export type RuleToJudge = LimitRule | ComparisonRule | PlainRule;

/** Share of the budget for tests over the whole fleet; the rest is for segments (design section 4). */
export const FLEET_BUDGET_SHARE = 0.5;

/** log10 of the evidence at which a rule is broken by the fleet, and by a segment with this weight. */
export interface Thresholds {
  readonly fleetLog10: number;
  segmentLog10(weight: number): number;
  /** That it is the release that is at fault when a limit is broken, and not the environment; 1 = the whole fleet. */
  atFaultLog10(weight: number): number;
}

/** Every statement that spends budget gets an equal part; plain ones spend none, and promise nothing. */
export function thresholdsOf(rules: readonly RuleToJudge[], falseRollbackBudget: number): Thresholds {
  const spending = Math.max(1, rules.filter(({ form }) => form !== "plain").length);
  const part = falseRollbackBudget / spending;
  return {
    fleetLog10: -Math.log10(part * FLEET_BUDGET_SHARE),
    segmentLog10: (weight) => -Math.log10(part * (1 - FLEET_BUDGET_SHARE) * weight),
    atFaultLog10: (weight) => -Math.log10(falseRollbackBudget * weight),
  };
}
