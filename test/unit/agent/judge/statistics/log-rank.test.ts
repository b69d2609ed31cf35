// The log-rank e-process: golden values, that it stays within its promise at the edge, also when spans are coarse, and
// what bricked and what merely late devices do.
import { describe, expect, it } from "vitest";
import {
  addAnswerSpan,
  addLogRankSums,
  logRankHarmLog10,
  logRankSafetyLog10,
  zeroLogRankSums,
} from "../../../../../agent/judge/statistics/log-rank.ts";
import type { LogRankSums } from "../../../../../agent/judge/statistics/log-rank.ts";
import { createRandom } from "../../../../simulation/random.ts";
import { exponential } from "../../../../trials/chance.ts";

type Span = readonly [unheard: number, answered: number, baselineUnheard: number, baselineAnswered: number];

function sumsOf(slower: number, ...spans: readonly Span[]): LogRankSums {
  const sums = zeroLogRankSums(slower);
  for (const [unheard, answered, baselineUnheard, baselineAnswered] of spans)
    addAnswerSpan(sums, { unheard, answered, baselineUnheard, baselineAnswered });
  return sums;
}

// Made with Python: products of the ratios of the chances in the header, averaged, in mpmath with 50 digits.
const GOLDEN: readonly { spans: readonly Span[]; slower: number; harm: number; safety: number }[] = [
  {
    spans: [
      [100, 0, 900, 60],
      [100, 0, 840, 50],
    ],
    slower: 1,
    harm: 3.98269263512602,
    safety: -1.55908092844754,
  },
  {
    spans: [
      [100, 0, 900, 60],
      [100, 0, 840, 50],
    ],
    slower: 1.5,
    harm: 2.54987732929329,
    safety: -1.23305562055988,
  },
  { spans: [[100, 7, 900, 63]], slower: 1, harm: -0.402409737453131, safety: -0.390995775140519 },
  { spans: [[100, 100, 900, 900]], slower: 1.5, harm: -2.26920264758212, safety: 2.3403184567876 },
  {
    spans: [
      [10, 1, 20, 15],
      [9, 0, 5, 2],
    ],
    slower: 2,
    harm: 0.669023060950184,
    safety: -0.698191767275411,
  },
];

describe("golden values", () => {
  it.each(GOLDEN)("$spans, $slower times as slow is allowed", ({ spans, slower, harm, safety }) => {
    const sums = sumsOf(slower, ...spans);
    expect(logRankHarmLog10(sums)).toBeCloseTo(harm, 10);
    expect(logRankSafetyLog10(sums)).toBeCloseTo(safety, 10);
  });

  it("spans in which nobody answers, or one side has nobody left, say nothing", () => {
    const sums = sumsOf(1.5, [100, 0, 900, 0], [0, 0, 900, 50], [100, 5, 0, 0]);
    expect([logRankHarmLog10(sums), logRankSafetyLog10(sums)]).toEqual([0, 0]);
  });

  it("sums add up", () => {
    const parts = sumsOf(2, [10, 1, 20, 15]);
    addLogRankSums(parts, sumsOf(2, [9, 0, 5, 2]));
    expect(logRankHarmLog10(parts)).toBeCloseTo(0.669023060950184, 10);
  });

  it("one more answer of the release never accuses more; one more of the baseline never less", () => {
    for (let answered = 0; answered < 20; answered += 1) {
      const evidence = (own: number, other: number): number =>
        logRankHarmLog10(sumsOf(1.5, [30, own, 60, other]));
      expect(evidence(answered + 1, 30)).toBeLessThan(evidence(answered, 30));
      expect(evidence(5, answered + 1)).toBeGreaterThan(evidence(5, answered));
    }
  });
});

/** Whether evidence ever reaches 20 to 1 while devices answer; spans end at these minutes. */
function everAccused(
  key: number,
  { slowdown, slower, ends }: { slowdown: number; slower: number; ends: readonly number[] },
): boolean {
  const random = createRandom("log-rank", slowdown, slower, ends.length, key);
  const timesOf = (devices: number, mean: number): number[] =>
    Array.from({ length: devices }, () => exponential(random, mean));
  const [own, other] = [timesOf(60, 10 * slowdown), timesOf(200, 10)];
  const sums = zeroLogRankSums(slower);
  let before = 0;
  return ends.some((end) => {
    const countIn = (times: readonly number[], from: number, to: number): number =>
      times.filter((time) => time >= from && time < to).length;
    addAnswerSpan(sums, {
      unheard: countIn(own, before, Number.POSITIVE_INFINITY),
      answered: countIn(own, before, end),
      baselineUnheard: countIn(other, before, Number.POSITIVE_INFINITY),
      baselineAnswered: countIn(other, before, end),
    });
    before = end;
    return logRankHarmLog10(sums) >= Math.log10(20);
  });
}

describe("releases exactly as slow as is allowed", () => {
  const fine = Array.from({ length: 60 }, (_, minute) => minute + 1);
  it.each([
    { what: "spans of a minute", slower: 1.5, slowdown: 1.5, ends: fine },
    { what: "spans in which most devices answer", slower: 1.5, slowdown: 1.5, ends: [20, 60] },
    { what: "spans of a minute, no margin", slower: 1, slowdown: 1, ends: fine },
    { what: "coarse spans, no margin", slower: 1, slowdown: 1, ends: [15, 30, 60] },
    { what: "a release that is faster", slower: 1.5, slowdown: 0.5, ends: [5, 20, 60] },
  ])("$what: at most 5% are ever accused at 20 to 1", ({ slower, slowdown, ends }) => {
    const rollouts = 600;
    const accused = Array.from({ length: rollouts }, (_, key) =>
      everAccused(key, { slower, slowdown, ends }),
    ).filter(Boolean).length;
    // 5% of 600 are 30, and three standard errors 16.
    expect(accused).toBeLessThanOrEqual(46);
  });

  it("and one of which nobody answers always is", () => {
    for (let key = 0; key < 20; key += 1)
      expect(everAccused(key, { slower: 1.5, slowdown: 1e9, ends: fine.slice(0, 10) })).toBe(true);
  });
});
