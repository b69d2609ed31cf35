// The next entries of a shard's stream as a batch of reports. Enters: the stream behind the cursor. Leaves:
// reports with the names of their devices, and what can't be decoded as dead letters.
import { decodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport, ReportEntry } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import type { Redis } from "../../runtime/redis.ts";
import { payloadOfEntry } from "../intake/dead-letter.ts";
import { nameDevice } from "./device-table.ts";
import type { FoldableReport } from "./fold.ts";

/** Reports folded in one commit at most, beyond the last entry's own (an entry is never split). */
export const BATCH_REPORTS_MAX = 5_000;

export interface DeadLetter {
  readonly reason: string;
  readonly payload: string;
}

/** What stands behind the cursor. */
export interface ReportBatch {
  /** Id of the last entry of the batch: where the cursor goes. */
  readonly nextCursor: string;
  readonly reports: readonly FoldableReport[];
  readonly deadLetters: readonly DeadLetter[];
  /** Whether more entries may wait behind this batch. */
  readonly hasMore: boolean;
}

export interface BatchReader {
  /** Undefined when nothing waits. */
  read(cursor: string): Promise<ReportBatch | undefined>;
}

export function createBatchReader({ redis, shard }: { redis: Redis; shard: number }): BatchReader {
  let entriesPerRead = 64;
  return {
    async read(cursor) {
      const rows = await redis.xrange(reportStream(shard), `(${cursor}`, "+", "COUNT", entriesPerRead);
      if (rows.length === 0) return undefined;
      const { batch, entries, undecodable } = decodeRows(cursor, rows, entriesPerRead);
      entriesPerRead = nextReadSize(entries, batch.reports.length);
      const letters = undecodable.map((entry) => letterOf(redis, shard, entry));
      return { ...batch, deadLetters: await Promise.all(letters) };
    },
  };
}

/** Aims at BATCH_REPORTS_MAX reports a read, from what the last batch held; entries carry 1 to 1,000 reports. */
function nextReadSize(entries: number, reports: number): number {
  const reportsPerEntry = Math.max(1, reports / entries);
  return Math.max(8, Math.min(2_000, Math.ceil(BATCH_REPORTS_MAX / reportsPerEntry)));
}

interface UndecodableEntry {
  readonly id: string;
  readonly fields: readonly string[];
  readonly reason: string;
}

/** What is no text was mangled as it was read: it is read once more, as bytes, so that it can go back as it was. */
async function letterOf(
  redis: Redis,
  shard: number,
  { id, fields, reason }: UndecodableEntry,
): Promise<DeadLetter> {
  if (!fields.some((field) => field.includes("\uFFFD")))
    return { reason, payload: JSON.stringify({ id, fields }) };
  const [row] = await redis.xrangeBuffer(reportStream(shard), id, id);
  // Gone already: another agent has folded it, and this batch will not be committed.
  return { reason, payload: row === undefined ? "" : payloadOfEntry(id, row[1]) };
}

/** `entries`: how many of the rows are in the batch; the others were read for nothing. */
function decodeRows(
  cursor: string,
  rows: readonly [id: string, fields: string[]][],
  asked: number,
): {
  readonly batch: Omit<ReportBatch, "deadLetters">;
  readonly entries: number;
  readonly undecodable: readonly UndecodableEntry[];
} {
  const reports: FoldableReport[] = [];
  const undecodable: UndecodableEntry[] = [];
  let nextCursor = cursor;
  let taken = 0;
  for (const [id, fields] of rows) {
    if (reports.length >= BATCH_REPORTS_MAX) break;
    taken += 1;
    nextCursor = id;
    const decoded = decodeReportEntry(fields);
    if (decoded.kind === "decoded") appendReports(reports, decoded.entry);
    else undecodable.push({ id, fields, reason: decoded.reason });
  }
  const hasMore = taken < rows.length || rows.length === asked;
  return { batch: { nextCursor, reports, hasMore }, entries: taken, undecodable };
}

function appendReports(reports: FoldableReport[], entry: ReportEntry): void {
  for (const report of entry.reports) reports.push(toFoldable(report, entry.receivedAtMs));
}

export function toFoldable(report: AcceptedReport, receivedAtMs: number): FoldableReport {
  const { bucket, field } = nameDevice(report.app, report.device);
  return { report, receivedAtMs, bucket, field };
}
