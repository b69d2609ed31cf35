// A RollbackOutcome is how one decision ended: at the OTA server, or before it got there. Made by the executor after
// the call and the read-back; read by the journal, the metrics and the people who ask "what was done?".
import type { Version } from "../../ingest/contract/release-key.ts";

export type RollbackOutcomeKind = RollbackOutcome["kind"];

interface Ending {
  /** A sentence for people: what happened, and what to do if it is not good. */
  readonly detail: string;
  /** What the channel offered when it was last read; null when it offered nothing or could not be read. */
  readonly versionSeen: Version | null;
}

export type RollbackOutcome =
  /** This decision's call put the channel on the target (or paused it), and the read-back agrees. */
  | (Ending & { readonly kind: "applied" })
  /** The channel was on the target before this call: an earlier try whose answer was lost, or a person. */
  | (Ending & { readonly kind: "already_applied" })
  /** The channel had left the condemned version for another one: nothing was done, and nothing is wrong. */
  | (Ending & { readonly kind: "stale" })
  /** The server said no, and went on saying it for an hour. A person must look. */
  | (Ending & { readonly kind: "refused" })
  /** Gave up, or the read-back shows another version than the target. A person must look. */
  | (Ending & { readonly kind: "failed" })
  /** A person was called, which is all that was to be done. */
  | (Ending & { readonly kind: "paged" })
  /** Nobody answered in time. */
  | (Ending & { readonly kind: "expired" })
  /** A person said no. */
  | (Ending & { readonly kind: "rejected" })
  /** What was to be approved is over: the release turned out well, or the channel moved on. */
  | (Ending & { readonly kind: "withdrawn" });

/** Every kind, for metrics that start at zero. */
export const ROLLBACK_OUTCOME_KINDS = [
  "applied",
  "already_applied",
  "stale",
  "refused",
  "failed",
  "paged",
  "expired",
  "rejected",
  "withdrawn",
] as const satisfies readonly RollbackOutcomeKind[];

/** Ends in which nothing was done, so that they do not use the release's one act up. */
export const UNDONE_OUTCOMES: ReadonlySet<RollbackOutcomeKind> = new Set(["stale", "expired", "withdrawn"]);
/** Ends in which the OTA server is where it was asked to be. */
export const DONE_OUTCOMES: ReadonlySet<RollbackOutcomeKind> = new Set(["applied", "already_applied"]);
