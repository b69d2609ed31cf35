// Confidence sequence of a rate: all rates that neither the test for harm nor the one for safety speaks against.
// Enters: whole numbers. Leaves: two rates. The chance that it ever misses the true rate is at most `miss`, however
// often one looks.
import { harmEvidenceLog10, safetyEvidenceLog10 } from "../limit.ts";

export interface RateInterval {
  readonly low: number;
  readonly high: number;
}

export interface RateCounts {
  readonly trials: number;
  /** Known to have failed: the lower end rests on them. */
  readonly failures: number;
  /** Failed, or not known to have come through: the upper end rests on them. */
  readonly notProvenGood: number;
}

/** Rates that are looked at; beyond them an end is 0 or 1. */
const RATE_LEAST = 1e-9;
const RATE_MOST = 1 - 1e-9;
/** Halvings of the span between a bound that is too far out and the rate itself: to a hundred-thousandth of it. */
const HALVINGS = 22;

export function rateInterval({ trials, failures, notProvenGood }: RateCounts, miss: number): RateInterval {
  if (trials === 0) return { low: 0, high: 1 };
  const needed = Math.log10(2 / miss);
  const isTooLow = (limit: number): boolean => harmEvidenceLog10({ trials, failures, limit }) >= needed;
  const isTooHigh = (limit: number): boolean =>
    safetyEvidenceLog10({ trials, failures: notProvenGood, limit }) >= needed;
  return {
    low: edge({ outside: RATE_LEAST, inside: failures / trials, isOutside: isTooLow }),
    high: edge({ outside: RATE_MOST, inside: notProvenGood / trials, isOutside: isTooHigh }),
  };
}

interface EdgeSearch {
  readonly outside: number;
  readonly inside: number;
  readonly isOutside: (rate: number) => boolean;
}

/** The outermost rate that is not ruled out; 0 or 1 when nothing is. */
function edge({ outside, inside, isOutside }: EdgeSearch): number {
  if (!isOutside(outside)) return outside < 0.5 ? 0 : 1;
  let [far, near] = [outside, Math.max(inside, RATE_LEAST)];
  for (let halving = 0; halving < HALVINGS; halving += 1) {
    // By ratios: rates may be a millionth, or a half.
    const middle = Math.sqrt(far * near);
    if (isOutside(middle)) far = middle;
    else near = middle;
  }
  return near;
}
