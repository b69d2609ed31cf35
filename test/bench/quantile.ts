// A quantile of what a bench has timed. Enters: times. Leaves: one of them. Pure.
export function quantile(times: readonly number[], share: number): number {
  const inOrder = times.toSorted((left, right) => left - right);
  return inOrder[Math.min(inOrder.length - 1, Math.floor(inOrder.length * share))]!;
}
