// Which entries of the journal are the story of a decision, and how far back it is looked for.
import { describe, expect, it } from "vitest";
import type { JournalEntry } from "../../../../agent/journal/journal-entry.ts";
import { JOURNAL_PAGE_MAX } from "../../../../agent/journal/journal.ts";
import { isAbout, readStory } from "../../../../agent/journal/story.ts";

const PLACE = { app: "com.acme.till", channel: "production" };
const STORY = { id: "rb_1", ...PLACE, version: "1.4.0" };

describe("an entry belongs to it", () => {
  it.each([
    ["its verdict", "verdict", { release: { ...PLACE, version: "1.4.0" } }, true],
    ["another release's verdict", "verdict", { release: { ...PLACE, version: "1.3.0" } }, false],
    ["another channel's", "verdict", { release: { ...PLACE, channel: "beta", version: "1.4.0" } }, false],
    ["a hold of it", "hold", { release: { ...PLACE, version: "1.4.0" }, reason: "cooling_down" }, true],
    ["the decision", "decision", { id: "rb_1", ...PLACE, version: "1.4.0" }, true],
    ["another decision about the release", "decision", { id: "sh_1", ...PLACE, version: "1.4.0" }, true],
    ["another release's decision", "decision", { id: "rb_2", ...PLACE, version: "1.5.0" }, false],
    ["its outcome", "outcome", { decision_id: "rb_1", kind: "applied" }, true],
    ["another's outcome", "outcome", { decision_id: "rb_2", kind: "applied" }, false],
    ["what a person answered", "operator", { operator: "bo", action: "approve", decision_id: "rb_1" }, true],
    ["what a person did to the channel", "operator", { action: "pause", ...PLACE }, true],
    ["and to another version", "operator", { action: "absolve", ...PLACE, version: "1.3.0" }, false],
    ["a freeze of everything", "freeze", { scope: "all" }, true],
    ["a freeze of the channel", "freeze", { scope: PLACE }, true],
    ["a freeze of another", "freeze", { scope: { ...PLACE, channel: "beta" } }, false],
    ["dead letters", "operator", { action: "dead_letters_redrive", letters: 3 }, false],
  ])("%s: %s %j", (_what, kind, body, expected) => {
    expect(isAbout({ kind: kind as JournalEntry["kind"], body }, STORY)).toBe(expected);
  });
});

describe("a long journal", () => {
  const entries = Array.from({ length: 2 * JOURNAL_PAGE_MAX + 5 }, (_, index): JournalEntry => ({
    seq: index + 1,
    at: "",
    kind: "outcome",
    body: { decision_id: index % 2 === 0 ? "rb_1" : "rb_2" },
    prev: "",
    hash: "",
  }));
  const journal = {
    append: () => Promise.reject(new Error("a story only reads")),
    read: ({ afterSeq, limit }: { afterSeq: number; limit: number }) =>
      Promise.resolve(entries.slice(afterSeq, afterSeq + limit)),
    head: () => Promise.resolve({ seq: entries.length, hash: "" }),
  };
  const seqs = async (limits: { scanMax?: number; entriesMax?: number }) => {
    const story = await readStory(STORY, journal, limits);
    return [story.entries[0]?.seq, story.entries.length, story.isWhole];
  };

  it("is read page by page to its end", async () => {
    expect(await seqs({ entriesMax: 5_000 })).toEqual([1, JOURNAL_PAGE_MAX + 3, true]);
  });

  it("is looked through no further back than the limit, and says so", async () => {
    expect(await seqs({ scanMax: 11 })).toEqual([entries.length - 10, 6, false]);
    expect(await seqs({ scanMax: entries.length, entriesMax: 5_000 })).toMatchObject({ 0: 1, 2: true });
  });

  it("tells the newest entries, as many as there may be, and says so", async () => {
    expect(await seqs({ entriesMax: 2 })).toEqual([entries.length - 2, 2, false]);
  });
});
