// Times in Sentry's items. Pure. Enters: RFC 3339 (some SDKs leave the zone out: it is UTC) or seconds since the epoch,
// and the envelope's `sent_at`. Leaves: epoch milliseconds.
import { REPORT_AGE_MS_MAX, REPORT_AHEAD_MS_MAX } from "../../contract/device-report.ts";

const TIME_MS_MAX = 8.64e15;
const WRITTEN = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?)(?:[Zz]|([+-]\d\d):?(\d\d))?$/;

/** Undefined for what is no time. */
export function timeMsOf(value: unknown): number | undefined {
  const timeMs = typeof value === "number" ? value * 1_000 : writtenTimeMs(value);
  return Number.isFinite(timeMs) && Math.abs(timeMs) <= TIME_MS_MAX ? Math.trunc(timeMs) : undefined;
}

function writtenTimeMs(value: unknown): number {
  if (typeof value !== "string" || value.length > 64) return Number.NaN;
  const [, day, time, zoneHours, zoneMinutes] = WRITTEN.exec(value) ?? [];
  if (day === undefined) return Number.NaN;
  return Date.parse(`${day}T${time}${zoneHours === undefined ? "Z" : `${zoneHours}:${zoneMinutes}`}`);
}

/**
 * What to add to the times of an envelope. `sent_at` is the device's clock when it sent: where that is further off than a
 * report's time may be, all of the envelope is. Within that the times stay as they are: an SDK that sends late leaves an
 * old `sent_at`, and an envelope that comes again would otherwise count in another hour.
 */
export function clockShiftMs(sentAt: unknown, receivedAtMs: number): number {
  const sentAtMs = timeMsOf(sentAt);
  if (sentAtMs === undefined) return 0;
  const aheadMs = sentAtMs - receivedAtMs;
  return aheadMs > REPORT_AHEAD_MS_MAX || aheadMs < -REPORT_AGE_MS_MAX ? -aheadMs : 0;
}
