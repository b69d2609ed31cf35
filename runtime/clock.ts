// The one place where a process reads the time of day. Everything that decides takes a Clock or a number.
export type Clock = () => number;

/** Epoch milliseconds. */
export const systemClock: Clock = () => Date.now();

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits for something that may never end, but not longer than `ms`. A rejection is passed on. */
export async function settledWithin(ms: number, promise: Promise<unknown>): Promise<"settled" | "late"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  const settled = promise.then(() => "settled" as const);
  return Promise.race([settled, late]).finally(() => clearTimeout(timer));
}
