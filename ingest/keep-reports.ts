// The last step of every route that takes reports, whatever system they came from: kept, counted by what became
// of them, and noted where they were turned away. Enters: validated reports. Leaves: nothing when Redis (or the spool, on
// this machine's disk) holds them, or the Problem to answer with; then the sender has to send all of it again.
import type { Logger } from "../runtime/logger.ts";
import type { Problem } from "../runtime/problem.ts";
import type { DeviceReport } from "./contract/device-report.ts";
import type { IngestMetrics } from "./metrics.ts";
import { problem } from "./problems.ts";
import type { NoteReports } from "./release-tally.ts";
import type { WriteOutcome } from "./stream-writer.ts";

/** What a sender is told to wait before it sends again, in seconds. */
export const BACKLOG_RETRY_SECONDS = 5;
export const REDIS_RETRY_SECONDS = 2;

/** `spool_full`: Redis does not take reports, and on disk is no more room for them. */
export type KeepOutcome = WriteOutcome | { readonly kind: "spool_full" };

/** `written` only when the reports are safe. Never rejects. */
export interface ReportWriter {
  write(reports: readonly DeviceReport[]): Promise<KeepOutcome>;
}

export interface KeepReportsOptions {
  readonly writer: ReportWriter;
  readonly metrics: Pick<IngestMetrics, "reports" | "clockSkew">;
  readonly logger: Logger;
  /** Told of reports that are kept, in Redis or in the spool. */
  readonly noteKept: NoteReports;
  /** Called when good reports could not be kept, and were answered with "send again later". */
  readonly onTurnedAway: () => void;
}

export type KeepReports = (reports: readonly DeviceReport[]) => Promise<Problem | undefined>;

export function createKeepReports({
  writer,
  metrics,
  logger,
  noteKept,
  onTurnedAway,
}: KeepReportsOptions): KeepReports {
  const outage = createOutageLog(logger);
  return async (reports) => {
    const outcome = await write(writer, reports);
    outage.note(outcome);
    if (outcome.kind === "written") noteKept(reports);
    else onTurnedAway();
    return countOutcome(outcome, reports.length, metrics);
  };
}

/** A request of which nothing is good needs no Redis: its answer says why, also while Redis is away. */
async function write(writer: ReportWriter, reports: readonly DeviceReport[]): Promise<KeepOutcome> {
  if (reports.length === 0) return { kind: "written", skews: { none: 0, past: 0, future: 0 } };
  return await writer.write(reports);
}

function countOutcome(
  outcome: KeepOutcome,
  reports: number,
  metrics: KeepReportsOptions["metrics"],
): Problem | undefined {
  switch (outcome.kind) {
    case "written":
      metrics.reports.inc({ result: "accepted" }, reports);
      if (outcome.skews.past > 0) metrics.clockSkew.inc({ direction: "past" }, outcome.skews.past);
      if (outcome.skews.future > 0) metrics.clockSkew.inc({ direction: "future" }, outcome.skews.future);
      return undefined;
    case "backlog_full":
      metrics.reports.inc({ result: "backlog_full" }, reports);
      return problem("backlog_full", "Nothing of this request was kept: send all of it again later.", {
        retryAfterSeconds: BACKLOG_RETRY_SECONDS,
      });
    case "redis_unavailable":
      metrics.reports.inc({ result: "redis_unavailable" }, reports);
      return problem(
        "redis_unavailable",
        "The store did not confirm the reports: send all of it again later.",
        {
          retryAfterSeconds: REDIS_RETRY_SECONDS,
        },
      );
    case "spool_full":
      metrics.reports.inc({ result: "spool_full" }, reports);
      return problem(
        "spool_full",
        "The store is away, and what may wait for it on disk is full: send all of it again later.",
        { retryAfterSeconds: BACKLOG_RETRY_SECONDS },
      );
  }
}

/** One line when reports begin to be turned away, one when they are taken again: never one per request. */
function createOutageLog(logger: Logger): { note(outcome: KeepOutcome): void } {
  let current: KeepOutcome["kind"] = "written";
  return {
    note(outcome) {
      if (outcome.kind === current) return;
      current = outcome.kind;
      switch (outcome.kind) {
        case "written":
          logger.info("reports are taken again");
          return;
        case "backlog_full":
          logger.warn(
            { shard: outcome.shard },
            "reports are turned away: the agent does not keep up (or is away)",
          );
          return;
        case "redis_unavailable":
          logger.warn({ err: outcome.cause }, "reports are turned away: Redis does not take them");
          return;
        case "spool_full":
          logger.error("reports are turned away: Redis does not take them, and the spool is full");
      }
    },
  };
}
