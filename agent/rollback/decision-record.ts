// A DecisionRecord is an act that was decided (a rollback, a pause, a page), with all it rested on, how a person
// answered where one was asked, how it ended, and whether it helped. It is what the outbox carries, what the API
// shows, and what the journal's entries tell.
import { createHash } from "node:crypto";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { AppId, Channel, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { SignalRecord } from "../journal/signal-record.ts";
import type { ActReason, Cause, PolicyAction, PolicyMode } from "../policy/decision.ts";
import type { RollbackOutcomeKind } from "./outcome.ts";

export interface DecisionRecord {
  readonly id: string;
  /** When it was decided, RFC 3339. */
  readonly at: string;
  readonly app: AppId;
  readonly channel: Channel;
  /** The version that is acted against. */
  readonly version: Version;
  /** The one to go back to; null in a pause and a page. */
  readonly target: Version | null;
  readonly action: PolicyAction;
  /** `manual`: a person asked for it. */
  readonly mode: PolicyMode | "manual";
  readonly cause: Cause | "operator";
  readonly reason: ActReason | "operator_asked";
  readonly sentence: string;
  /** Who asked for it; null = Lastgood did. */
  readonly operator: string | null;
  readonly evidence: { readonly signals: readonly SignalRecord[]; readonly devices: OutcomeCounts };
  /** When ingest took in the newest failing report that the evidence holds, RFC 3339. */
  readonly last_needed_report_at: string;
  /** Null where nobody is asked. */
  readonly approval: Approval | null;
  readonly outcome: DecisionOutcome | null;
  /** Null until the server has answered, and of what is no rollback. */
  readonly follow_up: FollowUp | null;
}

export const APPROVAL_ANSWERS = ["approved", "rejected", "expired", "withdrawn"] as const;
export type ApprovalAnswer = (typeof APPROVAL_ANSWERS)[number];

export interface Approval {
  /** RFC 3339. */
  readonly expires_at: string;
  /** Null = still waiting. */
  readonly answer: ApprovalAnswer | null;
  readonly answered_at: string | null;
  readonly answered_by: string | null;
  readonly note: string | null;
}

export interface DecisionOutcome {
  readonly kind: RollbackOutcomeKind;
  /** When the OTA server had answered and was read back, RFC 3339. */
  readonly at: string;
  readonly detail: string;
  readonly version_seen: Version | null;
  /** Times the decision was tried, this one included. */
  readonly attempts: number;
}

export const FOLLOW_UP_KINDS = ["watching", "effective", "not_effective"] as const;
export type FollowUpKind = (typeof FOLLOW_UP_KINDS)[number];

/** Whether devices really leave the version. */
export interface FollowUp {
  readonly kind: FollowUpKind;
  /** Since when it is so, RFC 3339. */
  readonly at: string;
  readonly detail: string;
  /** Devices that ran the version when the server had answered, and now. */
  readonly running_at_act: number;
  readonly running_now: number;
}

const PREFIXES: Readonly<Record<PolicyAction, string>> = { rollback: "rb", pause: "pa", page: "pg" };

/**
 * The id of the one act of a kind that a release can ever cause: it follows from the release, so that two
 * agents, a retry or a restart name the same act, here and (as Idempotency-Key) at the OTA server. Only when
 * a round ended without an act (stale, expired), or its release is offered again, is there another, with an id of
 * its own.
 */
export function decisionIdOf(
  release: ReleaseKey,
  { action, mode, rounds = 0 }: { action: PolicyAction; mode: PolicyMode; rounds?: number },
): string {
  // What a rollback is called goes back to when there was nothing else.
  const real = action === "rollback" ? "automatic" : action;
  const kind = mode !== "shadow" ? real : action === "rollback" ? "shadow" : `shadow ${action}`;
  const digest = createHash("sha256")
    .update(`${kind}|${formatReleaseKey(release)}`)
    .digest("hex");
  const round = rounds === 0 ? "" : `-${rounds + 1}`;
  return `${mode === "shadow" ? "sh" : PREFIXES[action]}_${digest.slice(0, 20)}${round}`;
}

/** The id of what a person asked for: the same request (by its key) names the same act. */
export function operatorDecisionIdOf(key: string): string {
  return `op_${createHash("sha256").update(key).digest("hex").slice(0, 20)}`;
}

/** An older Lastgood wrote less. */
export function parseDecisionRecord(row: string): DecisionRecord {
  const stored = JSON.parse(row) as Partial<DecisionRecord>;
  return {
    cause: "evidence",
    operator: null,
    approval: null,
    follow_up: null,
    ...stored,
  } as DecisionRecord;
}
