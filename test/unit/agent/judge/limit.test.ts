// The one-sample e-process: golden values, the anchors of design section 4, its behaviour at the ends of
// the number line, and the two properties that make it trustworthy (monotone in failures, valid at every look).
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { harmEvidenceLog10, safetyEvidenceLog10 } from "../../../../agent/judge/limit.ts";
import { createRandom } from "../../../simulation/random.ts";

const MILLION = 1_000_000;

// Made with Python: the average of (g/t)^f ((1-g)/(1-t))^(n-f) over the grid, ratios as exact fractions
// (fractions.Fraction), powers and sum in mpmath with 60 digits, then log10.
const HARM = [
  { trials: 1, failures: 1, limit: 0.05, log10: 0.850493071900963 },
  { trials: 2, failures: 2, limit: 0.05, log10: 1.958856419845601 },
  { trials: 3, failures: 3, limit: 0.05, log10: 3.153780690881611 },
  { trials: 10, failures: 2, limit: 0.05, log10: 0.2367727865858549 },
  { trials: 100, failures: 10, limit: 0.05, log10: 0.3561925963811967 },
  { trials: 400, failures: 300, limit: 0.3, log10: 73.88804821795365 },
  { trials: 5_310, failures: 212, limit: 0.02, log10: 17.21245296804692 },
  { trials: 1_000, failures: 50, limit: 0.05, log10: -1.303025744362329 },
  { trials: 20_000, failures: 100, limit: 0.005, log10: -1.726186047865211 },
  { trials: 100_000, failures: 2_300, limit: 0.02, log10: 7.622214279140586 },
  { trials: MILLION, failures: 40_000, limit: 0.05, log10: -1245.574869665141 },
  { trials: 100 * MILLION, failures: 0, limit: 0.05, log10: -459576.0720048977 },
  { trials: 100 * MILLION, failures: 4_999_999, limit: 0.05, log10: -40691.16709802573 },
  // Limits that leave few alternatives of the grid, or none: then one half-way to 1 stands in.
  { trials: 5, failures: 5, limit: 0.5, log10: 1.025682738956322 },
  { trials: 5, failures: 4, limit: 0.8, log10: -0.3411041345132166 },
  { trials: 3, failures: 3, limit: 0.96, log10: 0.02686452795877933 },
];
const SAFE = [
  { trials: 60, failures: 0, limit: 0.05, log10: 0.9886165423421622 },
  { trials: 77, failures: 0, limit: 0.05, log10: 1.301818223272963 },
  { trials: 500, failures: 5, limit: 0.05, log10: 4.807990659772529 },
  { trials: 1_000, failures: 80, limit: 0.05, log10: -4.347134153424536 },
  { trials: 10, failures: 10, limit: 0.5, log10: -1.723056832026689 },
  { trials: 100 * MILLION, failures: 100_000, limit: 0.005, log10: 104168.7286928074 },
];

function expectClose(actual: number, expected: number): void {
  expect(Math.abs(actual - expected)).toBeLessThan(1e-9 * Math.max(1, Math.abs(expected)));
}

describe("golden values", () => {
  it.each(HARM)("harm: $failures of $trials at $limit", ({ log10, ...counts }) => {
    expectClose(harmEvidenceLog10(counts), log10);
  });
  it.each(SAFE)("safety: $failures of $trials at $limit", ({ log10, ...counts }) => {
    expectClose(safetyEvidenceLog10(counts), log10);
  });
  it("starts at E = 1 when nothing was tried", () => {
    expectClose(harmEvidenceLog10({ trials: 0, failures: 0, limit: 0.05 }), 0);
    expectClose(safetyEvidenceLog10({ trials: 0, failures: 0, limit: 0.05 }), 0);
  });
});

describe("anchors", () => {
  it("3 of 3 failed is worth 100 at a limit of 5%, and 2 of 2 is not", () => {
    expect(harmEvidenceLog10({ trials: 3, failures: 3, limit: 0.05 })).toBeGreaterThanOrEqual(2);
    expect(harmEvidenceLog10({ trials: 2, failures: 2, limit: 0.05 })).toBeLessThan(2);
  });

  it("77 clean devices are worth 20 for `safe` at 5%, and 76 are not", () => {
    const safety = (trials: number): number => safetyEvidenceLog10({ trials, failures: 0, limit: 0.05 });
    expect(safety(77)).toBeGreaterThanOrEqual(Math.log10(20));
    expect(safety(76)).toBeLessThan(Math.log10(20));
  });

  it("falls as clean outcomes accrue, up to a hundred million, and stays a number", () => {
    for (const failures of [0, 3, 5_000]) {
      let before = Number.POSITIVE_INFINITY;
      for (let trials = Math.max(1, failures); trials <= 100 * MILLION; trials = Math.ceil(trials * 1.3)) {
        const evidence = harmEvidenceLog10({ trials, failures, limit: 0.05 });
        expect(Number.isFinite(evidence)).toBe(true);
        expect(evidence).toBeLessThan(before);
        before = evidence;
      }
      expect(before).toBeLessThan(-100_000);
    }
  });

  it("3% true against a limit of 5% at 200,000 devices is no evidence (clamped tails made it infinite)", () => {
    expect(harmEvidenceLog10({ trials: 200_000, failures: 6_000, limit: 0.05 })).toBeLessThan(-100);
  });
});

const limits = fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true });
const counts = fc
  .tuple(fc.integer({ min: 0, max: 200_000 }), fc.double({ min: 0, max: 1, noNaN: true }), limits)
  .map(([trials, share, limit]) => ({ trials, failures: Math.floor(trials * share), limit }));

describe("properties", () => {
  test("one more failure among the same trials never lowers harm and never raises safety", () => {
    fc.assert(
      fc.property(counts, (fewer) => {
        fc.pre(fewer.failures < fewer.trials);
        const more = { ...fewer, failures: fewer.failures + 1 };
        expect(harmEvidenceLog10(more)).toBeGreaterThanOrEqual(harmEvidenceLog10(fewer));
        expect(safetyEvidenceLog10(more)).toBeLessThanOrEqual(safetyEvidenceLog10(fewer));
      }),
      { numRuns: 2_000 },
    );
  });

  test("one more failing device raises harm, one more clean device lowers it", () => {
    fc.assert(
      fc.property(counts, (before) => {
        const evidence = harmEvidenceLog10(before);
        const failed = { ...before, trials: before.trials + 1, failures: before.failures + 1 };
        const clean = { ...before, trials: before.trials + 1 };
        expect(harmEvidenceLog10(failed)).toBeGreaterThan(evidence);
        expect(harmEvidenceLog10(clean)).toBeLessThan(evidence);
      }),
      { numRuns: 2_000 },
    );
  });

  // The largest alternative rules a long row of failures, the smallest a long row of clean devices: by
  // their growth both are seen to lie strictly between the limit and 1.
  test("every alternative lies between the limit and 1", () => {
    const many = 10_000;
    fc.assert(
      fc.property(limits, (limit) => {
        const ofFailures = harmEvidenceLog10({ trials: many, failures: many, limit }) / many;
        const ofSuccesses = harmEvidenceLog10({ trials: many, failures: 0, limit }) / many;
        expect(ofFailures).toBeGreaterThan(0);
        expect(ofFailures).toBeLessThan(-Math.log10(limit));
        expect(ofSuccesses).toBeLessThan(0);
        expect(ofSuccesses).toBeGreaterThan(Number.NEGATIVE_INFINITY);
        // An e-value's mean is 1 at the limit itself: sum over the two outcomes of one device.
        const mean =
          limit * 10 ** harmEvidenceLog10({ trials: 1, failures: 1, limit }) +
          (1 - limit) * 10 ** harmEvidenceLog10({ trials: 1, failures: 0, limit });
        expect(Math.abs(mean - 1)).toBeLessThan(1e-9);
      }),
      { numRuns: 2_000 },
    );
  });

  test("an e-value's mean never passes 1 for a rate at the limit or below: exact sum over 30 devices", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 0.9, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (limit, share) => {
          const trials = 30;
          const mean = (rate: number, evidenceOf: (failures: number) => number): number => {
            let sum = 0;
            let ways = 1;
            for (let failures = 0; failures <= trials; failures += 1) {
              sum += ways * rate ** failures * (1 - rate) ** (trials - failures) * 10 ** evidenceOf(failures);
              ways = (ways * (trials - failures)) / (failures + 1);
            }
            return sum;
          };
          const within = limit * share;
          const beyond = limit + (1 - limit) * share * 0.999;
          const harm = mean(within, (failures) => harmEvidenceLog10({ trials, failures, limit }));
          const safe = mean(beyond, (failures) => safetyEvidenceLog10({ trials, failures, limit }));
          expect(harm).toBeLessThan(1 + 1e-9);
          expect(safe).toBeLessThan(1 + 1e-9);
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Clean devices before the next failure: geometric, because a look between two failures can't pass a threshold. */
function cleanRun(uniform: number, rate: number): number {
  return rate >= 1 ? 0 : Math.floor(Math.log(1 - uniform) / Math.log1p(-rate));
}

/** Largest evidence that a look after every one of `devicesMax` devices finds. */
function highestEvidence(key: string, rate: number, limit: number, devicesMax: number): number {
  const random = createRandom(key);
  let highest = 0;
  let trials = 0;
  for (let failures = 1; ; failures += 1) {
    trials += cleanRun(random.next(), rate) + 1;
    if (trials > devicesMax) return highest;
    highest = Math.max(highest, harmEvidenceLog10({ trials, failures, limit }));
  }
}

describe("null simulation: 2,000 releases exactly at their limit, a look after every device", () => {
  const RELEASES = 2_000;
  const DEVICES = 10_000;

  it.each([0.005, 0.02, 0.05])(
    "limit %d: false alarms stay within the budget",
    (limit) => {
      const highest = Array.from({ length: RELEASES }, (_, release) =>
        highestEvidence(`null ${limit} ${release}`, limit, limit, DEVICES),
      );
      for (const budget of [0.005, 0.01, 0.05]) {
        const falseRatio = highest.filter((evidence) => evidence >= -Math.log10(budget)).length / RELEASES;
        expect(falseRatio).toBeLessThanOrEqual(budget + 3 * Math.sqrt((budget * (1 - budget)) / RELEASES));
      }
      // The simulation itself would show an alarm: at E >= 2 there are plenty.
      expect(highest.filter((evidence) => evidence >= Math.log10(2)).length).toBeGreaterThan(RELEASES * 0.1);
    },
    60_000,
  );
});

function devicesUntil(key: string, rate: number): number {
  const random = createRandom(key);
  let trials = 0;
  for (let failures = 1; ; failures += 1) {
    trials += cleanRun(random.next(), rate) + 1;
    if (harmEvidenceLog10({ trials, failures, limit: 0.05 }) >= 2) return trials;
  }
}

describe("devices until E >= 100 at a limit of 5% (medians; policy anchors 5.0, within 15%)", () => {
  it.each([
    { rate: 1, median: 3 },
    { rate: 0.5, median: 7 },
    { rate: 0.2, median: 40 },
    { rate: 0.1, median: 265 },
    { rate: 0.075, median: 969 },
  ])(
    "true rate $rate: $median",
    ({ rate, median }) => {
      const runs = Array.from({ length: 2_001 }, (_, run) => devicesUntil(`power ${rate} ${run}`, rate));
      const found = runs.toSorted((left, right) => left - right)[1_000]!;
      expect(Math.abs(found - median)).toBeLessThanOrEqual(median * 0.15);
    },
    60_000,
  );
});
