// Work that follows the calendar, not reports (node-cron). It only puts a job into a queue, named by its
// hour or day, so that any number of agents make one job of it.
import { schedule } from "node-cron";
import type { Logger } from "../../runtime/logger.ts";
import type { SummarySettings } from "../config/outlets.ts";
import type { Queues } from "./queues.ts";

/** Hourly, a minute after windows have aged by another hour; UTC. */
const ROLL_UP_AT = "1 * * * *";
/** Daily, at a minute when few others start their daily work; UTC. */
const RETENTION_AT = "17 3 * * *";

export interface CalendarOptions {
  readonly queues: Pick<Queues, "rollUp" | "retention" | "summary">;
  /** Undefined = nobody wants a daily summary. */
  readonly summary: Pick<SummarySettings, "at" | "timezone"> | undefined;
  readonly logger: Logger;
}

export function startCalendar({ queues, summary, logger }: CalendarOptions): { stop(): void } {
  const start = (at: string, timezone: string, work: (date: Date) => Promise<void>, missed: string) =>
    schedule(
      at,
      async ({ date }) => {
        await work(date).catch((error: unknown) => logger.warn({ err: error }, missed));
      },
      { timezone },
    );
  const rollUp = (date: Date): Promise<void> => queues.rollUp(hourOf(date));
  const retention = (date: Date): Promise<void> => queues.retention(dayOf(date));
  const summarise = (date: Date): Promise<void> => queues.summary(minuteOf(date));
  const tasks = [
    start(ROLL_UP_AT, "UTC", rollUp, "windows were not rolled up this hour"),
    start(RETENTION_AT, "UTC", retention, "retention was not started today"),
  ];
  if (summary !== undefined)
    tasks.push(start(summary.at, summary.timezone, summarise, "the daily summary was not asked for"));
  return { stop: () => tasks.forEach((task) => void task.stop()) };
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, "2026-01-31".length);
}

function minuteOf(date: Date): string {
  return date.toISOString().slice(0, "2026-01-31T08:00".length);
}

export function hourOf(date: Date): string {
  return date.toISOString().slice(0, "2026-01-31T12".length);
}
