// The next entries of a shard's stream as a batch of reports. Enters: the stream behind the cursor. Leaves:
// reports with the names of their devices, and what can't be decoded as dead letters.
import { decodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport, ReportEntry } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { payloadOfEntry } from "../intake/dead-letter.ts";
import { nameDevice } from "./device-table.ts";
import type { FoldableReport } from "./fold.ts";
import { readAt } from "./revision.ts";
import type { ShardAt } from "./revision.ts";

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
}

/** Characters of entries that can't be decoded, in one commit: they go on to the dead letters, and no commit may be too large. */
export const UNDECODABLE_CHARS_MAX = 16 * 1024 ** 2;

/** Entries read at once: of the largest (1,000 reports each) some 40 MB. */
export const ENTRIES_PER_READ = 250;

/** The next entries behind the cursor; undefined when nothing waits. Throws when the revision has moved. */
export async function readReportBatch(at: ShardAt, cursor: string): Promise<ReportBatch | undefined> {
  const reports: FoldableReport[] = [];
  const undecodable: UndecodableEntry[] = [];
  let nextCursor = cursor;
  let mayBeMore = true;
  let undecodableChars = 0;
  const isFull = (): boolean =>
    reports.length >= BATCH_REPORTS_MAX || undecodableChars >= UNDECODABLE_CHARS_MAX;
  while (mayBeMore && !isFull()) {
    const rows = await readEntries(at, nextCursor);
    mayBeMore = rows.length === ENTRIES_PER_READ;
    for (const [id, fields] of rows) {
      if (isFull()) break;
      nextCursor = id;
      const decoded = decodeReportEntry(fields);
      if (decoded.kind === "decoded") appendReports(reports, decoded.entry);
      else {
        undecodable.push({ id, fields, reason: decoded.reason });
        undecodableChars += fields.reduce((sum, field) => sum + field.length, 0);
      }
    }
  }
  if (nextCursor === cursor) return undefined;
  const deadLetters = await Promise.all(undecodable.map((entry) => letterOf(at, entry)));
  return { nextCursor, reports, deadLetters };
}

type Row = [id: string, fields: string[]];

async function readEntries(at: ShardAt, cursor: string): Promise<readonly Row[]> {
  const [rows] = await readAt(at, (transaction) =>
    transaction.xrange(reportStream(at.shard), `(${cursor}`, "+", "COUNT", ENTRIES_PER_READ),
  );
  return rows as Row[];
}

interface UndecodableEntry {
  readonly id: string;
  readonly fields: readonly string[];
  readonly reason: string;
}

/** What is no text was mangled as it was read: it is read once more, as bytes, so that it can go back as it was. */
async function letterOf(at: ShardAt, { id, fields, reason }: UndecodableEntry): Promise<DeadLetter> {
  if (!fields.some((field) => field.includes("\uFFFD")))
    return { reason, payload: JSON.stringify({ id, fields }) };
  const [rows] = await readAt(at, (transaction) => transaction.xrangeBuffer(reportStream(at.shard), id, id));
  const [row] = rows as [id: Buffer, fields: Buffer[]][];
  return { reason, payload: payloadOfEntry(id, row![1]) };
}

function appendReports(reports: FoldableReport[], entry: ReportEntry): void {
  for (const report of entry.reports) reports.push(toFoldable(report, entry.receivedAtMs));
}

export function toFoldable(report: AcceptedReport, receivedAtMs: number): FoldableReport {
  const { bucket, field } = nameDevice(report.app, report.device);
  return { report, receivedAtMs, bucket, field };
}
