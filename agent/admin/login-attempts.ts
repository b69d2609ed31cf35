// How often one address may fail to sign in: guessing a token over the network must not pay. Counts are this process's
// own and need no Redis. Enters: addresses and failures. Leaves: how long to wait.
import { isIPv6 } from "node:net";
import type { Clock } from "../../runtime/clock.ts";

/** Failed attempts of one address in the window; after these it waits until the window is over. */
export const LOGIN_FAILURES_MAX = 10;
export const LOGIN_WINDOW_MS = 60_000;
/** Addresses that are remembered at once; the oldest gives way. */
export const LOGIN_ADDRESSES_MAX = 10_000;
/** Of an IPv6 address this much is one customer's: 4 of 8 groups, 64 bits. */
const IPV6_GROUPS = 4;

export interface LoginAttempts {
  /** 0 = go on; else the time to wait, in milliseconds. */
  waitMs(address: string): number;
  fail(address: string): void;
}

export function createLoginAttempts(clock: Clock): LoginAttempts {
  /** In the order in which their windows began. */
  const windows = new Map<string, { readonly endsAtMs: number; failures: number }>();
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
    fail(address) {
      const key = networkOf(address);
      const window = current(key);
      if (window !== undefined) {
        window.failures += 1;
        return;
      }
      if (windows.size >= LOGIN_ADDRESSES_MAX) windows.delete(windows.keys().next().value!);
      windows.set(key, { endsAtMs: clock() + LOGIN_WINDOW_MS, failures: 1 });
    },
  };
}

/** The address itself, or the network that an IPv6 customer picks addresses from. */
export function networkOf(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (!isIPv6(bare)) return bare;
  const [head = "", tail] = bare.split("::", 2);
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const groups = [...front, ...Array.from({ length: zeros }, () => "0"), ...back];
  return groups
    .slice(0, IPV6_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
