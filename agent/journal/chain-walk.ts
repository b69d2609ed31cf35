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
  /**
   * What comes from elsewhere may be anything. Once the chain is broken it stays so, whatever comes. `kept`: the head as
   * it is kept beside the journal, which its entry must have.
   */
  add(entries: readonly unknown[], kept?: ChainHead): ChainState;
  readonly state: ChainState;
}

export function walkChain(): ChainWalk {
  let state: ChainState = { kind: "intact", head: { seq: 0, hash: GENESIS_HASH } };
  return {
    get state() {
      return state;
    },
    add(entries, kept) {
      for (const entry of entries) {
        if (state.kind === "broken") return state;
        const { head } = state;
        if (!isEntry(entry)) {
          state = { kind: "broken", head, seq: head.seq + 1, detail: "it is no journal entry" };
          return state;
        }
        const check = checkChain([entry], head);
        if (check.kind === "intact" && entry.seq === kept?.seq && entry.hash !== kept.hash) {
          const detail = "its hash is not the one that is kept beside the journal";
          state = { kind: "broken", head, seq: entry.seq, detail };
        } else if (check.kind === "intact")
          state = { kind: "intact", head: { seq: entry.seq, hash: entry.hash } };
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
  if (entry.seq === seq) return detail;
  return entry.seq < seq
    ? `entry ${entry.seq} stands here again, or in the wrong place`
    : `it is missing: entry ${entry.seq} stands in its place`;
}

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
