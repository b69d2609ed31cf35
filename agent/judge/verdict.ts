// A Verdict is what the evidence allows to say about one release: four kinds, never a bare boolean,
// always with a reason code, the numbers that were compared, and a sentence for people.
import type { ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { JudgedSignal } from "./signals.ts";
import type { Allowance } from "./statistics/ratio-test.ts";

export const VERDICT_KINDS = ["failing", "healthy", "inconclusive", "unmeasurable"] as const;
export type VerdictKind = (typeof VERDICT_KINDS)[number];

/** Closed list of reasons with the kind of verdict each belongs to; each explained in docs/reasons.md. */
export const VERDICT_KIND_OF = {
  limit_exceeded: "failing",
  worse_than_baseline: "failing",
  segment_failing: "failing",
  plain_limit_exceeded: "failing",
  within_limits: "healthy",
  not_enough_evidence: "inconclusive",
  attempts_not_announced: "inconclusive",
  environment: "inconclusive",
  plain_limit_kept: "inconclusive",
  no_attempts: "unmeasurable",
  no_baseline: "unmeasurable",
  usage_not_reported: "unmeasurable",
  sample_ratio_mismatch: "unmeasurable",
  no_rules: "unmeasurable",
} as const satisfies Record<string, VerdictKind>;
export type VerdictReason = keyof typeof VERDICT_KIND_OF;
export const VERDICT_REASONS = Object.keys(VERDICT_KIND_OF) as readonly VerdictReason[];

export const RULE_FORMS = ["limit", "worse_than_baseline", "plain"] as const;
export type RuleForm = (typeof RULE_FORMS)[number];

/** Why a rule says nothing. */
export type Unmeasured = "no_baseline" | "usage_not_reported" | "sample_ratio_mismatch";

/** Bounds of a confidence sequence: right at every look at once, with CONFIDENCE. `high` null = no upper end yet. */
export interface Interval {
  readonly low: number;
  readonly high: number | null;
}

/** A kind of device, by one of its values (`model=till-9`), that fails more than is allowed. */
export interface SegmentEvidence {
  readonly segment: string;
  readonly failures: number;
  readonly trials: number;
  readonly evidenceLog10: number;
  readonly thresholdLog10: number;
  /** Of the release's devices, a ratio. */
  readonly shareOfFleet: number;
}

/** One rule's numbers. Evidence is log10 of an e-value: 2 means "100 to 1 against the release keeping the rule". */
export interface SignalEvidence {
  readonly signal: JudgedSignal;
  readonly rule: RuleForm;
  /** What `trials` counts. `failures` are devices, each at most once. */
  readonly unit: "devices" | "device_hours";
  readonly failures: number;
  readonly trials: number;
  /** The limit the rate is held against, a ratio in (0, 1); null in a rule that compares. */
  readonly limit: number | null;
  /** What the release may be worse by than its baseline; null in a rule with a limit. */
  readonly allowance: Allowance | null;
  /** The baseline's numbers, of the same times and kinds of device; null in a rule with a limit, or without one. */
  readonly baseline: { readonly failures: number; readonly trials: number } | null;
  /** Null in a plain rule, which weighs no evidence. */
  readonly evidenceLog10: number | null;
  /** What the evidence has to reach for `failing`. */
  readonly thresholdLog10: number;
  /** Evidence that the rule is kept, with every unresolved attempt counted as failed. */
  readonly safetyLog10: number;
  /** Confidence sequence of the rate; null where there is none. */
  readonly rate: Interval | null;
  /** Of the ratio of the rate to the baseline's. */
  readonly ratio: Interval | null;
  readonly unmeasured: Unmeasured | null;
  /** Kinds of device that stand out, strongest first, SEGMENTS_NAMED_MAX at most. */
  readonly segments: readonly SegmentEvidence[];
}

/** Of the devices that accuse a release, those that Lastgood had heard of before the day in which the release appeared. */
export interface KnownDevices {
  readonly devices: number;
  readonly known: number;
  /** Day (since the epoch, by our clock) in which the release was first reported about. */
  readonly releaseDay: number;
  /** Day in which any release was, as far as is known: nobody can have been heard of before. */
  readonly listeningDay: number;
}

/** A rule that is over its threshold, and whom it means. */
export interface AccusingRule {
  readonly signal: JudgedSignal;
  readonly rule: RuleForm;
  /** The kind of device that fails; null = the fleet. */
  readonly segment: string | null;
  readonly failures: number;
  /** Left out where the policy does not ask for it. */
  readonly knownDevices?: KnownDevices;
}

export interface Verdict {
  readonly kind: VerdictKind;
  readonly reason: VerdictReason;
  readonly sentence: string;
  readonly release: ReleaseKey;
  readonly devices: OutcomeCounts;
  readonly signals: readonly SignalEvidence[];
  /** What makes it failing, each kind of device on its own; empty in any other verdict. */
  readonly accusing: readonly AccusingRule[];
  /** Versions it was compared with; empty = there was none. */
  readonly baseline: readonly Version[];
  /** Share of the release's devices that the failure concerns: 1, or that of the kinds of device it is confined to. */
  readonly shareOfFleet: number;
}

/** Of the intervals that are shown. */
export const CONFIDENCE = 0.95;
