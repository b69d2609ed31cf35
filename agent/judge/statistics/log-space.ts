// Arithmetic on logarithms: evidence spans hundreds of orders of magnitude, far past a double's range.
export const LN10 = Math.LN10;

/** log of the mean of exp(x): the largest term is taken out first, so nothing overflows or underflows. */
export function logMeanExp(logs: readonly number[]): number {
  const largest = Math.max(...logs);
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  const sum = logs.reduce((total, value) => total + Math.exp(value - largest), 0);
  return largest + Math.log(sum / logs.length);
}
