// What hawkBit is asked for at once stays as short as a URL may be.
import { describe, expect, it } from "vitest";
import {
  HAWKBIT_TARGETS_AT_ONCE,
  HAWKBIT_TARGETS_CHARS_MAX,
  quotedList,
  targetLists,
} from "../../../../agent/rollback/servers/hawkbit-api.ts";

describe("targets that are asked about at once", () => {
  it("are no more than a number, and all of them in the end", () => {
    const ids = Array.from({ length: 2 * HAWKBIT_TARGETS_AT_ONCE + 1 }, (_, index) => `till-${index}`);
    const lists = targetLists(ids);
    expect(lists.map(({ length }) => length)).toEqual([HAWKBIT_TARGETS_AT_ONCE, HAWKBIT_TARGETS_AT_ONCE, 1]);
    expect(lists.flat()).toEqual(ids);
    expect(targetLists([])).toEqual([]);
  });

  it("are fewer where their names are long, as they stand in a URL; one that is longer than allowed is asked alone", () => {
    // Nine characters in a URL for each.
    const long = "é".repeat(128);
    const ids = [...Array.from({ length: 20 }, (_, index) => `${long}${index}`), "x".repeat(5_000), "short"];
    const lists = targetLists(ids);
    expect(lists.flat()).toEqual(ids);
    for (const list of lists.filter(({ length }) => length > 1))
      expect(encodeURIComponent(quotedList(list)).length).toBeLessThanOrEqual(HAWKBIT_TARGETS_CHARS_MAX + 10);
    expect(lists.length).toBeGreaterThan(5);
    // To the character: two that just fit, and two of which one is a character longer.
    const half = HAWKBIT_TARGETS_CHARS_MAX / 2 - encodeURIComponent("'',").length;
    expect(targetLists(["a".repeat(half), "b".repeat(half)])).toHaveLength(1);
    expect(targetLists(["a".repeat(half), "b".repeat(half + 1)])).toHaveLength(2);
  });
});
