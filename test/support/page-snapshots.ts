// Snapshots for tests of pages and summaries: nothing stands by default, with fields to replace.
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { PageSnapshot, PagedDecision, PagedHold } from "../../agent/paging/page-snapshot.ts";
import { TILL, releaseOf, version } from "./verdicts.ts";

export const NOON_MS = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;

export function minutesAgo(minutes: number): string {
  return new Date(NOON_MS - minutes * MINUTE_MS).toISOString();
}

/** Noon; the till's channel is watched, and offers 1.4.0. */
export function pageSnapshot(fields: Partial<PageSnapshot> = {}): PageSnapshot {
  return {
    nowMs: NOON_MS,
    holds: new Map(),
    decisions: [],
    pending: new Set(),
    watched: new Set([formatChannelKey(TILL)]),
    channels: offering("1.4.0"),
    releases: [],
    ...fields,
  };
}

/** The till's channel as it was seen so many minutes ago. */
export function offering(text: string, minutes = 0): PageSnapshot["channels"] {
  return new Map([
    [formatChannelKey(TILL), { version: version(text), readAtMs: NOON_MS - minutes * MINUTE_MS }],
  ]);
}

/** Held for ten minutes. */
export function holding(
  reason: string,
  release: ReleaseKey = releaseOf("1.4.0"),
): ReadonlyMap<string, PagedHold> {
  return new Map([
    [formatReleaseKey(release), { reason, sentence: `Held: ${reason}.`, since: minutesAgo(10) }],
  ]);
}

/** Decided ten minutes ago and carried out a second later. */
export function pagedDecision(fields: Partial<PagedDecision> = {}): PagedDecision {
  return {
    id: "rb_1",
    at: minutesAgo(10),
    ...releaseOf("1.4.0"),
    action: "rollback",
    mode: "automatic",
    target: "1.3.0",
    sentence: "20 of 100 devices failed. Rolling back to 1.3.0.",
    outcome: endedAs("applied"),
    ...fields,
  };
}

export function endedAs(kind: string, minutes = 10): PagedDecision["outcome"] {
  return { kind, at: minutesAgo(minutes), detail: `It was ${kind}.` };
}
