// Checks a journal of any length, page by page: what was checked is not kept. Pure. Enters: pages of entries, in the order
// of the journal. Leaves: how far the chain is intact, or the first entry at which it is broken, by name.
import { GENESIS_HASH, checkChain } from "./journal-entry.ts";
import type { JournalEntry } from "./journal-entry.ts";

export interface ChainHead {
  /** Of the last entry that was checked; 0 = none was. */
  readonly seq: number;
  readonly hash: string;
}

export type ChainState =
  | { readonly kind: "intact"; readonly head: ChainHead }
  | { readonly kind: "broken"; readonly head: ChainHead; readonly seq: number; readonly detail: string };

export interface ChainWalk {
  /** Once it is broken it stays so, whatever comes. */
  add(entries: readonly JournalEntry[]): ChainState;
  readonly state: ChainState;
}

export function walkChain(): ChainWalk {
  let state: ChainState = { kind: "intact", head: { seq: 0, hash: GENESIS_HASH } };
  return {
    get state() {
      return state;
    },
    add(entries) {
      for (const entry of entries) {
        if (state.kind === "broken") return state;
        const { head } = state;
        const check = isEntry(entry)
          ? checkChain([entry], head)
          : ({ kind: "broken", seq: head.seq + 1, detail: "it is no journal entry" } as const);
        if (check.kind === "intact") state = { kind: "intact", head: { seq: entry.seq, hash: entry.hash } };
        else state = { ...check, head, detail: explain(entry, check) };
      }
      return state;
    },
  };
}

/** An entry that stands where another should says which: then entries were swapped, or taken out. */
function explain(
  entry: JournalEntry,
  { seq, detail }: { readonly seq: number; readonly detail: string },
): string {
  if (!isEntry(entry) || entry.seq === seq) return detail;
  return entry.seq < seq
    ? `entry ${entry.seq} stands here again, or in the wrong place`
    : `it is missing: entry ${entry.seq} stands in its place`;
}

/** What comes from elsewhere may be anything. */
function isEntry(entry: unknown): entry is JournalEntry {
  if (typeof entry !== "object" || entry === null) return false;
  const { seq, at, kind, body, prev, hash } = entry as Record<string, unknown>;
  return (
    Number.isSafeInteger(seq) &&
    [at, kind, prev, hash].every((text) => typeof text === "string") &&
    typeof body === "object" &&
    body !== null
  );
}
