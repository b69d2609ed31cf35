// The log-rank test: an e-process against "devices of the candidate answer at least 1/slower as fast as devices of
// the baseline that began at the same time". Enters: per short span of age the devices not heard of yet on both
// sides, and how many of them answered in it. Leaves: sums that add up over spans, cohorts and kinds of device.
//
// At each answer the chance that it is the candidate's is h h0 r_C / (h h0 r_C + r_B), with r the devices of the
// same age still unheard, h0 = 1/slower, and h = 1 at the edge of what is allowed; fewer answers of the candidate
// than that speak for h < 1. Answers within a span are weighed by the devices unheard at its beginning: while
// the candidate is slower its share of them only grows within the span, so that this errs towards not accusing.
// Source: Ter Schure, Perez-Ortiz, Ly & Gruenwald, "The anytime-valid logrank test" (2020).
import { LN10, logMeanExp } from "./log-space.ts";

export interface AnswerSpan {
  /** Of the candidate: devices not heard of when the span began, and those that answered in it. */
  readonly unheard: number;
  readonly answered: number;
  readonly baselineUnheard: number;
  readonly baselineAnswered: number;
}

const HARM_HAZARDS: readonly number[] = [0.9, 0.7, 0.5, 0.3, 0.1];
const SAFE_HAZARDS: readonly number[] = [1.2, 1.5, 2, 3];
const HAZARDS = [...HARM_HAZARDS, ...SAFE_HAZARDS];

export interface LogRankSums {
  /** How much slower than the baseline's devices the candidate's may answer; 1 or more. */
  readonly slower: number;
  /** Per hazard. */
  readonly logs: Float64Array;
}

export function zeroLogRankSums(slower: number): LogRankSums {
  return { slower, logs: new Float64Array(HAZARDS.length) };
}

export function addAnswerSpan({ slower, logs }: LogRankSums, span: AnswerSpan): void {
  const { unheard, answered, baselineUnheard, baselineAnswered } = span;
  const all = answered + baselineAnswered;
  if (unheard <= 0 || baselineUnheard <= 0 || all === 0) return;
  const allowed = unheard / slower;
  const allowedLog = Math.log(allowed + baselineUnheard);
  for (let index = 0; index < HAZARDS.length; index += 1) {
    const hazard = HAZARDS[index]!;
    logs[index]! +=
      answered * Math.log(hazard) + all * (allowedLog - Math.log(hazard * allowed + baselineUnheard));
  }
}

export function addLogRankSums(sums: LogRankSums, more: LogRankSums): void {
  for (let index = 0; index < sums.logs.length; index += 1) sums.logs[index]! += more.logs[index]!;
}

/** log10 of the evidence that devices come back more slowly than is allowed, or not at all. */
export function logRankHarmLog10({ logs }: LogRankSums): number {
  return logMeanExp([...logs.subarray(0, HARM_HAZARDS.length)]) / LN10;
}

/** log10 of the evidence that they come back fast enough. */
export function logRankSafetyLog10({ logs }: LogRankSums): number {
  return logMeanExp([...logs.subarray(HARM_HAZARDS.length)]) / LN10;
}
