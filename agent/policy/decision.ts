// A RollbackDecision is what the policy makes of a Verdict: do nothing, hold back (and which guard spoke), or act:
// put the channel back on a named version, stop the rollout where it is, or call a person. Always with a closed
// reason code and a sentence.
import type { Version } from "../../ingest/contract/release-key.ts";

/** Closed list of reasons, each explained in docs/reasons.md. */
export const DECISION_REASONS = [
  "verdict_not_failing",
  "already_condemned",
  "evidence_over_threshold",
  "alert_fired",
  "offered_again",
  "operator_asked",
  "environment",
  "too_few_devices",
  "share_too_small",
  "unknown_devices",
  "kill_switch",
  "frozen",
  "freeze_window",
  "cooling_down",
  "channel_rollbacks_used_up",
  "overall_rollbacks_used_up",
  "channel_moved_on",
  "ota_server_unavailable",
  "ota_server_refused",
  "action_not_supported",
  "rolled_back_to_before",
  "rejected_by_operator",
  "no_good_target",
  "no_proven_target",
  "target_below_minimum_version",
  "target_below_native_build",
] as const;
export type DecisionReason = (typeof DECISION_REASONS)[number];

/** Reasons to hold back that pass by themselves, without a new report: time goes by, a server comes back. */
export const PASSING_REASONS: ReadonlySet<DecisionReason> = new Set([
  "environment",
  "kill_switch",
  "frozen",
  "freeze_window",
  "cooling_down",
  "channel_rollbacks_used_up",
  "overall_rollbacks_used_up",
  "ota_server_unavailable",
  "ota_server_refused",
  "no_good_target",
  "no_proven_target",
  "target_below_native_build",
]);

/** The guards that can hold a rollback back, one file each under guards/. */
export const GUARDS = [
  "version_at_fault",
  "min_devices",
  "share_of_fleet",
  "known_devices",
  "kill_switch",
  "freeze",
  "freeze_window",
  "still_current",
  "capability",
  "one_hop",
  "rejected",
  "rollback_budget",
  "cooldown",
  "good_target",
] as const;
export type Guard = (typeof GUARDS)[number];

/** What is done about a release that is condemned. */
export const POLICY_ACTIONS = ["rollback", "pause", "page"] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

/** A stronger act has done what a weaker one would. */
const STRENGTH: Readonly<Record<PolicyAction, number>> = { page: 0, pause: 1, rollback: 2 };

export function isWeaker(action: PolicyAction, than: PolicyAction): boolean {
  return STRENGTH[action] < STRENGTH[than];
}

/** `approval` waits for a person's yes; `shadow` is recorded, and nothing is touched. */
export const POLICY_MODES = ["automatic", "approval", "shadow"] as const;
export type PolicyMode = (typeof POLICY_MODES)[number];

/** Why a release is accused: by its verdict, by a rule of the user's own in Alertmanager, or because it was condemned before. */
export type Cause = "evidence" | "alert" | "offered_again";
export const REASON_OF_CAUSE = {
  evidence: "evidence_over_threshold",
  alert: "alert_fired",
  offered_again: "offered_again",
} as const satisfies Record<Cause, DecisionReason>;
export type ActReason = (typeof REASON_OF_CAUSE)[Cause];

interface Act {
  readonly mode: PolicyMode;
  readonly reason: ActReason;
  readonly sentence: string;
}

export type ActDecision =
  | (Act & { readonly kind: "rollback"; readonly target: Version })
  | (Act & { readonly kind: "pause" })
  | (Act & { readonly kind: "page" });

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
  | ActDecision;
