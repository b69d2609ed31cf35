// The demo's flags: what they take, and what they say about the rest.
import { describe, expect, it } from "vitest";
import { parseRatio, parseSeconds, parseWholeNumber } from "../../simulation/options.ts";

describe("options of the demo", () => {
  it("take shares as percent or as a number from 0 to 1", () => {
    expect(parseRatio("8%")).toBe(0.08);
    expect(parseRatio("0.08")).toBe(0.08);
    expect(parseRatio("100%")).toBe(1);
    for (const text of ["8", "101%", "-1%", "", "x", "8%%"]) expect(() => parseRatio(text)).toThrow("8%");
  });

  it("take whole numbers only", () => {
    expect(parseWholeNumber("20000")).toBe(20_000);
    for (const text of ["1.5", "-1", "", "1e3", "x"])
      expect(() => parseWholeNumber(text)).toThrow("whole number");
  });

  it("take seconds from 1 to 3600", () => {
    expect([parseSeconds("1"), parseSeconds("3600"), parseSeconds("2.5")]).toEqual([1, 3_600, 2.5]);
    for (const text of ["0.9", "3601", "x"]) expect(() => parseSeconds(text)).toThrow("seconds");
  });
});
