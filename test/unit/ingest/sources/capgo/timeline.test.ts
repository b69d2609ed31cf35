// Which bundle a device ran when: a function of the set of moments that it told.
import { expect, test } from "vitest";
import {
  FETCH_MS_MAX,
  isReturn,
  runningAt,
  switchedBetween,
  wasFetching,
} from "../../../../../ingest/sources/capgo/timeline.ts";
import type { Moment, MomentKind } from "../../../../../ingest/sources/capgo/timeline.ts";
import { createRandom } from "../../../../simulation/random.ts";

const moment = (kind: MomentKind, version: string, atMs: number): Moment => ({ kind, version, atMs });

test("the newest moment holds, up to the moment asked about", () => {
  const moments = [
    moment("set", "1", 10),
    moment("set", "2", 20),
    moment("download", "3", 25),
    moment("runs", "4", 30),
  ];
  expect([5, 10, 19, 20, 29, 30, 99].map((atMs) => runningAt(moments, atMs)?.version)).toEqual([
    undefined,
    "1",
    "1",
    "2",
    "2",
    "4",
    "4",
  ]);
  expect(runningAt(moments, 29)?.sinceMs).toBe(20);
  expect(runningAt([], 5)).toBeUndefined();
});

test("in the millisecond of a revert, what is set then runs; without it nobody knows", () => {
  const revert = [moment("runs", "2", 5), moment("revert", "2", 5)];
  expect(runningAt(revert, 5)).toBeUndefined();
  expect(runningAt([...revert, moment("set", "1", 5)], 5)?.version).toBe("1");
  expect(runningAt([moment("set", "2", 5), moment("revert", "2", 5)], 5)).toBeUndefined();
  expect(runningAt([moment("set", "2", 5), moment("set", "1", 5)], 5)).toBeUndefined();
  expect(runningAt([moment("set", "2", 5), moment("set", "2", 5)], 5)?.version).toBe("2");
});

test("a switch lies between two moments, the later one included", () => {
  const moments = [moment("set", "1", 10), moment("runs", "1", 15), moment("download", "1", 15)];
  expect([
    switchedBetween(moments, 9, 10),
    switchedBetween(moments, 10, 20),
    switchedBetween(moments, 0, 9),
  ]).toEqual([true, false, false]);
});

test("a download that told no time is evidence for an hour by our clock, whatever the device's says", () => {
  const moments = [moment("fetch", "2", 1_000_000_000), moment("runs", "1", 5), moment("runs", "2", 6)];
  const fetching = (version: string, receivedAtMs: number): boolean =>
    wasFetching(moments, version, { atMs: 10, receivedAtMs });
  expect(fetching("2", 1_000_000_000)).toBe(true);
  expect(fetching("2", 1_000_000_000 + FETCH_MS_MAX)).toBe(true);
  expect(fetching("2", 1_000_000_000 + FETCH_MS_MAX + 1)).toBe(false);
  expect(fetching("2", 999_999_999)).toBe(false);
  expect(fetching("1", 1_000_000_000)).toBe(false);
  expect(runningAt(moments, 2_000_000_000)).toEqual({ version: "2", sinceMs: 6 });
});

test("a thousand orders, with repeats, give the same answers", () => {
  const random = createRandom("timeline");
  const kinds = ["set", "revert", "download", "fetch", "runs"] as const;
  for (let round = 0; round < 1_000; round += 1) {
    const moments = Array.from({ length: 6 }, () =>
      moment(random.pick(kinds), random.pick(["1", "2"]), Math.floor(random.between(0, 5)) * 4_000),
    );
    const shuffled = [...moments, ...moments]
      .map((one) => ({ one, key: random.next() }))
      .toSorted((left, right) => left.key - right.key)
      .map(({ one }) => one);
    const answers = (all: readonly Moment[]): unknown =>
      [0, 4_000, 9_000, 16_000].flatMap((atMs) => [
        runningAt(all, atMs),
        wasFetching(all, "1", { atMs, receivedAtMs: FETCH_MS_MAX + atMs }),
        isReturn(all, { atMs, version: "1" }),
        switchedBetween(all, 3_000, atMs),
      ]);
    expect(answers(shuffled)).toEqual(answers(moments));
  }
});
