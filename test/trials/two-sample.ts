// Numbers of the reference table for comparisons of shares: candidates until a worse release is found beside a baseline
// that fails for 2%. Our ratio test beside the block form and the margin bet of the literature, on the same devices.
import type { Random } from "../simulation/random.ts";
import { addRatioCell, ratioHarmLog10, zeroRatioSums } from "../../agent/judge/statistics/ratio-test.ts";
import type { RatioSums } from "../../agent/judge/statistics/ratio-test.ts";
import { binomial } from "./chance.ts";
import { deviation, medianOfAll, number, percent, shareThat } from "./experiment.ts";
import type { Case, Experiment, Found } from "./experiment.ts";
import { createBlockTest, createMarginBet } from "./reference-forms.ts";
import type { BlockTest } from "./reference-forms.ts";

const BASELINE_RATE = 0.02;
const CANDIDATES_MAX = 6_000;

/** Evidence of the ratio test for a cell with these totals: all cells here have the same odds, so one holds them all. */
function createRatioTest(allowance: RatioSums["allowance"], baselinePerCandidate: number): BlockTest {
  const sums = zeroRatioSums("evidence", allowance);
  return {
    add: ({ failures, baselineFailures }) =>
      addRatioCell(sums, { failures, exposure: 1, baselineFailures, baselineExposure: baselinePerCandidate }),
    log10: () => ratioHarmLog10(sums),
  };
}

/** Candidates until each of the tests reaches 100 to 1. */
function race(
  random: Random,
  { rate, baseline }: { rate: number; baseline: number },
  tests: Readonly<Record<string, BlockTest>>,
): Found {
  const found: Record<string, number> = Object.fromEntries(
    Object.keys(tests).map((name) => [name, Number.NaN]),
  );
  const racing = new Map(Object.entries(tests));
  for (let candidates = 1; candidates <= CANDIDATES_MAX && racing.size > 0; candidates += 1) {
    const block = {
      failures: random.chance(rate) ? 1 : 0,
      baselineFailures: binomial(random, baseline, BASELINE_RATE),
    };
    for (const [name, test] of racing) {
      test.add(block);
      if (test.log10() < 2) continue;
      found[name] = candidates;
      racing.delete(name);
    }
  }
  return found;
}

interface Line {
  readonly baseline: 1 | 9;
  readonly rate: number;
  readonly reference: number;
}

const LINES: readonly Line[] = [
  { baseline: 9, rate: 0.5, reference: 7 },
  { baseline: 9, rate: 0.2, reference: 23 },
  { baseline: 9, rate: 0.1, reference: 73 },
  { baseline: 9, rate: 0.06, reference: 223 },
  { baseline: 9, rate: 0.04, reference: 725 },
  { baseline: 1, rate: 0.5, reference: 17 },
  { baseline: 1, rate: 0.2, reference: 56 },
  { baseline: 1, rate: 0.1, reference: 159 },
  { baseline: 1, rate: 0.06, reference: 448 },
];
const NULLS: readonly Line[] = [
  { baseline: 9, rate: BASELINE_RATE, reference: 0.005 },
  { baseline: 1, rate: BASELINE_RATE, reference: 0.005 },
];
const nameOf = ({ baseline, rate }: Line): string => `1:${baseline} ${rate}`;

export const twoSample: Experiment = {
  name: "comparison",
  title: "Beside a baseline that fails for 2%",
  about:
    "Candidates until 100 to 1, with a look after each (within 6,000). `block form` is the e-value of the literature, by which the reference was made; `ours` is the ratio test, which needs no guess of the baseline's rate and takes ratios above 1.",
  columns: [
    "candidates : baseline",
    "true rate",
    "block form",
    "reference",
    "off by",
    "ours",
    "ours by block form",
  ],
  cases: [...LINES, ...NULLS].map((line): Case => ({
    name: nameOf(line),
    share: line.rate <= 0.06 ? 0.25 : 1,
    run: (random) =>
      race(random, line, {
        block: createBlockTest({ candidate: 1, baseline: line.baseline }),
        ours: createRatioTest({ ratio: 1, points: 0 }, line.baseline),
      }),
  })),
  rowsOf: (found) => [
    ...LINES.map((line) => {
      const ofLine = found.get(nameOf(line))!;
      const [block, ours] = [medianOfAll(ofLine, "block"), medianOfAll(ofLine, "ours")];
      return [
        `1 : ${line.baseline}`,
        percent(line.rate),
        number(block),
        number(line.reference),
        deviation(block, line.reference),
        number(ours),
        (ours / block).toFixed(2),
      ];
    }),
    ...NULLS.map((line) => {
      const ofLine = found.get(nameOf(line))!;
      return [
        `1 : ${line.baseline}`,
        `${percent(line.rate)}: false`,
        percent(shareThat(ofLine, "block")),
        percent(line.reference),
        "",
        percent(shareThat(ofLine, "ours")),
        "",
      ];
    }),
  ],
};

const POINTS = 0.01;
const POINT_LINES = [
  { rate: 0.32, reference: 35 },
  { rate: 0.12, reference: 153 },
  { rate: 0.07, reference: 516 },
  { rate: 0.05, reference: 1_675 },
] as const;

export const points: Experiment = {
  name: "points",
  title: "One percentage point above a baseline of 2% allowed",
  about:
    "Pairs until 100 to 1 (within 6,000). `margin bet` is the form of the literature; `ours` is the ratio test with points, at equal sides, which is where it is weakest. 3% is the edge of what is allowed.",
  columns: ["true rate", "margin bet", "reference", "off by", "ours", "ours beside 9 of the baseline"],
  cases: [...POINT_LINES.map(({ rate }) => rate), 0.03].map((rate): Case => ({
    name: `${rate}`,
    share: 0.25,
    run(random): Found {
      const pairs = race(
        random,
        { rate, baseline: 1 },
        {
          bet: createMarginBet(POINTS),
          ours: createRatioTest({ ratio: 1, points: POINTS }, 1),
        },
      );
      const beside = race(
        random,
        { rate, baseline: 9 },
        {
          ours: createRatioTest({ ratio: 1, points: POINTS }, 9),
        },
      );
      return { ...pairs, besideNine: beside["ours"]! };
    },
  })),
  rowsOf: (found) => [
    ...POINT_LINES.map(({ rate, reference }) => {
      const ofRate = found.get(`${rate}`)!;
      const bet = medianOfAll(ofRate, "bet");
      return [
        percent(rate),
        number(bet),
        number(reference),
        deviation(bet, reference),
        number(medianOfAll(ofRate, "ours")),
        number(medianOfAll(ofRate, "besideNine")),
      ];
    }),
    [
      "3.0%: false",
      percent(shareThat(found.get("0.03")!, "bet")),
      "0.6%",
      "",
      percent(shareThat(found.get("0.03")!, "ours")),
      percent(shareThat(found.get("0.03")!, "besideNine")),
    ],
  ],
};
