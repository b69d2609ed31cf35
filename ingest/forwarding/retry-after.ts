// How long a server asks to be left alone, by its `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. Pure.
// Leaves: milliseconds; 0 for what is not there, is over, or makes no sense.

/** Nobody is left alone for longer, in milliseconds. */
export const RETRY_AFTER_MS_MAX = 3_600_000;

export function retryAfterMs(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  const text = header.trim();
  const askedMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(askedMs) ? 0 : Math.min(Math.max(askedMs, 0), RETRY_AFTER_MS_MAX);
}
