// A token bucket for each name, in this process alone, in a table of bounded size. Enters: names (addresses, keys) and
// a clock. Leaves: go on, or how long to wait. A name that was not heard of for longest gives way to a new one, and
// begins with a full bucket when it comes back: the table's bound never refuses anybody.

/** Names that are remembered at once; each takes some 100 bytes. */
export const BUCKETS_MAX = 100_000;
/** A name that was quiet may send so many seconds' worth at once. */
export const BURST_SECONDS = 5;

export interface TokenBuckets {
  /** Takes one token: 0 = go on; else the time until there is one, in milliseconds. */
  readonly take: (name: string) => number;
  readonly size: () => number;
}

export interface TokenBucketsOptions {
  readonly perSecond: number;
  /** Milliseconds that never go back, such as performance.now: the time of day may be set. */
  readonly elapsedMs: () => number;
  readonly bucketsMax?: number;
}

export function createTokenBuckets(options: TokenBucketsOptions): TokenBuckets {
  const { perSecond, elapsedMs, bucketsMax = BUCKETS_MAX } = options;
  const full = perSecond * BURST_SECONDS;
  /** In the order in which they were last asked for. */
  const buckets = new Map<string, { readonly tokens: number; readonly atMs: number }>();
  return {
    take(name) {
      const nowMs = elapsedMs();
      const before = buckets.get(name);
      const tokens =
        before === undefined
          ? full
          : Math.min(full, before.tokens + ((nowMs - before.atMs) / 1_000) * perSecond);
      const waitMs = tokens >= 1 ? 0 : ((1 - tokens) / perSecond) * 1_000;
      if (before !== undefined) buckets.delete(name);
      else if (buckets.size >= bucketsMax) buckets.delete(buckets.keys().next().value!);
      buckets.set(name, { tokens: waitMs === 0 ? tokens - 1 : tokens, atMs: nowMs });
      return waitMs;
    },
    size: () => buckets.size,
  };
}
