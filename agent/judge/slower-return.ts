// The `worse_than_baseline` rule for silence: the log-rank test (statistics/log-rank.ts) on the time from an attempt
// to the first answer. Bricked devices show as answers that do not come, long before the deadline of silence ends.
// Enters: a comparison and the time. Leaves: the sums of the whole fleet and of each stratum.
//
// Only spans of age that are over for every device of a cohort count, and none before the first minute: healthy
// devices are busy restarting then, and those that did not announce "answer" in the minute of their attempt.
import { ANSWER_BIN_MINUTES } from "../health/answer-bins.ts";
import { DAY_MINUTES } from "../health/release-history.ts";
import type { SlotCounts } from "../health/release-history.ts";
import type { ComparedCell, ComparedDay, ComparedHour, Comparison } from "./comparison.ts";
import { memoByQuestion, memoFold } from "./memo.ts";
import { harmEvidenceLog10 } from "./limit.ts";
import { addAnswerSpan, addLogRankSums, logRankHarmLog10, zeroLogRankSums } from "./statistics/log-rank.ts";
import type { LogRankSums } from "./statistics/log-rank.ts";

export interface ReturnQuestion {
  /** How much slower than the baseline's devices the candidate's may answer. */
  readonly slower: number;
  /** Ages that are looked at: up to the deadline, in minutes. */
  readonly ageMinutesMax: number;
}

export interface ReturnSums {
  readonly fleet: LogRankSums;
  readonly strata: ReadonlyMap<string, LogRankSums>;
  /** By stratum text. */
  readonly out: ReadonlyMap<string, StillOut>;
  /** Devices that were old enough to have been looked at, and those of them that have not answered yet. */
  readonly candidate: { readonly trials: number; readonly failures: number };
  readonly baseline: { readonly trials: number; readonly failures: number };
}

/** Devices of the candidate that are still out, and how many would be if they came back just as slowly as is allowed. */
export interface StillOut {
  readonly trials: number;
  readonly unheard: number;
  readonly expected: number;
}

/** The first span begins a minute after the attempt. */
const FIRST_BIN = 1;
/** Answers of a span that is over may still be on their way through the stream, in minutes. */
const FOLDING_MINUTES = 1;

export function sumReturns(comparison: Comparison, question: ReturnQuestion, nowMinute: number): ReturnSums {
  const sums = copySums(sumFinished(comparison.filter(isFinished), question), question);
  for (const day of comparison)
    if (!isFinished(day))
      addSums(sums, sumDay(day, { ...question, sinceStart: nowMinute - day.dayMinute }), question);
  return sums;

  function isFinished({ dayMinute }: ComparedDay): boolean {
    return nowMinute - dayMinute >= DAY_MINUTES + question.ageMinutesMax + FOLDING_MINUTES;
  }
}

/** A question at a time: how long ago the day or hour began decides which spans are over. */
interface ReturnQuestionAt extends ReturnQuestion {
  /** Minutes since the beginning of what is asked about. */
  readonly sinceStart: number;
}

const keyOf = ({ slower, ageMinutesMax }: ReturnQuestion): string => `${slower} ${ageMinutesMax}`;

/** Days that are so long ago that every span of theirs is over: their sums are kept. */
const sumFinished = memoFold({
  keyOf,
  zero: zeroSums,
  copy: copySums,
  add: (sums, day: ComparedDay, question) => addSums(sums, finishedDay(day, question), question),
});

const finishedDay = memoByQuestion(keyOf, (day: ComparedDay, question: ReturnQuestion): ReturnSums =>
  sumDay(day, { ...question, sinceStart: Number.MAX_SAFE_INTEGER }),
);

function sumDay(day: ComparedDay, question: ReturnQuestionAt): ReturnSums {
  const sums = zeroSums(question);
  for (const hour of day.hours) {
    const sinceStart = question.sinceStart - (hour.hourMinute - day.dayMinute);
    addSums(sums, sumsOfHour(hour, { ...question, sinceStart }), question);
  }
  return sums;
}

/** The spans that are over only change when a slot gets as old as the end of one. */
const sumsOfHour = memoByQuestion(
  (question: ReturnQuestionAt) => `${keyOf(question)} ${spansOverAt(question).join()}`,
  (hour: ComparedHour, question: ReturnQuestionAt): ReturnSums => {
    const sums = zeroSums(question);
    for (const cell of hour.cells) {
      const age = question.sinceStart - (cell.slotMinute - hour.hourMinute) - cell.slotMinutes;
      addCell(sums, cell, { question, spans: spansOver(age, question) });
    }
    return sums;
  },
);

/** For slots that end 5, 10, … 60 minutes after the hour began. */
function spansOverAt(question: ReturnQuestionAt): number[] {
  return Array.from({ length: 12 }, (_, slot) => spansOver(question.sinceStart - 5 * (slot + 1), question));
}

/** How many bins are over for devices that are at least so old, in minutes. */
function spansOver(age: number, { ageMinutesMax }: ReturnQuestion): number {
  const isBinOver = (_: number, bin: number): boolean => {
    const end = ANSWER_BIN_MINUTES[bin + 1] ?? Number.POSITIVE_INFINITY;
    return end <= ageMinutesMax && end + FOLDING_MINUTES <= age;
  };
  return ANSWER_BIN_MINUTES.filter(isBinOver).length;
}

interface GrowingSums {
  readonly fleet: LogRankSums;
  readonly strata: Map<string, LogRankSums>;
  readonly out: Map<string, { trials: number; unheard: number; expected: number }>;
  readonly candidate: { trials: number; failures: number };
  readonly baseline: { trials: number; failures: number };
}

function zeroSums({ slower }: ReturnQuestion): GrowingSums {
  return {
    fleet: zeroLogRankSums(slower),
    strata: new Map(),
    out: new Map(),
    candidate: { trials: 0, failures: 0 },
    baseline: { trials: 0, failures: 0 },
  };
}

function addCell(
  sums: GrowingSums,
  { stratum, candidate, baseline }: ComparedCell,
  { question, spans }: { readonly question: ReturnQuestion; readonly spans: number },
): void {
  if (spans <= FIRST_BIN) return;
  let unheard = candidate.devices.attempted - sumOfBins(candidate, FIRST_BIN);
  let baselineUnheard = baseline.devices.attempted - sumOfBins(baseline, FIRST_BIN);
  const ofStratum = stratumSums(sums, stratum, question);
  for (let bin = FIRST_BIN; bin < spans; bin += 1) {
    const answered = candidate.answered[bin] ?? 0;
    const baselineAnswered = baseline.answered[bin] ?? 0;
    const span = { unheard, answered, baselineUnheard, baselineAnswered };
    addAnswerSpan(sums.fleet, span);
    addAnswerSpan(ofStratum, span);
    unheard -= answered;
    baselineUnheard -= baselineAnswered;
  }
  const allowedBins = binsBy(ANSWER_BIN_MINUTES[spans]! / question.slower);
  const stillOut = baseline.devices.attempted - sumOfBins(baseline, allowedBins);
  addOut(sums.out, stratum, {
    trials: candidate.devices.attempted,
    unheard,
    expected: (candidate.devices.attempted * stillOut) / Math.max(1, baseline.devices.attempted),
  });
  sums.candidate.trials += candidate.devices.attempted;
  sums.candidate.failures += unheard;
  sums.baseline.trials += baseline.devices.attempted;
  sums.baseline.failures += baselineUnheard;
}

/** How many bins are over at an age in minutes. */
function binsBy(age: number): number {
  return ANSWER_BIN_MINUTES.filter((_, bin) => (ANSWER_BIN_MINUTES[bin + 1] ?? Infinity) <= age).length;
}

function addOut(out: GrowingSums["out"], stratum: string, more: StillOut): void {
  const known = out.get(stratum);
  if (known === undefined) {
    out.set(stratum, { ...more });
    return;
  }
  known.trials += more.trials;
  known.unheard += more.unheard;
  known.expected += more.expected;
}

function sumOfBins({ answered }: SlotCounts, bins: number): number {
  return answered.slice(0, bins).reduce((sum, count) => sum + count, 0);
}

function stratumSums({ strata }: GrowingSums, stratum: string, { slower }: ReturnQuestion): LogRankSums {
  let sums = strata.get(stratum);
  if (sums === undefined) strata.set(stratum, (sums = zeroLogRankSums(slower)));
  return sums;
}

function addSums(
  sums: GrowingSums,
  { fleet, strata, out, candidate, baseline }: ReturnSums,
  question: ReturnQuestion,
): void {
  addLogRankSums(sums.fleet, fleet);
  for (const [stratum, more] of strata) addLogRankSums(stratumSums(sums, stratum, question), more);
  for (const [stratum, more] of out) addOut(sums.out, stratum, more);
  sums.candidate.trials += candidate.trials;
  sums.candidate.failures += candidate.failures;
  sums.baseline.trials += baseline.trials;
  sums.baseline.failures += baseline.failures;
}

function copySums(sums: ReturnSums, question: ReturnQuestion): GrowingSums {
  const copy = zeroSums(question);
  addSums(copy, sums, question);
  return copy;
}

/** Of some strata together, in the order in which they first stand in the comparison. */
export function sumReturnStrata(
  { strata }: ReturnSums,
  { slower }: ReturnQuestion,
  isMeant: (stratum: string) => boolean,
): LogRankSums {
  const sums = zeroLogRankSums(slower);
  for (const [stratum, more] of strata) if (isMeant(stratum)) addLogRankSums(sums, more);
  return sums;
}

/** log10 of the evidence, from which on it is more than chance that too many devices are still out. */
export const STILL_OUT_LOG10 = 1;

/**
 * log10 of the evidence that devices come back too slowly, or not at all. The log-rank test compares how many of those
 * still out answer in a span: where devices answer all at once (after a restart), a little later looks like a much
 * smaller chance to answer in that very minute. So it only speaks while more devices are out than would be if each took
 * just as much longer as is allowed: then it is not a little later.
 */
export function returnHarmLog10(sums: LogRankSums, out: Iterable<StillOut>): number {
  const evidence = logRankHarmLog10(sums);
  if (evidence <= 0) return evidence;
  const all = { trials: 0, unheard: 0, expected: 0 };
  for (const { trials, unheard, expected } of out) {
    all.trials += trials;
    all.unheard += unheard;
    all.expected += expected;
  }
  // At least one device may always be late.
  const limit = Math.max(1, all.expected) / Math.max(1, all.trials);
  const tooMany = limit < 1 ? harmEvidenceLog10({ trials: all.trials, failures: all.unheard, limit }) : 0;
  return tooMany >= STILL_OUT_LOG10 ? evidence : 0;
}

/** Of some strata together. */
export function* outOf({ out }: ReturnSums, isMeant: (stratum: string) => boolean): Generator<StillOut> {
  for (const [stratum, each] of out) if (isMeant(stratum)) yield each;
}
