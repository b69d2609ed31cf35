// A DecisionRecord is a rollback that was decided, with all it rested on, and how it ended. It is what the
// outbox carries, what the API shows, and what the journal's decision and outcome entries tell.
import { createHash } from "node:crypto";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { AppId, Channel, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { SignalRecord } from "../journal/signal-record.ts";
import type { RollbackOutcomeKind } from "./outcome.ts";

export interface DecisionRecord {
  readonly id: string;
  /** When it was decided, RFC 3339. */
  readonly at: string;
  readonly app: AppId;
  readonly channel: Channel;
  /** The condemned version, and the one to go back to. */
  readonly version: Version;
  readonly target: Version;
  readonly action: "rollback";
  readonly mode: "automatic" | "shadow";
  readonly reason: "evidence_over_threshold";
  readonly sentence: string;
  readonly evidence: { readonly signals: readonly SignalRecord[]; readonly devices: OutcomeCounts };
  /** When ingest took in the newest failing report that the evidence holds, RFC 3339. */
  readonly last_needed_report_at: string;
  readonly outcome: DecisionOutcome | null;
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

/**
 * The id of the one rollback that a release can ever cause: it follows from the release, so that two
 * agents, a retry or a restart name the same act, here and (as Idempotency-Key) at the OTA server. Only when
 * a round ended as `stale` (nothing was done) is there another, with an id of its own.
 */
export function decisionIdOf(release: ReleaseKey, mode: "automatic" | "shadow", staleRounds = 0): string {
  const digest = createHash("sha256")
    .update(`${mode}|${formatReleaseKey(release)}`)
    .digest("hex");
  const round = staleRounds === 0 ? "" : `-${staleRounds + 1}`;
  return `${mode === "shadow" ? "sh" : "rb"}_${digest.slice(0, 20)}${round}`;
}
