// Work that follows the calendar, not reports (node-cron). It only puts a job into a queue, named by its
// hour or day, so that any number of agents make one job of it.
import { schedule } from "node-cron";
import type { Logger } from "../../runtime/logger.ts";

/** Hourly, a minute after windows have aged by another hour; UTC. */
const ROLL_UP_AT = "1 * * * *";
/** Daily, at a minute when few others start their daily work; UTC. */
const RETENTION_AT = "17 3 * * *";

export interface CalendarOptions {
  /** `2026-01-31T12` */
  readonly onRollUp: (hour: string) => Promise<void>;
  /** `2026-01-31` */
  readonly onRetention: (day: string) => Promise<void>;
  readonly logger: Logger;
}

export function startCalendar({ onRollUp, onRetention, logger }: CalendarOptions): { stop(): void } {
  const start = (at: string, work: (date: Date) => Promise<void>, missed: string) =>
    schedule(
      at,
      async ({ date }) => {
        await work(date).catch((error: unknown) => logger.warn({ err: error }, missed));
      },
      { timezone: "UTC" },
    );
  const tasks = [
    start(ROLL_UP_AT, (date) => onRollUp(hourOf(date)), "windows were not rolled up this hour"),
    start(
      RETENTION_AT,
      (date) => onRetention(date.toISOString().slice(0, "2026-01-31".length)),
      "retention was not started today",
    ),
  ];
  return { stop: () => tasks.forEach((task) => void task.stop()) };
}

export function hourOf(date: Date): string {
  return date.toISOString().slice(0, "2026-01-31T12".length);
}
