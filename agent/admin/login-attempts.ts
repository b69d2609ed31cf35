// How often one address may fail to sign in: guessing a token over the network must not pay. Counts are this process's
// own and need no Redis. Enters: addresses and failures. Leaves: how long to wait.
import { networkOf } from "../../runtime/client-address.ts";
import type { Clock } from "../../runtime/clock.ts";

/** Failed attempts of one address in the window; after these it waits until the window is over. */
export const LOGIN_FAILURES_MAX = 10;
export const LOGIN_WINDOW_MS = 60_000;
/** Addresses that are remembered at once; the oldest gives way. */
export const LOGIN_ADDRESSES_MAX = 10_000;

export interface LoginAttempts {
  /** 0 = go on; else the time to wait, in milliseconds. */
  waitMs(address: string): number;
  /** With `guess` (a digest of what was tried) the same guess again is none: it tells whoever guesses nothing new. */
  fail(address: string, guess?: string): void;
}

interface Window {
  readonly endsAtMs: number;
  failures: number;
  /** Of the failures, those that named their guess: never more than may fail. */
  readonly guesses: Set<string>;
}

export function createLoginAttempts(clock: Clock): LoginAttempts {
  /** In the order in which their windows began. */
  const windows = new Map<string, Window>();
  const current = (key: string) => {
    const window = windows.get(key);
    if (window === undefined || clock() < window.endsAtMs) return window;
    windows.delete(key);
    return undefined;
  };
  return {
    waitMs(address) {
      const window = current(networkOf(address));
      return window === undefined || window.failures < LOGIN_FAILURES_MAX ? 0 : window.endsAtMs - clock();
    },
    fail(address, guess) {
      const key = networkOf(address);
      let window = current(key);
      if (window === undefined) {
        if (windows.size >= LOGIN_ADDRESSES_MAX) windows.delete(windows.keys().next().value!);
        window = { endsAtMs: clock() + LOGIN_WINDOW_MS, failures: 0, guesses: new Set() };
        windows.set(key, window);
      }
      if (guess !== undefined && window.guesses.has(guess)) return;
      window.failures += 1;
      if (guess !== undefined && window.guesses.size < LOGIN_FAILURES_MAX) window.guesses.add(guess);
    },
  };
}
