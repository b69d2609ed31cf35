// The one place where a process reads the time of day. Everything that decides takes a Clock or a number.
export type Clock = () => number;

/** Epoch milliseconds. */
export const systemClock: Clock = () => Date.now();

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
