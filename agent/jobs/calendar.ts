// Work that follows the calendar, not reports (node-cron). It only puts a job into a queue, named by its
// day, so that any number of agents make one job of it.
import { schedule } from "node-cron";
import type { Logger } from "../../runtime/logger.ts";

/** Daily, at a minute when few others start their daily work; UTC. */
const RETENTION_AT = "17 3 * * *";

export interface CalendarOptions {
  readonly onRetention: (day: string) => Promise<void>;
  readonly logger: Logger;
}

export function startCalendar({ onRetention, logger }: CalendarOptions): { stop(): void } {
  const retention = schedule(
    RETENTION_AT,
    async ({ date }) => {
      await onRetention(date.toISOString().slice(0, 10)).catch((error: unknown) =>
        logger.warn({ err: error }, "retention was not started today"),
      );
    },
    { timezone: "UTC" },
  );
  return { stop: () => void retention.stop() };
}
