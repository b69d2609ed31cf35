// What pages are made from: everything that stands now, read at once so that finding pages stays pure. Enters: the
// stores' own records, as they are. Fields that an older Lastgood does not write are optional.
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ProofCounts } from "../../ingest/contract/device-proofs.ts";
import type { VerdictKind } from "../judge/verdict.ts";

export interface PagedHold {
  /** A code of docs/reasons.md. */
  readonly reason: string;
  readonly sentence: string;
  /** RFC 3339. */
  readonly since: string;
}

export interface PagedApproval {
  /** RFC 3339. */
  readonly expires_at: string;
  readonly answered_at: string | null;
  readonly answered_by: string | null;
  readonly answer: "approved" | "rejected" | "expired" | "withdrawn" | null;
}

/** Whether devices left the condemned release after it was acted upon. */
export interface PagedFollowUp {
  readonly kind: "watching" | "effective" | "not_effective";
  /** RFC 3339. */
  readonly at: string;
  readonly detail: string;
}

export interface PagedDecision extends ReleaseKey {
  readonly id: string;
  /** RFC 3339. */
  readonly at: string;
  readonly action: "rollback" | "pause" | "page";
  readonly mode: "automatic" | "approval" | "shadow" | "manual";
  /** Null where the channel is not put on another version. */
  readonly target: string | null;
  readonly sentence: string;
  readonly outcome: {
    readonly kind: "applied" | "already_applied" | "stale" | "refused" | "failed" | (string & {});
    /** RFC 3339. */
    readonly at: string;
    readonly detail: string;
  } | null;
  readonly approval?: PagedApproval | null;
  readonly follow_up?: PagedFollowUp | null;
  /** Who asked for it; null = Lastgood itself. */
  readonly operator?: string | null;
}

export interface PagedFreeze {
  readonly id: string;
  readonly scope: "all" | { readonly app: string; readonly channel: string };
  readonly by: string;
  readonly reason: string;
  /** RFC 3339. */
  readonly since: string;
  readonly until: string | null;
}

export interface PagedRelease {
  readonly release: ReleaseKey;
  readonly kind: VerdictKind;
  readonly sentence: string;
}

/** What the OTA server said of a channel when it was asked last. */
export interface PagedChannel {
  readonly version: string | null;
  readonly readAtMs: number;
}

/** A configuration file with mistakes, which is not in force. */
export interface PagedConfig {
  /** RFC 3339. */
  readonly since: string;
  readonly problems: readonly string[];
}

export interface PagedSuspect {
  /** RFC 3339. */
  readonly since: string;
  readonly sentence: string;
}

export interface PageSnapshot {
  readonly nowMs: number;
  /** By release key text. */
  readonly holds: ReadonlyMap<string, PagedHold>;
  /** Newest first. */
  readonly decisions: readonly PagedDecision[];
  /** Decisions that still have to be carried out: ids. */
  readonly pending: ReadonlySet<string>;
  /** Channels that the configuration names: channel key texts. */
  readonly watched: ReadonlySet<string>;
  /** What the OTA server said of each channel last, by channel key text. */
  readonly channels: ReadonlyMap<string, PagedChannel>;
  /** What the last evaluation of each release found. */
  readonly releases: readonly PagedRelease[];
  /** Those that were set and not lifted; absent = Lastgood knows none yet. */
  readonly freezes?: readonly PagedFreeze[];
  /** Reports with and without the proof that devices owe, by app. */
  readonly proofs?: ReadonlyMap<string, ProofCounts>;
  /** OTA servers that are polled and can't be read, by app. */
  readonly unread?: ReadonlyMap<string, { readonly sinceMs: number; readonly detail: string }>;
  /** By release key text. */
  readonly suspects?: ReadonlyMap<string, PagedSuspect>;
  /** Absent while the configuration file is right. */
  readonly refusedConfig?: PagedConfig | undefined;
}

/** Whether devices may still get the release there: false only when the channel was seen to offer another one since. */
export function mayStillBeOffered(snapshot: PageSnapshot, release: ReleaseKey, sinceMs: number): boolean {
  const seen = snapshot.channels.get(formatChannelKey(release));
  if (seen === undefined || seen.readAtMs < sinceMs) return true;
  return seen.version === release.version;
}

export function isWatched({ watched }: PageSnapshot, key: ChannelKey): boolean {
  return watched.has(formatChannelKey(key));
}
