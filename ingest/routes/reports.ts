// POST /v1/reports: native reports, one or many. Enters: an authenticated request whose body was read.
// Where the app asks for it, the request also has to prove whose reports they are (device-auth/).
// Leaves: 202 with what was accepted and what was not, only after Redis holds the accepted ones; or a
// Problem. A single report that is bad answers with its own code; in a batch it is named by its index.
import type { RequestHandler, Response } from "express";
import type { Logger } from "../../runtime/logger.ts";
import type { Problem } from "../../runtime/problem.ts";
import type { CheckReport } from "../check-report.ts";
import type { DeviceReport } from "../contract/device-report.ts";
import type { AppId } from "../contract/release-key.ts";
import type {
  GuardDevices,
  GuardedReports,
  PlacedReport,
  RefusedReport,
} from "../device-auth/device-guard.ts";
import type { IngestMetrics } from "../metrics.ts";
import { appsOfKey, trustedAppsOfKey } from "../middleware/authenticate.ts";
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
  readonly guardDevices: GuardDevices;
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
  guardDevices,
  writer,
  metrics,
  logger,
  onTurnedAway,
}: ReportsRouteDeps): RequestHandler {
  const outage = createOutageLog(logger);
  return async (request, response) => {
    const body = bodyOf(response);
    const split = splitBody(body);
    if (split.kind === "refused") throw split.problem;
    const items = split.kind === "single" ? [split.item] : split.items;
    const checked = checkEach(items, checkReport, appsOfKey(response));
    const proof = { headers: request.headers, sentBody: body.sent, trustedApps: trustedAppsOfKey(response) };
    const guarded = await guardDevices(proof, checked.good);
    const sorted = sortReports(checked.rejected, guarded);
    const refusal = refusalOf(split.kind, sorted, guarded.refused);
    if (refusal !== undefined) {
      for (const { code } of sorted.rejected) metrics.reports.inc({ result: code });
      if (refusal.challenge !== undefined) response.set("WWW-Authenticate", refusal.challenge);
      throw problem(refusal.code, refusal.detail);
    }
    const outcome = await keep(writer, sorted.accepted);
    outage.note(outcome);
    if (outcome.kind !== "written") onTurnedAway();
    const unkept = countOutcome(outcome, sorted, metrics);
    if (unkept !== undefined) throw unkept;
    answer(response, sorted);
  };
}

interface Checked {
  readonly good: readonly PlacedReport[];
  readonly rejected: readonly Rejection[];
}

function checkEach(
  items: readonly BodyItem[],
  checkReport: CheckReport,
  keyApps: ReadonlySet<AppId>,
): Checked {
  const good: PlacedReport[] = [];
  const rejected: Rejection[] = [];
  items.forEach((item, index) => {
    if (item.kind === "malformed") {
      rejected.push({ index, code: "malformed_json", detail: item.detail });
      return;
    }
    const check = checkReport(item.value, keyApps);
    if (check.kind === "good") good.push({ index, report: check.report });
    else rejected.push({ index, code: check.code, detail: check.detail });
  });
  return { good, rejected };
}

function sortReports(rejected: readonly Rejection[], { passed, refused }: GuardedReports): Sorted {
  const unproven = refused.map(({ index, code, detail }) => ({ index, code, detail }));
  return {
    accepted: passed.map(({ report }) => report),
    rejected:
      unproven.length === 0
        ? rejected
        : [...rejected, ...unproven].toSorted((one, other) => one.index - other.index),
  };
}

interface Refusal {
  readonly code: ReportCode;
  readonly detail: string;
  readonly challenge?: string | undefined;
}

/**
 * What refuses the request as a whole: the one report of a request that is bad, or a batch of which nothing
 * can be kept before the request proves its device. Whoever sends it again with another proof learns the rest.
 */
function refusalOf(
  kind: "single" | "batch",
  { accepted, rejected }: Sorted,
  unproven: readonly RefusedReport[],
): Refusal | undefined {
  const [first] = unproven;
  if (kind === "single") return first ?? rejected[0];
  const isAllUnproven =
    first !== undefined && accepted.length === 0 && unproven.every(({ code }) => code !== "device_mismatch");
  return isAllUnproven ? first : undefined;
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
