// Kinds of device: their names, their share of the budget in the order of first appearance, and which stand out.
import { describe, expect, it } from "vitest";
import { segmentsOf, standOut } from "../../../../agent/judge/segments.ts";

const stratum = (platform: string, model: string): string => JSON.stringify([platform, model, "", ""]);

describe("segmentsOf", () => {
  it("has one for each value that devices told, of whatever field", () => {
    const segments = segmentsOf(
      new Map([
        [stratum("android", "T1"), 100],
        [stratum("android", "T2"), 200],
        [stratum("ios", ""), 50],
      ]),
    );
    expect(segments.map(({ name, strata }) => [name, strata.size])).toEqual([
      ["platform=ios", 1],
      ["model=T1", 1],
      ["platform=android", 2],
      ["model=T2", 1],
    ]);
  });

  it("weighs them by their place, and never gives out more than all", () => {
    const many = new Map(
      Array.from({ length: 500 }, (_, index) => [stratum("", `M${index}`), index] as const),
    );
    const segments = segmentsOf(many);
    expect(segments.slice(0, 3).map(({ weight }) => weight)).toEqual([1 / 2, 1 / 6, 1 / 12]);
    const sum = segments.reduce((total, { weight }) => total + weight, 0);
    expect(sum).toBeLessThan(1);
    expect(sum).toBeCloseTo(1, 2);
  });

  it("has none for devices that told nothing, or are counted together", () => {
    expect(
      segmentsOf(
        new Map([
          ["unknown", 1],
          ["other", 2],
          [stratum("", ""), 3],
        ]),
      ),
    ).toEqual([]);
  });
});

describe("standOut (e-BH)", () => {
  // Of 4 hypotheses at 5%, the k strongest need 80 / k: 80, 40, 26.7, 20.
  it.each([
    { evidence: [79, 1, 1, 1], named: [] },
    { evidence: [80, 1, 1, 1], named: [0] },
    { evidence: [1, 39, 1, 81], named: [3] },
    { evidence: [1, 40, 1, 41], named: [3, 1] },
    { evidence: [27, 27, 27, 1], named: [0, 1, 2] },
    { evidence: [20, 20, 20, 20], named: [0, 1, 2, 3] },
    { evidence: [0, 0, 0, 0], named: [] },
  ])("of $evidence: $named", ({ evidence, named }) => {
    // A hair more: logarithms of round numbers are not round.
    expect(
      standOut(
        evidence.map((value) => Math.log10(value) + 1e-12),
        0.05,
      ),
    ).toEqual(named);
  });

  it("of nothing names nothing", () => {
    expect(standOut([])).toEqual([]);
  });
});
