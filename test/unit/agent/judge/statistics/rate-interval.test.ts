// The confidence sequence of a rate: its ends are where the two tests speak, and it holds the true rate.
import { describe, expect, it } from "vitest";
import { harmEvidenceLog10, safetyEvidenceLog10 } from "../../../../../agent/judge/limit.ts";
import { rateInterval } from "../../../../../agent/judge/statistics/rate-interval.ts";
import { createRandom } from "../../../../simulation/random.ts";

const MISS = 0.05;
const NEEDED = Math.log10(2 / MISS);

function intervalOf(failures: number, trials: number, notProvenGood = failures) {
  return rateInterval({ trials, failures, notProvenGood }, MISS);
}

describe("its ends", () => {
  it.each([
    [10, 200],
    [212, 5_310],
    [1, 3],
    [5_000, 100_000_000],
  ])("of %d of %d are where the evidence reaches 40 to 1", (failures, trials) => {
    const { low, high } = intervalOf(failures, trials);
    expect(low).toBeLessThan(failures / trials);
    expect(high).toBeGreaterThan(failures / trials);
    expect(harmEvidenceLog10({ trials, failures, limit: low * 0.9999 })).toBeGreaterThan(NEEDED - 0.01);
    expect(harmEvidenceLog10({ trials, failures, limit: low * 1.01 })).toBeLessThan(NEEDED + 0.01);
    expect(safetyEvidenceLog10({ trials, failures, limit: high * 1.0001 })).toBeGreaterThan(NEEDED - 0.01);
    expect(safetyEvidenceLog10({ trials, failures, limit: high * 0.99 })).toBeLessThan(NEEDED + 0.01);
  });

  it("are 0 and 1 where nothing is known", () => {
    expect(intervalOf(0, 0)).toEqual({ low: 0, high: 1 });
    expect(intervalOf(0, 1).low).toBe(0);
    expect(intervalOf(0, 1).high).toBeGreaterThan(0.95);
    expect(intervalOf(0, 10_000).low).toBe(0);
    expect(intervalOf(0, 10_000).high).toBeLessThan(0.001);
    expect(intervalOf(10_000, 10_000).low).toBeGreaterThan(0.9);
  });

  it("the upper one speaks for those that have not answered as well", () => {
    expect(intervalOf(10, 200, 150).high).toBeGreaterThan(0.75);
    expect(intervalOf(10, 200, 150).low).toBe(intervalOf(10, 200).low);
  });
});

it("holds the true rate at every look at once in at least 95 of 100 releases", () => {
  let missed = 0;
  const releases = 300;
  for (let release = 0; release < releases; release += 1) {
    const random = createRandom("rate-interval", release);
    let failures = 0;
    let isMissed = false;
    for (let trials = 1; trials <= 2_000 && !isMissed; trials += 1) {
      if (random.chance(0.04)) failures += 1;
      if (trials % 20 !== 0) continue;
      const { low, high } = intervalOf(failures, trials);
      isMissed = low > 0.04 || high < 0.04;
    }
    if (isMissed) missed += 1;
  }
  expect(missed).toBeLessThanOrEqual(26);
});
