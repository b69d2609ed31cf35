// Arithmetic on logarithms: evidence spans hundreds of orders of magnitude, far past a double's range.
export const LN10 = Math.LN10;

/** log of the mean of exp(x): the largest term is taken out first, so nothing overflows or underflows. */
export function logMeanExp(logs: readonly number[]): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const value of logs) if (!(value <= largest)) largest = value;
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  let sum = 0;
  for (const value of logs) sum += Math.exp(value - largest);
  return largest + Math.log(sum / logs.length);
}
