// POST /v1/reports: native reports, one or many. Enters: a request as Node has it, because this route is served before
// Express is asked (docs/adr/0027-the-hot-path.md); whose key it carries, and its body, are found out here. Where the
// app asks for it, the request also has to prove whose reports they are (device-auth/).
// Leaves: 202 with what was accepted and what was not, only after the accepted ones are kept; or a
// Problem. A single report that is bad answers with its own code; in a batch it is named by its index.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CheckReport } from "../check-report.ts";
import type { DeviceReport } from "../contract/device-report.ts";
import type { AppId } from "../contract/release-key.ts";
import type {
  GuardDevices,
  GuardedReports,
  PlacedReport,
  RefusedReport,
} from "../device-auth/device-guard.ts";
import type { KeepReports } from "../keep-reports.ts";
import type { LimitRequest } from "../limits/request-limits.ts";
import type { IngestMetrics } from "../metrics.ts";
import { refuseMethod } from "../middleware/allow-only.ts";
import { JSON_ANSWER_HEADERS } from "../middleware/answer-headers.ts";
import { findSender, requireSender } from "../middleware/authenticate.ts";
import type { Keyring } from "../middleware/authenticate.ts";
import { readBody } from "../middleware/read-body.ts";
import type { BodyLimits } from "../middleware/read-body.ts";
import { problem } from "../problems.ts";
import type { ReportCode } from "../problems.ts";
import { splitBody } from "../split-body.ts";
import type { BodyItem } from "../split-body.ts";

export interface ReportsRouteDeps {
  readonly keyring: Keyring;
  readonly limit: LimitRequest;
  readonly limits: BodyLimits;
  readonly checkReport: CheckReport;
  readonly guardDevices: GuardDevices;
  readonly keepReports: KeepReports;
  readonly metrics: IngestMetrics;
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

/** Rejects with what is to be answered; nothing has been sent then. */
export type ReportsRoute = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export function reportsRoute({
  keyring,
  limit,
  limits,
  checkReport,
  guardDevices,
  keepReports,
  metrics,
}: ReportsRouteDeps): ReportsRoute {
  return async (request, response) => {
    if (request.method !== "POST") throw refuseMethod(request, response, "POST");
    const found = findSender(keyring, request);
    const limited = limit(request, found);
    if (limited !== undefined) throw limited;
    const sender = requireSender(found, request, response);
    const body = await readBody(request, response, limits);
    const split = splitBody(body);
    if (split.kind === "refused") throw split.problem;
    const items = split.kind === "single" ? [split.item] : split.items;
    const checked = checkEach(items, checkReport, sender.apps);
    const proof = { headers: request.headers, sentBody: body.sent, trustedApps: sender.trustedApps };
    const guarded = await guardDevices(proof, checked.good);
    const sorted = sortReports(checked.rejected, guarded);
    const refusal = refusalOf(split.kind, sorted, guarded.refused);
    if (refusal !== undefined) {
      for (const { code } of sorted.rejected) metrics.reports.inc({ result: code });
      if (refusal.challenge !== undefined) response.setHeader("WWW-Authenticate", refusal.challenge);
      throw problem(refusal.code, refusal.detail);
    }
    const unkept = await keepReports(sorted.accepted);
    if (unkept !== undefined) throw unkept;
    // Only when they are answered: a 503 is sent again, and would count them twice.
    for (const { code } of sorted.rejected) metrics.reports.inc({ result: code });
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

function answer(response: ServerResponse, { accepted, rejected }: Sorted): void {
  const body = JSON.stringify({ accepted: accepted.length, rejected });
  // With a length: otherwise it goes in chunks, and ends a connection of HTTP/1.0.
  response.writeHead(202, [...JSON_ANSWER_HEADERS, "Content-Length", String(Buffer.byteLength(body))]);
  response.end(body);
}
