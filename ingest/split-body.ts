// Splits a body into the reports it carries. Enters: inflated bytes and their form. Leaves: one value (a
// single report, which answers for itself), or a batch whose items are values or lines that are not JSON,
// or the Problem of a body that is no list of reports at all. Nothing is validated here.
import { isUtf8 } from "node:buffer";
import { REPORTS_PER_REQUEST_MAX } from "./contract/device-report.ts";
import { readJson } from "../runtime/json.ts";
import type { ReadJson } from "../runtime/json.ts";
import { problem } from "./problems.ts";
import type { ReadBody } from "./middleware/read-body.ts";
import type { Problem } from "../runtime/problem.ts";

export type BodyItem = ReadJson;

export type SplitBody =
  | { readonly kind: "single"; readonly item: BodyItem }
  | { readonly kind: "batch"; readonly items: readonly BodyItem[] }
  | { readonly kind: "refused"; readonly problem: Problem };

export function splitBody({ form, bytes }: Pick<ReadBody, "form" | "bytes">): SplitBody {
  if (form === "ndjson") return batchOf(linesOf(bytes), parseBytes);
  const item = parseBytes(bytes);
  if (item.kind === "malformed" || !Array.isArray(item.value)) return { kind: "single", item };
  return batchOf(item.value, (value: unknown) => ({ kind: "value", value }));
}

function batchOf<T>(parts: readonly T[], toItem: (part: T) => BodyItem): SplitBody {
  if (parts.length === 0)
    return { kind: "refused", problem: problem("empty_batch", "Send at least one report.") };
  if (parts.length > REPORTS_PER_REQUEST_MAX) return { kind: "refused", problem: tooManyReports() };
  return { kind: "batch", items: parts.map(toItem) };
}

function tooManyReports(): Problem {
  return problem(
    "too_many_reports",
    `A request may carry ${REPORTS_PER_REQUEST_MAX} reports; none of these was kept. Split them over several requests.`,
  );
}

const NEWLINE = 0x0a;

/** The lines that hold something; stops one line past the limit, which is enough to refuse the request. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  while (start < bytes.length && lines.length <= REPORTS_PER_REQUEST_MAX) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(start, end);
    if (!isBlank(line)) lines.push(line);
    start = end + 1;
  }
  return lines;
}

/** Only spaces, tabs and carriage returns. */
function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

const BYTE_ORDER_MARK = "\uFEFF";

function parseBytes(bytes: Buffer): BodyItem {
  if (!isUtf8(bytes)) return { kind: "malformed", detail: "The text is not UTF-8." };
  const text = bytes.toString("utf8");
  return readJson(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);
}
