// The two-sample e-process: golden values, that its expectation is at most 1 (by exact enumeration), what one more
// failure does, and its confidence sequence.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  addRatioCell,
  addRatioSums,
  ratioHarmLog10,
  ratioInterval,
  ratioSafetyLog10,
  zeroRatioSums,
} from "../../../../../agent/judge/statistics/ratio-test.ts";
import type { Allowance, RatioCell, RatioSums } from "../../../../../agent/judge/statistics/ratio-test.ts";
import { createRandom } from "../../../../simulation/random.ts";
import { binomial } from "../../../../trials/chance.ts";

type Numbers = readonly [
  failures: number,
  exposure: number,
  baselineFailures: number,
  baselineExposure: number,
];

function sumsOf(
  cells: readonly Numbers[],
  allowance: Partial<Allowance> = {},
  purpose: RatioSums["purpose"] = "evidence",
): RatioSums {
  const sums = zeroRatioSums(purpose, { ratio: 1, points: 0, ...allowance });
  for (const cell of cells) addRatioCell(sums, cellOf(cell));
  return sums;
}

function cellOf([failures, exposure, baselineFailures, baselineExposure]: Numbers): RatioCell {
  return { failures, exposure, baselineFailures, baselineExposure };
}

function expectClose(actual: number, expected: number): void {
  expect(Math.abs(actual - expected)).toBeLessThan(1e-9 * Math.max(1, Math.abs(expected)));
}

// Made with Python from the header's formula: theta and its powers in mpmath with 50 digits, the average over the grid.
const GOLDEN: readonly {
  cells: readonly Numbers[];
  ratio: number;
  points: number;
  harm: number;
  safety: number;
}[] = [
  { cells: [[3, 5, 1, 100]], ratio: 1, points: 0, harm: 2.36992950852037, safety: -0.703737761631111 },
  { cells: [[3, 5, 1, 100]], ratio: 2, points: 0, harm: 1.73008187148218, safety: -0.682925270445418 },
  {
    cells: [
      [10, 200, 5, 400],
      [4, 50, 1, 90],
    ],
    ratio: 1.5,
    points: 0,
    harm: 0.794689555441766,
    safety: -1.08001596656279,
  },
  { cells: [[40, 400, 8, 400]], ratio: 1, points: 0.01, harm: 3.29486280723499, safety: -1.88851584866914 },
  { cells: [[0, 1_000, 30, 1_000]], ratio: 1, points: 0, harm: -2.05828150566649, safety: 6.9790828520335 },
  {
    cells: [[0, 1_000, 0, 1_000]],
    ratio: 1,
    points: 0.01,
    harm: -1.09201292930709,
    safety: 2.83717742969875,
  },
  {
    cells: [[50_000, 1_000_000, 40_000, 1_000_000]],
    ratio: 1,
    points: 0,
    harm: 228.854880465476,
    safety: -523.595169957868,
  },
];

describe("golden values", () => {
  it.each(GOLDEN)("$cells beside $ratio x + $points", ({ cells, ratio, points, harm, safety }) => {
    const sums = sumsOf(cells, { ratio, points });
    expectClose(ratioHarmLog10(sums), harm);
    expectClose(ratioSafetyLog10(sums), safety);
  });

  it("the grid of intervals has the alternatives of the evidence among its own", () => {
    for (const { cells, ratio } of GOLDEN.filter(({ points }) => points === 0))
      expectClose(
        ratioHarmLog10(sumsOf(cells, { ratio }, "interval")),
        ratioHarmLog10(sumsOf(cells, { ratio })),
      );
  });

  it("starts at E = 1, and a cell in which one side was not exposed says nothing", () => {
    for (const cells of [[], [[5, 10, 0, 0]], [[0, 0, 5, 10]], [[3, 0, 3, 0]]] as const)
      expect([ratioHarmLog10(sumsOf(cells)), ratioSafetyLog10(sumsOf(cells))]).toEqual([0, 0]);
  });
});

function binomialChances(trials: number, rate: number): number[] {
  const chances = [(1 - rate) ** trials];
  for (let happened = 1; happened <= trials; happened += 1)
    chances.push((chances.at(-1)! * (trials - happened + 1) * rate) / (happened * (1 - rate)));
  return chances;
}

/** Expectation of E over all outcomes of one cell, exactly. */
function expectationOf(
  evidenceLog10: (sums: RatioSums) => number,
  {
    candidates,
    baseline,
    rate,
    baselineRate,
    allowance,
  }: { candidates: number; baseline: number; rate: number; baselineRate: number; allowance: Allowance },
): number {
  const ofBaseline = binomialChances(baseline, baselineRate);
  return binomialChances(candidates, rate).reduce(
    (sum, chance, failures) =>
      sum +
      ofBaseline.reduce(
        (inner, baselineChance, baselineFailures) =>
          inner +
          chance *
            baselineChance *
            10 ** evidenceLog10(sumsOf([[failures, candidates, baselineFailures, baseline]], allowance)),
        0,
      ),
    0,
  );
}

describe("the expectation is at most 1 at the edge of what is allowed, however common failure is", () => {
  const sizes = [
    { candidates: 1, baseline: 30 },
    { candidates: 12, baseline: 12 },
    { candidates: 20, baseline: 4 },
  ];
  const edges = [
    { baselineRate: 0.01, allowance: { ratio: 1, points: 0 } },
    { baselineRate: 0.4, allowance: { ratio: 1, points: 0 } },
    { baselineRate: 0.1, allowance: { ratio: 1.5, points: 0 } },
    { baselineRate: 0.45, allowance: { ratio: 2, points: 0 } },
    { baselineRate: 0.05, allowance: { ratio: 1, points: 0.02 } },
    { baselineRate: 0.6, allowance: { ratio: 1, points: 0.3 } },
  ];
  const cases = sizes.flatMap((size) => edges.map((edge) => ({ ...size, ...edge })));
  it.each(cases)("$candidates beside $baseline at $baselineRate, $allowance", (each) => {
    const rate = each.baselineRate * each.allowance.ratio + each.allowance.points;
    for (const share of [1, 0.7, 0.2])
      expect(expectationOf(ratioHarmLog10, { ...each, rate: rate * share })).toBeLessThanOrEqual(1 + 1e-9);
    expect(expectationOf(ratioSafetyLog10, { ...each, rate })).toBeLessThanOrEqual(1 + 1e-9);
  });

  it("and above 1 beyond it: the test can speak at all", () => {
    const worse = {
      candidates: 12,
      baseline: 12,
      rate: 0.5,
      baselineRate: 0.1,
      allowance: { ratio: 1.5, points: 0 },
    };
    expect(expectationOf(ratioHarmLog10, worse)).toBeGreaterThan(2);
  });
});

const cells = fc
  .tuple(
    fc.integer({ min: 1, max: 50_000 }),
    fc.integer({ min: 1, max: 50_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  .map(([exposure, baselineExposure, share, baselineShare]): Numbers => [
    Math.floor(exposure * share),
    exposure,
    Math.floor(baselineExposure * baselineShare),
    baselineExposure,
  ]);
const allowances = fc.oneof(
  fc.double({ min: 1, max: 100, noNaN: true }).map((ratio) => ({ ratio, points: 0 })),
  fc.double({ min: 0.0001, max: 0.5, noNaN: true }).map((points) => ({ ratio: 1, points })),
);

describe("properties", () => {
  test("one more failure of the candidate never lowers harm and never raises safety; of the baseline the reverse", () => {
    fc.assert(
      fc.property(
        fc.array(cells, { minLength: 1, maxLength: 5 }),
        allowances,
        ([first, ...others], allowance) => {
          const [failures, exposure, baselineFailures, baselineExposure] = first!;
          const before = sumsOf([first!, ...others], allowance);
          const worse = sumsOf(
            [[failures + 1, exposure, baselineFailures, baselineExposure], ...others],
            allowance,
          );
          const excused = sumsOf(
            [[failures, exposure, baselineFailures + 1, baselineExposure], ...others],
            allowance,
          );
          // Sums of a million logarithms are not exact to the last digit.
          const slack = 1e-9 * (1 + Math.abs(ratioHarmLog10(before)) + Math.abs(ratioSafetyLog10(before)));
          expect(ratioHarmLog10(worse)).toBeGreaterThanOrEqual(ratioHarmLog10(before) - slack);
          expect(ratioSafetyLog10(worse)).toBeLessThanOrEqual(ratioSafetyLog10(before) + slack);
          expect(ratioHarmLog10(excused)).toBeLessThanOrEqual(ratioHarmLog10(before) + slack);
          expect(ratioSafetyLog10(excused)).toBeGreaterThanOrEqual(ratioSafetyLog10(before) - slack);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("sums of parts are the sum of the whole", () => {
    fc.assert(
      fc.property(
        fc.array(cells, { maxLength: 6 }),
        fc.array(cells, { maxLength: 6 }),
        allowances,
        (left, right, allowance) => {
          const whole = sumsOf([...left, ...right], allowance);
          const parts = sumsOf(left, allowance);
          addRatioSums(parts, sumsOf(right, allowance));
          expectClose(ratioHarmLog10(parts), ratioHarmLog10(whole));
          expect([parts.failures, parts.exposure, parts.baselineFailures, parts.baselineExposure]).toEqual([
            whole.failures,
            whole.exposure,
            whole.baselineFailures,
            whole.baselineExposure,
          ]);
        },
      ),
    );
  });

  it("falls as clean use accrues beside a baseline that fails, up to a hundred million, and stays a number", () => {
    let before = 0;
    for (let exposure = 1_000; exposure <= 1e8; exposure *= 10) {
      const evidence = ratioHarmLog10(sumsOf([[0, exposure, exposure / 1_000, exposure]]));
      expect(Number.isFinite(evidence)).toBe(true);
      expect(evidence).toBeLessThan(before);
      before = evidence;
    }
    expect(before).toBeLessThan(-3_000);
  });
});

describe("the confidence sequence of the ratio", () => {
  const interval = (...all: readonly Numbers[]) => ratioInterval(sumsOf(all, {}, "interval"), 0.05);

  it("has no ends before anything happened", () => {
    expect(interval([0, 100, 0, 100])).toEqual({ low: 0, high: Number.POSITIVE_INFINITY });
  });

  it("gets narrower with what was counted, around the ratio", () => {
    const few = interval([30, 1_000, 10, 1_000]);
    const many = interval([3_000, 100_000, 1_000, 100_000]);
    for (const { low, high } of [few, many]) expect(low < 3 && high > 3).toBe(true);
    expect(many.low).toBeGreaterThan(few.low);
    expect(many.high).toBeLessThan(few.high);
    expect(many.low).toBeGreaterThan(2.5);
    expect(many.high).toBeLessThan(3.6);
  });

  it("holds the true ratio at every look at once in at least 95 of 100 rollouts", () => {
    let missed = 0;
    const rollouts = 300;
    for (let rollout = 0; rollout < rollouts; rollout += 1) {
      const random = createRandom("ratio-interval", rollout);
      const sums = zeroRatioSums("interval", { ratio: 1, points: 0 });
      const isMissed = Array.from({ length: 40 }, (_, look) => {
        const exposure = 20 + look * 20;
        addRatioCell(sums, {
          failures: binomial(random, exposure, 0.06),
          exposure,
          baselineFailures: binomial(random, 500, 0.02),
          baselineExposure: 500,
        });
        const { low, high } = ratioInterval(sums, 0.05);
        return low > 3 || high < 3;
      });
      if (isMissed.includes(true)) missed += 1;
    }
    // 5% would be 15 of 300; three standard errors more are 26.
    expect(missed).toBeLessThanOrEqual(26);
  });
});
