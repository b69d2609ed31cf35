// A Verdict is what the evidence allows to say about one release: four kinds, never a bare boolean,
// always with a reason code, the numbers that were compared, and one sentence for people.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { JudgedSignal } from "./signals.ts";

/** Closed list of reasons, each explained in docs/reasons.md. */
export const VERDICT_REASONS = [
  "limit_exceeded",
  "within_limits",
  "not_enough_evidence",
  "attempts_not_announced",
  "no_attempts",
  "no_rules",
] as const;
export type VerdictReason = (typeof VERDICT_REASONS)[number];

/** One rule's numbers. Evidence is log10 of an e-value: 2 means "100 to 1 against the release being within its limit". */
export interface SignalEvidence {
  readonly signal: JudgedSignal;
  readonly rule: "limit";
  /** Devices that failed, and devices that tried: whole numbers. */
  readonly failures: number;
  readonly trials: number;
  /** The limit the rate is held against, a ratio in (0, 1). */
  readonly limit: number;
  readonly evidenceLog10: number;
  /** What the evidence has to reach for `failing`. */
  readonly thresholdLog10: number;
  /** Evidence that the rate is below the limit, with every unresolved attempt counted as failed. */
  readonly safetyLog10: number;
}

export interface Verdict {
  readonly kind: "failing" | "healthy" | "inconclusive" | "unmeasurable";
  readonly reason: VerdictReason;
  readonly sentence: string;
  readonly release: ReleaseKey;
  readonly devices: OutcomeCounts;
  readonly signals: readonly SignalEvidence[];
}
