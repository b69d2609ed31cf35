// How far hawkBit has been read: each id up to the mark is told or remembered, however young, however many.
import { describe, expect, it } from "vitest";
import {
  HAWKBIT_FIRST_MS,
  HAWKBIT_OPEN_MAX,
  HAWKBIT_OVERLAP_MS,
  afterNew,
  afterOpen,
  openAfter,
  readHawkbitCursor,
  writeHawkbitCursor,
} from "../../../../agent/polling/hawkbit-cursor.ts";
import type { ActionState, HawkbitCursor } from "../../../../agent/polling/hawkbit-cursor.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const BEGINNING = readHawkbitCursor(undefined, NOW_MS);
const states = (...pairs: [number, ActionState][]): Map<number, ActionState> => new Map(pairs);
const ids = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => first + index);
/** After a page of actions that were made so long ago. */
const listed = (
  cursor: HawkbitCursor,
  rows: readonly [id: number, ageMs: number, state: ActionState][],
  isFull = false,
): HawkbitCursor =>
  afterNew(cursor, new Map(rows.map(([id, , state]) => [id, state])), {
    listed: rows.map(([id, ageMs]) => ({ id, createdAt: NOW_MS - ageMs })),
    isFull,
    askedAtMs: NOW_MS,
  });

describe("the mark", () => {
  it("passes what is a minute old, and stays before the first that is younger", () => {
    const old = HAWKBIT_OVERLAP_MS;
    expect(
      listed(BEGINNING, [
        [5, old, "gone"],
        [6, old - 1, "gone"],
        [7, old, "gone"],
      ]),
    ).toMatchObject({
      mark: 5,
      over: [6, 7],
    });
  });

  it("does not pass a young one of an earlier page of the same poll", () => {
    const first = listed(
      BEGINNING,
      [
        [5, HAWKBIT_OVERLAP_MS, "gone"],
        [6, 0, "gone"],
      ],
      true,
    );
    expect(first).toMatchObject({ mark: 5, phase: "new", at: 6 });
    const second = listed(first, [[7, HAWKBIT_OVERLAP_MS, "gone"]]);
    expect(second).toMatchObject({ mark: 5, phase: "open", at: 0, over: [6, 7] });
    // A minute later all three are old.
    expect(
      listed(second, [
        [6, HAWKBIT_OVERLAP_MS, "gone"],
        [7, HAWKBIT_OVERLAP_MS, "gone"],
      ]),
    ).toMatchObject({
      mark: 7,
      over: [],
    });
  });

  it("goes on over pages of old ones", () => {
    const first = listed(BEGINNING, [[5, HAWKBIT_FIRST_MS, "gone"]], true);
    expect(listed(first, [[9, HAWKBIT_FIRST_MS, "waiting"]])).toMatchObject({
      mark: 9,
      waiting: [9],
      over: [],
    });
  });
});

describe("open actions", () => {
  it("are read again in rising order, a page at a time, until none is left", () => {
    const cursor: HawkbitCursor = { ...BEGINNING, waiting: [2, 5, 9], begun: [3, 4, 11] };
    expect(openAfter(cursor, 4)).toEqual([2, 3, 4, 5]);
    const next = afterOpen(cursor, states([2, "begun"], [3, "gone"], [4, "begun"], [5, "waiting"]));
    expect(next).toMatchObject({ at: 5, waiting: [5, 9], begun: [2, 4, 11] });
    expect(openAfter(next, 4)).toEqual([9, 11]);
    expect(openAfter({ ...next, at: 11 }, 4)).toEqual([]);
  });

  it("are all remembered up to the limit; beyond it the oldest are let go", () => {
    const full: HawkbitCursor = { ...BEGINNING, waiting: ids(10, HAWKBIT_OPEN_MAX - 1), begun: [1] };
    const same = listed(full, []);
    expect([same.waiting.length, same.begun]).toEqual([HAWKBIT_OPEN_MAX - 1, [1]]);
    const newest = 10 + HAWKBIT_OPEN_MAX;
    const more = listed(full, [[newest, 0, "waiting"]]);
    expect([more.waiting.length, more.begun, more.waiting[0], more.waiting.at(-1)]).toEqual([
      HAWKBIT_OPEN_MAX,
      [],
      10,
      newest,
    ]);
  });
});

describe("as text", () => {
  it("is read as it was written, also at its largest", () => {
    const cursor: HawkbitCursor = {
      ...BEGINNING,
      mark: 7,
      phase: "new",
      at: 9,
      waiting: ids(1, HAWKBIT_OPEN_MAX),
      over: [8, 9],
    };
    const text = writeHawkbitCursor(cursor);
    expect(readHawkbitCursor(text, 0)).toEqual(cursor);
    expect(text.length).toBeLessThan(200);
  });

  it.each([
    undefined,
    "",
    "{}",
    "null",
    '{"fromMs":1,"mark":1,"phase":"open","at":0,"waiting":"2-1","begun":"","over":""}',
  ])("%o begins at the beginning", (text) => {
    expect(readHawkbitCursor(text, NOW_MS)).toEqual(BEGINNING);
    expect(BEGINNING).toMatchObject({ fromMs: NOW_MS - HAWKBIT_FIRST_MS, mark: 0, waiting: [] });
  });
});
