// How long a server asks to be left alone: seconds or a date, within an hour; nothing for what makes no sense.
import { expect, test } from "vitest";
import { RETRY_AFTER_MS_MAX, retryAfterMs } from "../../../../ingest/forwarding/retry-after.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);

test.each([
  [null, 0],
  ["", 0],
  ["0", 0],
  ["7", 7_000],
  [" 7 ", 7_000],
  ["3600", RETRY_AFTER_MS_MAX],
  ["3601", RETRY_AFTER_MS_MAX],
  ["9".repeat(400), RETRY_AFTER_MS_MAX],
  ["-5", 0],
  ["soon", 0],
  ["Sat, 31 Jan 2026 12:00:30 GMT", 30_000],
  ["Sat, 31 Jan 2026 11:00:00 GMT", 0],
  ["Sun, 31 Jan 2027 12:00:00 GMT", RETRY_AFTER_MS_MAX],
])("%j", (header, ms) => {
  expect(retryAfterMs(header, NOW_MS)).toBe(ms);
});
