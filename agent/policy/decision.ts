// A RollbackDecision is what the policy makes of a Verdict: do nothing, hold back (and which guard spoke),
// or put the channel back on a named version. Always with a closed reason code and a sentence.
import type { Version } from "../../ingest/contract/release-key.ts";

/** Closed list of reasons, each explained in docs/reasons.md. */
export const DECISION_REASONS = [
  "verdict_not_failing",
  "already_condemned",
  "evidence_over_threshold",
  "environment",
  "too_few_devices",
  "share_too_small",
  "cooling_down",
  "channel_moved_on",
  "ota_server_unavailable",
  "ota_server_refused",
  "rolled_back_to_before",
  "no_good_target",
  "target_below_minimum_version",
] as const;
export type DecisionReason = (typeof DECISION_REASONS)[number];

/** Reasons to hold back that pass by themselves, without a new report: time goes by, a server comes back. */
export const PASSING_REASONS: ReadonlySet<DecisionReason> = new Set([
  "cooling_down",
  "ota_server_unavailable",
  "ota_server_refused",
  "no_good_target",
]);

/** The guards that can hold a rollback back, one file each under guards/. */
export const GUARDS = [
  "version_at_fault",
  "min_devices",
  "share_of_fleet",
  "still_current",
  "one_hop",
  "cooldown",
  "good_target",
] as const;
export type Guard = (typeof GUARDS)[number];

export type RollbackDecision =
  | {
      readonly kind: "none";
      readonly reason: "verdict_not_failing" | "already_condemned";
      readonly sentence: string;
    }
  | {
      readonly kind: "hold";
      readonly reason: DecisionReason;
      readonly guard: Guard;
      readonly sentence: string;
    }
  | {
      readonly kind: "rollback";
      /** `shadow`: recorded, and nothing is touched. */
      readonly mode: "automatic" | "shadow";
      readonly reason: "evidence_over_threshold";
      readonly target: Version;
      readonly sentence: string;
    };
