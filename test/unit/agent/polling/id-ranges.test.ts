// Sets of ids as text: what is written is read, and what is no such text, or too much, is not.
import { describe, expect, it } from "vitest";
import { formatIdRanges, parseIdRanges } from "../../../../agent/polling/id-ranges.ts";

describe("ids as ranges", () => {
  it.each([
    [[], ""],
    [[7], "7"],
    [[3, 4, 5], "3-5"],
    [[1, 3, 4, 9, 11, 12], "1,3-4,9,11-12"],
    [[0, 1, 1_000_000], "0-1,1000000"],
  ])("%o is %o, and back", (ids, text) => {
    expect(formatIdRanges(ids)).toBe(text);
    expect(parseIdRanges(text, 100)).toEqual(ids);
  });

  it.each(["x", "1,", ",1", "3-2", "5,4", "5,5", "1-3,2", "-1", "1.5", "1-", "9007199254740993"])(
    "%o is none",
    (text) => {
      expect(parseIdRanges(text, 100)).toBeUndefined();
    },
  );

  it("takes as many as are allowed, and not one more, without counting them one by one", () => {
    expect(parseIdRanges("1-100", 100)).toHaveLength(100);
    expect(parseIdRanges("1-101", 100)).toBeUndefined();
    expect(parseIdRanges("1-99,200,201", 100)).toBeUndefined();
    expect(parseIdRanges("1-99,200", 100)).toHaveLength(100);
    expect(parseIdRanges("1-9007199254740991", 100)).toBeUndefined();
  });
});
