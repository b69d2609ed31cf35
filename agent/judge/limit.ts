// The `limit` rule: a one-sample e-process against "the true failure rate is at most the limit".
// Enters: whole numbers of trials and failures. Leaves: log10 of the e-value. Valid at every look
// (Ville's inequality): over the whole life of a release within its limit, the chance that the e-value
// ever reaches 1/alpha is at most alpha, however often and whenever one looks.
//
// Form: the average over a fixed grid of alternatives g of prod (g/t)^x ((1-g)/(1-t))^(1-x), that is a
// mixture of likelihood ratios (Wald 1945; Robbins 1970; for the composite null see Howard, Ramdas,
// McAuliffe, Sekhon 2021). Each component is a supermartingale for every rate at or below the limit,
// since g > t. The grid needs no special functions, so there are no tails to clamp: clamped tails turn a
// healthy stream into infinite evidence.
import { LN10, logMeanExp } from "./statistics/log-space.ts";

/** Alternatives as multiples of the limit, and two absolute ones that make "3 of 3 failed" count at once. */
const HARM_MULTIPLES = [1.2, 1.5, 2, 3, 5, 10, 20] as const;
const HARM_RATES = [0.75, 0.95] as const;
const SAFE_MULTIPLES = [0.05, 0.1, 0.2, 0.4, 0.6, 0.8] as const;

export interface LimitCounts {
  readonly trials: number;
  readonly failures: number;
  /** The limit, a ratio in (0, 1). */
  readonly limit: number;
}

/** log10 of the evidence that the rate is above the limit. */
export function harmEvidenceLog10(counts: LimitCounts): number {
  const candidates = [...HARM_MULTIPLES.map((multiple) => multiple * counts.limit), ...HARM_RATES];
  const grid = candidates.filter((rate) => rate > counts.limit && rate < 1);
  return evidenceLog10(counts, grid.length === 0 ? [(1 + counts.limit) / 2] : grid);
}

/** log10 of the evidence that the rate is below the limit: the reverse test, for `healthy`. */
export function safetyEvidenceLog10(counts: LimitCounts): number {
  return evidenceLog10(
    counts,
    SAFE_MULTIPLES.map((multiple) => multiple * counts.limit),
  );
}

function evidenceLog10({ trials, failures, limit }: LimitCounts, grid: readonly number[]): number {
  const successes = trials - failures;
  const limitLog = Math.log1p(-limit);
  const logs: number[] = [];
  for (const rate of grid)
    logs.push(failures * Math.log(rate / limit) + successes * (Math.log1p(-rate) - limitLog));
  return logMeanExp(logs) / LN10;
}
