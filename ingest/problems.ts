// The catalogue of everything ingest may refuse: stable code -> status and title. Clients and dashboards
// build on the codes, so a code is never renamed or reused; docs/errors.md lists them with the remedy, and
// a test keeps the two in step. Leaves: Problems to throw, and the codes as metric label values.
import { INTERNAL_ERROR, METHOD_NOT_ALLOWED, NOT_FOUND, Problem } from "../runtime/problem.ts";
import type { ProblemDetails } from "../runtime/problem.ts";

interface CatalogueEntry {
  readonly status: number;
  readonly title: string;
}

/** What can be wrong with one report: rejected by index in a batch, the whole answer for a single one. */
const REPORT_PROBLEMS = {
  malformed_json: { status: 400, title: "The body, or a line of it, is not JSON" },
  invalid_report: { status: 400, title: "A field of the report is missing or wrong" },
  invalid_time: { status: 400, title: "`at` is not a time" },
  unknown_event: { status: 400, title: "There is no such event" },
  unknown_app: { status: 400, title: "There is no such app" },
  unknown_channel: { status: 400, title: "The app has no such channel" },
  key_for_another_app: { status: 403, title: "The ingest key is for another app" },
  device_mismatch: { status: 403, title: "The report is about another device than the one that is proven" },
  device_token_missing: { status: 401, title: "The app asks for a proof of the device" },
  device_token_invalid: { status: 401, title: "The proof of the device is not right" },
  device_token_expired: { status: 401, title: "The proof of the device is too old" },
} as const satisfies Record<string, CatalogueEntry>;

/** Good reports that could not be kept now: the sender has to send them again. */
const UNAVAILABLE_PROBLEMS = {
  backlog_full: { status: 503, title: "Too many reports wait to be counted" },
  redis_unavailable: { status: 503, title: "The reports cannot be stored at the moment" },
  spool_full: { status: 503, title: "The store is away, and too many reports wait for it" },
} as const satisfies Record<string, CatalogueEntry>;

/** What can be wrong with a request before any report of it is looked at. */
const REQUEST_PROBLEMS = {
  missing_credentials: { status: 401, title: "The request carries no ingest key" },
  unknown_key: { status: 401, title: "The ingest key is not known" },
  unknown_dsn: { status: 403, title: "The DSN is not known" },
  origin_not_allowed: { status: 403, title: "Pages of this origin may not report" },
  rate_limited: { status: 429, title: "Too many requests came in too short a time" },
  unsupported_media_type: { status: 415, title: "The media type of the body is not taken here" },
  unsupported_encoding: { status: 415, title: "The encoding of the body is not taken here" },
  body_too_large: { status: 413, title: "The body is too large" },
  too_many_reports: { status: 413, title: "The request holds too many reports" },
  malformed_gzip: { status: 400, title: "The body is not gzip, or ends too early" },
  malformed_envelope: { status: 400, title: "A header line of the envelope cannot be read" },
  empty_body: { status: 400, title: "The body is empty" },
  empty_batch: { status: 400, title: "The batch holds no report" },
  request_aborted: { status: 400, title: "The request ended before its body did" },
  not_found: NOT_FOUND,
  method_not_allowed: METHOD_NOT_ALLOWED,
  internal_error: INTERNAL_ERROR,
} as const satisfies Record<string, CatalogueEntry>;

export const PROBLEMS = { ...REPORT_PROBLEMS, ...UNAVAILABLE_PROBLEMS, ...REQUEST_PROBLEMS } as const;

export type ReportCode = keyof typeof REPORT_PROBLEMS;
export type UnavailableCode = keyof typeof UNAVAILABLE_PROBLEMS;
export type ProblemCode = keyof typeof PROBLEMS;

export const REPORT_CODES = Object.keys(REPORT_PROBLEMS) as ReportCode[];
export const UNAVAILABLE_CODES = Object.keys(UNAVAILABLE_PROBLEMS) as UnavailableCode[];
export const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[];

/** A Problem of the catalogue; `detail` says what was found and what to do about it. */
export function problem(
  code: ProblemCode,
  detail: string,
  more: Omit<ProblemDetails, "detail"> = {},
): Problem {
  const { status, title } = PROBLEMS[code];
  return new Problem({ code, status, title }, { ...more, detail });
}
