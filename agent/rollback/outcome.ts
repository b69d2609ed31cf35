// A RollbackOutcome is how one RollbackDecision ended at the OTA server. Made by the executor after the
// call and the read-back; read by the journal, the metrics and the people who ask "what was done?".
import type { Version } from "../../ingest/contract/release-key.ts";

export type RollbackOutcomeKind = RollbackOutcome["kind"];

interface Ending {
  /** A sentence for people: what happened, and what to do if it is not good. */
  readonly detail: string;
  /** What the channel offered when it was last read; null when it offered nothing or could not be read. */
  readonly versionSeen: Version | null;
}

export type RollbackOutcome =
  /** This decision's call put the channel on the target, and the read-back agrees. */
  | (Ending & { readonly kind: "applied" })
  /** The channel was on the target before this call: an earlier try whose answer was lost, or a person. */
  | (Ending & { readonly kind: "already_applied" })
  /** The channel had left the condemned version for another one: nothing was done, and nothing is wrong. */
  | (Ending & { readonly kind: "stale" })
  /** The server said no, and went on saying it for an hour. A person must look. */
  | (Ending & { readonly kind: "refused" })
  /** Gave up, or the read-back shows another version than the target. A person must look. */
  | (Ending & { readonly kind: "failed" });

/** Every kind, for metrics that start at zero. */
export const ROLLBACK_OUTCOME_KINDS = [
  "applied",
  "already_applied",
  "stale",
  "refused",
  "failed",
] as const satisfies readonly RollbackOutcomeKind[];
