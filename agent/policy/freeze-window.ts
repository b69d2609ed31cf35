// Freeze windows by the calendar: times in which nothing is done by itself, such as nights before a holiday. Written as
// a cron expression (node-cron's syntax) for when a window begins, how long it lasts, and the time zone. Pure: whether
// a moment lies in one follows from the moment alone. Enters: an entry of `guards.freeze_windows`. Leaves: a matcher.
import { createTask, validate } from "node-cron";
import { z } from "zod";
import { duration } from "../../runtime/units.ts";

export interface FreezeWindow {
  /** When it begins, as written. */
  readonly cron: string;
  readonly forMs: number;
  readonly timezone: string;
  /** The beginning of the window that holds this moment, epoch milliseconds; undefined outside. */
  readonly beginOf: (nowMs: number) => number | undefined;
}

const MINUTE_MS = 60_000;
export const FREEZE_WINDOW_MS_LEAST = MINUTE_MS;
/** Every minute of a window may have to be looked at. */
export const FREEZE_WINDOW_MS_MAX = 31 * 24 * 3_600_000;
export const FREEZE_WINDOWS_MAX = 50;

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

export const freezeWindowSchema = z
  .strictObject({
    cron: z.string().refine((text) => text.trim().split(/\s+/).length === 5 && validate(text), {
      error:
        "not a cron expression: write minute, hour, day of month, month, day of week, such as 0 18 * * 5",
    }),
    for: duration.refine((ms) => ms >= FREEZE_WINDOW_MS_LEAST && ms <= FREEZE_WINDOW_MS_MAX, {
      error: "must be from 1m to 31d",
    }),
    timezone: z
      .string()
      .refine(isTimezone, { error: "not a time zone: write its IANA name, such as Europe/Berlin" })
      .prefault("UTC"),
  })
  .transform(({ cron, for: forMs, timezone }): FreezeWindow => createFreezeWindow({ cron, forMs, timezone }));

export function createFreezeWindow({
  cron,
  forMs,
  timezone,
}: Pick<FreezeWindow, "cron" | "forMs" | "timezone">): FreezeWindow {
  // Never started: only asked whether a minute matches.
  const task = createTask(cron, () => {}, { timezone });
  const matches = new Map<number, boolean>();
  const isBegin = (minute: number): boolean => {
    let known = matches.get(minute);
    if (known === undefined) {
      known = task.match(new Date(minute * MINUTE_MS));
      if (matches.size > (2 * FREEZE_WINDOW_MS_MAX) / MINUTE_MS) matches.clear();
      matches.set(minute, known);
    }
    return known;
  };
  return {
    cron,
    forMs,
    timezone,
    beginOf(nowMs) {
      const newest = Math.floor(nowMs / MINUTE_MS);
      for (let minute = newest; minute * MINUTE_MS + forMs > nowMs; minute -= 1)
        if (isBegin(minute)) return minute * MINUTE_MS;
      return undefined;
    },
  };
}
