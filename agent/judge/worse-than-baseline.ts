// The `worse_than_baseline` rule for shares of devices and for rates per device-hour: the ratio test
// (statistics/ratio-test.ts) summed over time slots and kinds of device. Enters: a comparison. Leaves: the sums of
// the whole fleet and of each stratum. Sums are made of hours, days of hours, and the total of days, always in
// order of time: so days that have not changed need no work, and the bits are those of working all of it out.
import type { ComparedCell, ComparedDay, ComparedHour, Comparison } from "./comparison.ts";
import { DAY_MINUTES } from "../health/release-history.ts";
import { memoByQuestion, memoFold } from "./memo.ts";
import { baselineCounts, candidateCounts } from "./signals.ts";
import type { JudgedSignal } from "./signals.ts";
import { addRatioCell, addRatioSums, zeroRatioSums } from "./statistics/ratio-test.ts";
import type { Allowance, RatioSums } from "./statistics/ratio-test.ts";

export interface RatioQuestion {
  readonly signal: JudgedSignal;
  readonly allowance: Allowance;
}

/** What the cells of an hour, a day or a release say. */
export interface FleetSums {
  /** To accuse, and for the interval of the ratio. */
  readonly harm: RatioSums;
  /** To clear. */
  readonly safety: RatioSums;
  /** To accuse one kind of device, by stratum text. */
  readonly strata: ReadonlyMap<string, RatioSums>;
}

interface GrowingSums extends FleetSums {
  readonly strata: Map<string, RatioSums>;
}

/**
 * Hours of use that are not over, or whose reports are still on their way. A crash is told at once, quiet use with the
 * next heartbeat: until then only devices that crashed would count as used. So the candidate's use is taken to be at
 * least what it will be; once the hour is over it is what was told.
 */
export interface OpenHours {
  /** Hours that begin at or after it, minutes since the epoch. */
  readonly sinceMinute: number;
  /** The candidate's devices that may be used in an hour, by stratum text. */
  readonly leastExposure: ReadonlyMap<string, number>;
}

export function sumComparison(comparison: Comparison, question: RatioQuestion, open?: OpenHours): FleetSums {
  if (open === undefined) return sumDays(comparison, question);
  const { sinceMinute, leastExposure } = open;
  const isClosed = ({ dayMinute }: ComparedDay): boolean => dayMinute + DAY_MINUTES <= sinceMinute;
  const sums = copySums(sumDays(comparison.filter(isClosed), question), question);
  for (const { hours } of comparison.filter((day) => !isClosed(day))) {
    const closed = hours.filter(({ hourMinute }) => hourMinute < sinceMinute);
    addSums(sums, sumHours(closed, question), question);
    for (const { cells } of hours.slice(closed.length))
      for (const cell of cells) addCell(sums, cell, question, leastExposure.get(cell.stratum) ?? 0);
  }
  return sums;
}

function keyOf({ signal, allowance }: RatioQuestion): string {
  return `${signal} ${allowance.ratio} ${allowance.points}`;
}

function addSums(sums: GrowingSums, { harm, safety, strata }: FleetSums, question: RatioQuestion): void {
  addRatioSums(sums.harm, harm);
  addRatioSums(sums.safety, safety);
  for (const [stratum, more] of strata) addRatioSums(stratumSums(sums, stratum, question), more);
}

function copySums(sums: FleetSums, question: RatioQuestion): GrowingSums {
  const copy = zeroSums(question);
  addSums(copy, sums, question);
  return copy;
}

const sumsOfHour = memoByQuestion(keyOf, (hour: ComparedHour, question: RatioQuestion): FleetSums => {
  const sums = zeroSums(question);
  for (const cell of hour.cells) addCell(sums, cell, question);
  return sums;
});

const sumHours = memoFold({
  keyOf,
  zero: zeroSums,
  copy: copySums,
  add: (sums, hour: ComparedHour, question) => addSums(sums, sumsOfHour(hour, question), question),
});

const sumsOfDay = memoByQuestion(keyOf, (day: ComparedDay, question: RatioQuestion): FleetSums =>
  sumHours(day.hours, question),
);

const sumDays = memoFold({
  keyOf,
  zero: zeroSums,
  copy: copySums,
  add: (sums, day: ComparedDay, question) => addSums(sums, sumsOfDay(day, question), question),
});

function zeroSums({ allowance }: RatioQuestion): GrowingSums {
  return {
    harm: zeroRatioSums("interval", allowance),
    safety: zeroRatioSums("evidence", allowance),
    strata: new Map(),
  };
}

function stratumSums({ strata }: GrowingSums, stratum: string, { allowance }: RatioQuestion): RatioSums {
  let sums = strata.get(stratum);
  if (sums === undefined) strata.set(stratum, (sums = zeroRatioSums("evidence", allowance)));
  return sums;
}

function addCell(
  sums: GrowingSums,
  { stratum, candidate, baseline }: ComparedCell,
  question: RatioQuestion,
  leastExposure?: number,
): void {
  const accused = candidateCounts(question.signal, candidate);
  const beside = baselineCounts(question.signal, baseline);
  const harm = {
    failures: accused.failures,
    // Of an open hour in which nobody is known to be used there is no telling how many are.
    exposure:
      accused.exposure === 0 || leastExposure === 0 ? 0 : Math.max(accused.exposure, leastExposure ?? 0),
    baselineFailures: beside.failures,
    baselineExposure: beside.exposure,
  };
  addRatioCell(sums.harm, harm);
  addRatioCell(stratumSums(sums, stratum, question), harm);
  addRatioCell(sums.safety, {
    failures: accused.safetyFailures,
    exposure: accused.safetyExposure,
    baselineFailures: beside.safetyFailures,
    baselineExposure: beside.safetyExposure,
  });
}

/** Of some strata together, in the order in which they first stand in the comparison. */
export function sumStrata(
  { strata }: FleetSums,
  { allowance }: RatioQuestion,
  isMeant: (stratum: string) => boolean,
): RatioSums {
  const sums = zeroRatioSums("evidence", allowance);
  for (const [stratum, more] of strata) if (isMeant(stratum)) addRatioSums(sums, more);
  return sums;
}
