// A JournalEntry is one line of the append-only record of what Lastgood saw, decided and did. Entries are
// chained: each holds the hash of the one before, so a changed or missing entry shows.
import { createHash } from "node:crypto";

export const JOURNAL_KINDS = [
  "verdict",
  "hold",
  "decision",
  "outcome",
  "follow_up",
  "freeze",
  "alert",
  "operator",
  "config",
] as const;
export type JournalKind = (typeof JOURNAL_KINDS)[number];

export interface JournalDraft {
  readonly kind: JournalKind;
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface JournalEntry extends JournalDraft {
  /** 1, 2, 3, … without gaps. */
  readonly seq: number;
  /** Hash of the entry before; 64 zeros for the first. */
  readonly prev: string;
  /** SHA-256 (hex) over `prev` and the JSON of seq, at, kind and body. */
  readonly hash: string;
}

export const GENESIS_HASH = "0".repeat(64);

export function hashEntry({ seq, at, kind, body, prev }: Omit<JournalEntry, "hash">): string {
  return createHash("sha256").update(prev).update(JSON.stringify({ seq, at, kind, body })).digest("hex");
}

export type ChainCheck =
  | { readonly kind: "intact"; readonly entries: number }
  | { readonly kind: "broken"; readonly seq: number; readonly detail: string };

/** Checks entries that follow each other, beginning after an entry with `seq` and `hash`. */
export function checkChain(
  entries: readonly JournalEntry[],
  after: { readonly seq: number; readonly hash: string } = { seq: 0, hash: GENESIS_HASH },
): ChainCheck {
  let { seq, hash } = after;
  for (const entry of entries) {
    if (entry.seq !== seq + 1) return { kind: "broken", seq: seq + 1, detail: `entry ${seq + 1} is missing` };
    if (entry.prev !== hash)
      return { kind: "broken", seq: entry.seq, detail: "it does not follow from the entry before" };
    if (hashEntry(entry) !== entry.hash)
      return { kind: "broken", seq: entry.seq, detail: "its content was changed" };
    ({ seq, hash } = entry);
  }
  return { kind: "intact", entries: entries.length };
}
