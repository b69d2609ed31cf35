// One rule's numbers as they are kept in the journal and shown by the API: names in snake_case are a
// promise to users, the inside may change.
import type { AccusingRule, Interval, SignalEvidence } from "../judge/verdict.ts";

export interface SignalRecord {
  readonly signal: string;
  /** `limit`, `worse_than_baseline` or `plain`. */
  readonly rule: string;
  /** What `trials` counts: `devices` or `device_hours`. */
  readonly unit: string;
  readonly failures: number;
  readonly trials: number;
  /** Null in a rule that compares. */
  readonly limit: number | null;
  /** What is allowed beside the baseline: `ratio` times as often, or `points` more. */
  readonly allowed: { readonly ratio: number; readonly points: number } | null;
  readonly baseline: { readonly failures: number; readonly trials: number } | null;
  /** Null in a plain rule. */
  readonly evidence_log10: number | null;
  readonly threshold_log10: number;
  readonly safety_log10: number;
  /** 95% confidence sequences; `high` null = no upper end yet. */
  readonly rate: Interval | null;
  readonly ratio: Interval | null;
  /** Why the rule says nothing; null = it does. */
  readonly unmeasured: string | null;
  readonly segments: readonly {
    readonly segment: string;
    readonly failures: number;
    readonly trials: number;
    readonly evidence_log10: number;
    readonly threshold_log10: number;
    readonly share_of_fleet: number;
  }[];
}

export function toSignalRecord(evidence: SignalEvidence): SignalRecord {
  const { signal, rule, unit, failures, trials, limit, baseline, rate, ratio, unmeasured } = evidence;
  return {
    signal,
    rule,
    unit,
    failures,
    trials,
    limit,
    allowed: evidence.allowance,
    baseline,
    evidence_log10: evidence.evidenceLog10,
    threshold_log10: evidence.thresholdLog10,
    safety_log10: evidence.safetyLog10,
    rate,
    ratio,
    unmeasured,
    segments: evidence.segments.map((segment) => ({
      segment: segment.segment,
      failures: segment.failures,
      trials: segment.trials,
      evidence_log10: segment.evidenceLog10,
      threshold_log10: segment.thresholdLog10,
      share_of_fleet: segment.shareOfFleet,
    })),
  };
}

/** A rule that is over its threshold; `known_devices` is null where the policy does not ask who accuses. */
export interface AccusingRecord {
  readonly signal: string;
  readonly rule: string;
  /** The kind of device that fails; null = the fleet. */
  readonly segment: string | null;
  readonly failures: number;
  readonly known_devices: {
    readonly devices: number;
    readonly known: number;
    /** They were heard of before this day (UTC). */
    readonly before: string;
  } | null;
}

export function toAccusingRecord({ knownDevices, ...rule }: AccusingRule): AccusingRecord {
  if (knownDevices === undefined) return { ...rule, known_devices: null };
  const { devices, known, releaseDay } = knownDevices;
  const before = new Date(releaseDay * 24 * 3_600_000).toISOString().slice(0, 10);
  return { ...rule, known_devices: { devices, known, before } };
}
