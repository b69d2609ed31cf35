// The ratio test: a two-sample e-process against "the candidate's rate is at most `ratio` times the baseline's,
// plus `points`". Enters: cells, each the failures and exposures of both sides at the same time and of the same
// kind of device. Leaves: sums that add up over cells, and from them evidence. Integers in, so it can be made anew
// from stored windows with the same bits.
//
// One form for rates per device-hour and for shares of devices. Per cell let r = exposure / baseline exposure, and
// for an alternative rho > ratio let theta(rho) = rho r / (rho r + 1): the chance that a failure is the candidate's.
// Then with u = theta(rho) / theta(ratio) and v = (1 - theta(rho)) / (1 - theta(ratio))
//
//     E = u^failures * v^baselineFailures * exp(-points * exposure * (u - 1))
//
// has expectation at most 1: for Poisson counts it is exp(exposure p_C (u-1) + baselineExposure p_B (v-1) - ...), the
// two terms cancel at p_C = ratio p_B, and 1 + x <= e^x carries it over to devices that fail at most once, however
// common failure is. Nothing has to be known of the baseline's rate, which may be another one in every cell: a
// common trend, an outage, or a change in the mix of devices cancels. Products over cells and averages over
// alternatives keep it valid, and by Ville's inequality it may be looked at at any time.
// Sources: Lindon & Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022) for the conditional
// form; Turner, Ly & Gruenwald, "Generic e-variables for exact sequential k-sample tests" (2021) for bounded outcomes.
import { LN10, logMeanExp } from "./log-space.ts";

/** What the candidate may be worse by: a multiple of the baseline's rate, or points on top of it. */
export interface Allowance {
  /** 1 or more. */
  readonly ratio: number;
  /** A ratio in [0, 1): 0.01 is one percentage point. */
  readonly points: number;
}

export interface RatioCell {
  /** Of the candidate: failures, and devices or device-hours in which there could have been one. */
  readonly failures: number;
  readonly exposure: number;
  readonly baselineFailures: number;
  readonly baselineExposure: number;
}

/** Alternatives are allowance.ratio * 2^(step / 4), so that all of them and all bounds of an interval lie on one grid. */
const STEPS_PER_OCTAVE = 4;
/** 1.2, 1.4, 2, 2.8, 4.8, 9.5, 19 and 45 times what is allowed. */
const HARM_STEPS: readonly number[] = [1, 2, 4, 6, 9, 13, 17, 22];
/** 0.84, 0.71, 0.5, 0.35, 0.21 and 0.11 times what is allowed. */
const SAFE_STEPS: readonly number[] = [-1, -2, -4, -6, -9, -13];
/** Ratios that an interval can begin or end with: 1/16 to 32 times what is allowed. */
const INTERVAL_STEP_LEAST = -16;
const INTERVAL_STEP_MOST = 20;

/** Which evidence the sums are for; each step costs a logarithm per cell. */
export type RatioPurpose = "evidence" | "interval";

function stepsFrom(least: number, most: number): number[] {
  return Array.from({ length: most - least + 1 }, (_, index) => least + index);
}

const STEPS: Readonly<Record<RatioPurpose, readonly number[]>> = {
  evidence: [...SAFE_STEPS.toReversed(), 0, ...HARM_STEPS],
  interval: stepsFrom(
    INTERVAL_STEP_LEAST + Math.min(...SAFE_STEPS),
    INTERVAL_STEP_MOST + Math.max(...HARM_STEPS),
  ),
};
const EVIDENCE_POSITIONS: ReadonlyMap<number, number> = new Map(
  STEPS.evidence.map((step, index) => [step, index]),
);

function multipleOf(step: number): number {
  return 2 ** (step / STEPS_PER_OCTAVE);
}

/** Sums over cells in which both sides were exposed. Add them in a fixed order: floating point is not associative. */
export interface RatioSums {
  readonly purpose: RatioPurpose;
  readonly allowance: Allowance;
  failures: number;
  exposure: number;
  baselineFailures: number;
  baselineExposure: number;
  /** Per step: sum of (failures + baselineFailures) * log(1 + rho r). */
  readonly logs: Float64Array;
  /** Per step: sum of exposure * (u - 1); all 0 where no points are allowed. */
  readonly charges: Float64Array;
}

export function zeroRatioSums(purpose: RatioPurpose, allowance: Allowance): RatioSums {
  const steps = STEPS[purpose].length;
  return {
    purpose,
    allowance,
    failures: 0,
    exposure: 0,
    baselineFailures: 0,
    baselineExposure: 0,
    logs: new Float64Array(steps),
    charges: new Float64Array(allowance.points > 0 ? steps : 0),
  };
}

/** A cell in which one side was not exposed says nothing of a ratio. */
export function addRatioCell(sums: RatioSums, cell: RatioCell): void {
  const { failures, exposure, baselineFailures, baselineExposure } = cell;
  if (exposure <= 0 || baselineExposure <= 0) return;
  sums.failures += failures;
  sums.exposure += exposure;
  sums.baselineFailures += baselineFailures;
  sums.baselineExposure += baselineExposure;
  const { purpose, allowance, logs, charges } = sums;
  const nullOdds = (allowance.ratio * exposure) / baselineExposure;
  const all = failures + baselineFailures;
  if (all === 0 && charges.length === 0) return;
  const multiples = MULTIPLES[purpose];
  for (let index = 0; index < multiples.length; index += 1) {
    const odds = multiples[index]! * nullOdds;
    logs[index]! += all * Math.log1p(odds);
    if (charges.length > 0)
      charges[index]! += exposure * ((multiples[index]! * (1 + nullOdds)) / (1 + odds) - 1);
  }
}

const MULTIPLES: Readonly<Record<RatioPurpose, readonly number[]>> = {
  evidence: STEPS.evidence.map(multipleOf),
  interval: STEPS.interval.map(multipleOf),
};

export function addRatioSums(sums: RatioSums, more: RatioSums): void {
  sums.failures += more.failures;
  sums.exposure += more.exposure;
  sums.baselineFailures += more.baselineFailures;
  sums.baselineExposure += more.baselineExposure;
  for (let index = 0; index < sums.logs.length; index += 1) sums.logs[index]! += more.logs[index]!;
  for (let index = 0; index < sums.charges.length; index += 1) sums.charges[index]! += more.charges[index]!;
}

/** log10 of the evidence that the candidate is worse than is allowed. */
export function ratioHarmLog10(sums: RatioSums): number {
  return evidenceAt(sums, 0, HARM_STEPS);
}

/** log10 of the evidence that it is better than is allowed: the reverse test, for `healthy`. */
export function ratioSafetyLog10(sums: RatioSums): number {
  return evidenceAt(sums, 0, SAFE_STEPS);
}

/** log of the multiple that one step is. */
const STEP_LOG = Math.LN2 / STEPS_PER_OCTAVE;

/** Against "the ratio is on the other side of the one at `step`". */
function evidenceAt(sums: RatioSums, step: number, alternatives: readonly number[]): number {
  const { purpose, allowance, failures, logs, charges } = sums;
  const base = logs[positionOf(purpose, step)]!;
  const weighed: number[] = [];
  for (const alternative of alternatives) {
    const index = positionOf(purpose, step + alternative);
    const charge = charges.length === 0 ? 0 : allowance.points * charges[index]!;
    weighed.push(failures * alternative * STEP_LOG + base - logs[index]! - charge);
  }
  return logMeanExp(weighed) / LN10;
}

/** Steps of intervals are without gaps. */
function positionOf(purpose: RatioPurpose, step: number): number {
  return purpose === "interval" ? step - STEPS.interval[0]! : EVIDENCE_POSITIONS.get(step)!;
}

/** Ratio of the candidate's rate to the baseline's. */
export interface RatioInterval {
  /** 0 and Infinity where the grid ends before the evidence speaks. */
  readonly low: number;
  readonly high: number;
}

/**
 * Confidence sequence of the ratio, by inverting the two tests: all ratios that neither of them speaks against. The
 * chance that it ever misses the true one is at most `miss`. Bounds lie between two points of the grid (19% apart)
 * by interpolation of the evidence. Sums for the purpose "interval", without points.
 */
export function ratioInterval(sums: RatioSums, miss: number): RatioInterval {
  const needed = Math.log10(2 / miss);
  const harm = (step: number): number => evidenceAt(sums, step, HARM_STEPS) - needed;
  const safety = (step: number): number => evidenceAt(sums, step, SAFE_STEPS) - needed;
  return {
    low: boundOf(sums, stepsFrom(INTERVAL_STEP_LEAST, INTERVAL_STEP_MOST).toReversed(), harm) ?? 0,
    high:
      boundOf(sums, stepsFrom(INTERVAL_STEP_LEAST, INTERVAL_STEP_MOST), safety) ?? Number.POSITIVE_INFINITY,
  };
}

/** The ratio at which the excess reaches 0, going through the steps; undefined when it never does. */
function boundOf(
  { allowance }: RatioSums,
  steps: readonly number[],
  excessAt: (step: number) => number,
): number | undefined {
  let before: { step: number; excess: number } | undefined;
  for (const step of steps) {
    const excess = excessAt(step);
    if (excess >= 0) {
      const share = before === undefined ? 0 : excess / (excess - before.excess);
      const at = before === undefined ? step : step + share * (before.step - step);
      return allowance.ratio * multipleOf(at);
    }
    before = { step, excess };
  }
  return undefined;
}
