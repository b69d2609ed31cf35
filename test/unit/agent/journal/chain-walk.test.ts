// Checking a journal page by page: the same whatever the pages are, and what is wrong is named.
import { describe, expect, it } from "vitest";
import { walkChain } from "../../../../agent/journal/chain-walk.ts";
import { GENESIS_HASH, hashEntry } from "../../../../agent/journal/journal-entry.ts";
import type { JournalEntry } from "../../../../agent/journal/journal-entry.ts";

function chain(length: number): JournalEntry[] {
  const entries: JournalEntry[] = [];
  for (let seq = 1; seq <= length; seq += 1) {
    const unsigned = {
      seq,
      at: "2026-01-31T12:00:00.000Z",
      kind: "verdict" as const,
      body: { seq },
      prev: entries.at(-1)?.hash ?? GENESIS_HASH,
    };
    entries.push({ ...unsigned, hash: hashEntry(unsigned) });
  }
  return entries;
}

function walked(entries: readonly unknown[], pageEntries = 3) {
  const walk = walkChain();
  for (let first = 0; first < entries.length; first += pageEntries)
    walk.add(entries.slice(first, first + pageEntries));
  return walk.state;
}

describe("an intact chain", () => {
  it.each([1, 2, 7, 100])("in pages of %i", (pageEntries) => {
    const entries = chain(20);
    expect(walked(entries, pageEntries)).toEqual({
      kind: "intact",
      head: { seq: 20, hash: entries[19]!.hash },
    });
  });

  it("of nothing", () => {
    expect(walked([])).toEqual({ kind: "intact", head: { seq: 0, hash: GENESIS_HASH } });
  });
});

describe("a broken one is named by its first wrong entry, and stays broken", () => {
  const entries = chain(9);
  const [a, b, c, d, ...others] = entries as [JournalEntry, JournalEntry, JournalEntry, JournalEntry];
  it.each([
    ["changed", [a, b, { ...c, body: { seq: 4 } }, d, ...others], 3, "its content was changed"],
    ["missing", [a, b, d, ...others], 3, "it is missing: entry 4 stands in its place"],
    ["missing at the beginning", [b, c, d], 1, "it is missing: entry 2 stands in its place"],
    ["swapped", [a, c, b, d], 2, "it is missing: entry 3 stands in its place"],
    ["there twice", [a, b, b, c], 3, "entry 2 stands here again, or in the wrong place"],
    [
      "signed anew",
      [a, { ...b, hash: hashEntry({ ...b, body: {} }), body: {} }, c],
      3,
      "it does not follow from the entry before",
    ],
    ["no entry", [a, b, { seq: 3 }, d], 3, "it is no journal entry"],
    ["nothing", [a, b, undefined, d], 3, "it is no journal entry"],
    ["null", [null], 1, "it is no journal entry"],
  ])("%s", (_what, tampered, seq, detail) => {
    expect(walked(tampered, 2)).toMatchObject({ kind: "broken", seq, detail, head: { seq: seq - 1 } });
  });
});

it("the head that is kept beside the journal must be its entry's", () => {
  const entries = chain(3);
  const kept = { seq: 2, hash: entries[1]!.hash };
  expect(walkChain().add(entries, kept).kind).toBe("intact");
  expect(walkChain().add(entries, { ...kept, hash: GENESIS_HASH })).toMatchObject({ kind: "broken", seq: 2 });
});
