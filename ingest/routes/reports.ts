// POST /v1/reports: native reports, one or many. Enters: an authenticated request whose body was read.
// Leaves: 202 with what was accepted and what was not, only after Redis holds the accepted ones; or a
// Problem. A single report that is bad answers with its own code; in a batch it is named by its index.
import type { RequestHandler, Response } from "express";
import type { Logger } from "../../runtime/logger.ts";
import type { Problem } from "../../runtime/problem.ts";
import type { CheckReport } from "../check-report.ts";
import type { DeviceReport } from "../contract/device-report.ts";
import type { AppId } from "../contract/release-key.ts";
import type { IngestMetrics } from "../metrics.ts";
import { appsOfKey } from "../middleware/authenticate.ts";
import { bodyOf } from "../middleware/read-body.ts";
import { problem } from "../problems.ts";
import type { ReportCode } from "../problems.ts";
import { splitBody } from "../split-body.ts";
import type { BodyItem } from "../split-body.ts";
import type { StreamWriter, WriteOutcome } from "../stream-writer.ts";

/** What a device is told to wait before it sends again, in seconds. */
export const BACKLOG_RETRY_SECONDS = 5;
export const REDIS_RETRY_SECONDS = 2;

export interface ReportsRouteDeps {
  readonly checkReport: CheckReport;
  readonly writer: StreamWriter;
  readonly metrics: IngestMetrics;
  readonly logger: Logger;
  readonly onTurnedAway: () => void;
}

interface Rejection {
  /** Place of the report in the request, from 0; blank lines of NDJSON do not count. */
  readonly index: number;
  readonly code: ReportCode;
  readonly detail: string;
}

interface Sorted {
  readonly accepted: readonly DeviceReport[];
  readonly rejected: readonly Rejection[];
}

export function reportsRoute({
  checkReport,
  writer,
  metrics,
  logger,
  onTurnedAway,
}: ReportsRouteDeps): RequestHandler {
  const outage = createOutageLog(logger);
  return async (_request, response) => {
    const split = splitBody(bodyOf(response));
    if (split.kind === "refused") throw split.problem;
    const items = split.kind === "single" ? [split.item] : split.items;
    const sorted = sortReports(items, checkReport, appsOfKey(response));
    const [firstRejected] = sorted.rejected;
    if (split.kind === "single" && firstRejected !== undefined) {
      metrics.reports.inc({ result: firstRejected.code });
      throw problem(firstRejected.code, firstRejected.detail);
    }
    const outcome = await keep(writer, sorted.accepted);
    outage.note(outcome);
    if (outcome.kind !== "written") onTurnedAway();
    const refusal = countOutcome(outcome, sorted, metrics);
    if (refusal !== undefined) throw refusal;
    answer(response, sorted);
  };
}

function sortReports(
  items: readonly BodyItem[],
  checkReport: CheckReport,
  keyApps: ReadonlySet<AppId>,
): Sorted {
  const accepted: DeviceReport[] = [];
  const rejected: Rejection[] = [];
  items.forEach((item, index) => {
    if (item.kind === "malformed") {
      rejected.push({ index, code: "malformed_json", detail: item.detail });
      return;
    }
    const check = checkReport(item.value, keyApps);
    if (check.kind === "good") accepted.push(check.report);
    else rejected.push({ index, code: check.code, detail: check.detail });
  });
  return { accepted, rejected };
}

/** A batch of which nothing is good needs no Redis: its answer says why, also while Redis is away. */
async function keep(writer: StreamWriter, accepted: readonly DeviceReport[]): Promise<WriteOutcome> {
  if (accepted.length === 0) return { kind: "written", skews: { none: 0, past: 0, future: 0 } };
  return await writer.write(accepted);
}

/** Counts each report once by its result; rejections only when they are answered, as a 503 is sent again. */
function countOutcome(outcome: WriteOutcome, sorted: Sorted, metrics: IngestMetrics): Problem | undefined {
  switch (outcome.kind) {
    case "written":
      metrics.reports.inc({ result: "accepted" }, sorted.accepted.length);
      for (const { code } of sorted.rejected) metrics.reports.inc({ result: code });
      metrics.clockSkew.inc({ direction: "past" }, outcome.skews.past);
      metrics.clockSkew.inc({ direction: "future" }, outcome.skews.future);
      return undefined;
    case "backlog_full":
      metrics.reports.inc({ result: "backlog_full" }, sorted.accepted.length);
      return problem("backlog_full", "Nothing of this request was kept: send all of it again later.", {
        retryAfterSeconds: BACKLOG_RETRY_SECONDS,
      });
    case "redis_unavailable":
      metrics.reports.inc({ result: "redis_unavailable" }, sorted.accepted.length);
      return problem(
        "redis_unavailable",
        "The store did not confirm the reports: send all of it again later.",
        {
          retryAfterSeconds: REDIS_RETRY_SECONDS,
        },
      );
  }
}

function answer(response: Response, { accepted, rejected }: Sorted): void {
  response.statusCode = 202;
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.end(JSON.stringify({ accepted: accepted.length, rejected }));
}

/** One line when reports begin to be turned away, one when they are taken again: never one per request. */
function createOutageLog(logger: Logger): { note(outcome: WriteOutcome): void } {
  let current: WriteOutcome["kind"] = "written";
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
      }
    },
  };
}
