// The story of a decision: the journal's entries that tell of it, of its release, and of what people did meanwhile. Pure
// choice, and the reading of a long journal in turns. Enters: a decision, the journal. Leaves: entries, in order.
import { setImmediate } from "node:timers/promises";
import type { Journal } from "./journal.ts";
import type { JournalEntry } from "./journal-entry.ts";
import { JOURNAL_PAGE_MAX } from "./journal.ts";

/** Entries that are looked through, at most: the newest. */
export const STORY_SCAN_MAX = 50_000;
/** Entries of a story, at most: the newest. */
export const STORY_ENTRIES_MAX = 1_000;

export interface StoryOf {
  readonly id: string;
  readonly app: string;
  readonly channel: string;
  readonly version: string;
}

export interface Story {
  readonly entries: readonly JournalEntry[];
  /** False when older entries were not looked at, or left out. */
  readonly isWhole: boolean;
}

export async function readStory(
  of: StoryOf,
  journal: Journal,
  { scanMax = STORY_SCAN_MAX, entriesMax = STORY_ENTRIES_MAX } = {},
): Promise<Story> {
  const { seq: head } = await journal.head();
  const first = Math.max(0, head - scanMax);
  const entries: JournalEntry[] = [];
  for (let afterSeq = first; ;) {
    const page = await journal.read({ afterSeq, limit: JOURNAL_PAGE_MAX });
    entries.push(...page.filter((entry) => isAbout(entry, of)));
    afterSeq += JOURNAL_PAGE_MAX;
    if (page.length === 0 || afterSeq >= head) break;
    // The journal is read in the process that counts.
    await setImmediate();
  }
  const told = entries.slice(-entriesMax);
  return { entries: told, isWhole: first === 0 && told.length === entries.length };
}

/** Named by its id, by its release, or (freezes, acts of people) by its channel, or by nothing smaller than everything. */
export function isAbout({ kind, body }: Pick<JournalEntry, "kind" | "body">, of: StoryOf): boolean {
  const { decision_id: decisionId, id } = body;
  if (typeof decisionId === "string") return decisionId === of.id;
  if (kind === "decision" && id === of.id) return true;
  const place = [body, body["release"], body["scope"]].find(
    (each): each is Record<string, unknown> =>
      typeof each === "object" &&
      each !== null &&
      typeof (each as Record<string, unknown>)["app"] === "string",
  );
  // What says no place concerns every channel, or (dead letters) none.
  if (place === undefined) return body["scope"] === "all";
  if (place["app"] !== of.app || place["channel"] !== of.channel) return false;
  const { version } = place;
  return typeof version === "string" ? version === of.version : version === undefined || version === null;
}
