// One poll of one OTA server: page after page into the streams, each page before the cursor moves past it, so that
// nothing is left out whatever dies when; what is read twice counts once. Enters: the source, its record, a way to
// keep reports. Leaves: the record to go on from, and what the poll came to.
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import { REPORT_AGE_MS_MAX, deviceReportSchema } from "../../ingest/contract/device-report.ts";
import type { AppId } from "../../ingest/contract/release-key.ts";
import type { PollRecord } from "./poll-store.ts";
import type { StatusPoller } from "./status-poller.ts";

/** Pages of one job: a long history is read in several, so that a stop waits for no more than these. */
export const PAGES_PER_POLL_MAX = 50;
/** First and longest pause after a poll that failed, in milliseconds. */
export const POLL_PAUSE_MS_MIN = 2_000;
export const POLL_PAUSE_MS_MAX = 5 * 60_000;
/** While the last poll that reached the end is longer ago than this, nobody can be called silent: at least this, in milliseconds. */
export const POLL_GAP_MS_LEAST = 60_000;
/** What was told longer ago can't be told any more when it is read, in milliseconds: a day less than a report may be old. */
export const POLL_LOST_MS = REPORT_AGE_MS_MAX - 24 * 3_600_000;
/** Or so many times the interval. */
const POLL_GAP_INTERVALS = 3;

export interface PolledSource {
  readonly app: AppId;
  /** Names the server too: another server's cursor is worth nothing. */
  readonly id: string;
  readonly poller: StatusPoller;
  readonly everyMs: number;
}

export interface PollDeps {
  /** Resolves when the streams hold them; else why not. */
  readonly keep: (reports: readonly DeviceReport[]) => Promise<{ readonly kind: string }>;
  /** Called after each page: what is written is what a crash goes on from. */
  readonly write: (record: PollRecord) => Promise<void>;
  readonly isStopping: () => boolean;
  readonly clock: () => number;
}

export const POLL_RESULTS = ["complete", "more", "stopped", "refused", "unavailable", "not_kept"] as const;
export type PollResult = (typeof POLL_RESULTS)[number];

export interface PollOutcome {
  readonly result: PollResult;
  readonly kept: number;
  /** Reports that no route of ingest would take either. */
  readonly invalid: number;
  readonly detail: string;
}

export function isDue(record: PollRecord, everyMs: number, nowMs: number): boolean {
  // A time that is too far off was written by a clock that has been set back since.
  return nowMs >= record.nextMs || record.nextMs - nowMs > Math.max(POLL_PAUSE_MS_MAX, everyMs);
}

export async function pollSource(
  { poller, everyMs }: PolledSource,
  before: PollRecord,
  deps: PollDeps,
): Promise<PollOutcome> {
  const { keep, write, isStopping, clock } = deps;
  let record = before;
  let kept = 0;
  let invalid = 0;
  for (let page = 0; page < PAGES_PER_POLL_MAX && !isStopping(); page += 1) {
    // Before it is asked: what happens while the server answers may not be in the answer.
    const askedAtMs = clock();
    const answer = await poller.poll(record.cursor ?? undefined);
    if (answer.kind !== "page") {
      await write(afterFailure(record, answer, clock()));
      return { result: answer.kind, kept, invalid, detail: answer.detail };
    }
    const good = answer.reports.filter((report) => deviceReportSchema.safeParse(report).success);
    const outcome = good.length === 0 ? { kind: "written" } : await keep(good);
    if (outcome.kind !== "written") {
      const detail = `the reports could not be kept: ${outcome.kind}`;
      await write(afterFailure(record, { detail }, clock()));
      return { result: "not_kept", kept, invalid, detail };
    }
    if (answer.more && answer.cursor === record.cursor) {
      const detail =
        "there is said to be more, but the next page is this one again: a proxy may drop queries";
      await write(afterFailure(record, { detail }, clock()));
      return { result: "unavailable", kept, invalid, detail };
    }
    kept += good.length;
    invalid += answer.reports.length - good.length;
    record = afterPage(record, answer, { askedAtMs, everyMs });
    await write(record);
    if (!answer.more) return { result: "complete", kept, invalid, detail: "" };
  }
  return { result: isStopping() ? "stopped" : "more", kept, invalid, detail: "" };
}

function afterPage(
  record: PollRecord,
  { cursor, more }: { readonly cursor: string; readonly more: boolean },
  { askedAtMs, everyMs }: { readonly askedAtMs: number; readonly everyMs: number },
): PollRecord {
  if (more) return { ...record, cursor, failures: 0, failing: null, nextMs: 0 };
  // What was told while nobody could read is read afterwards, so a gap loses nothing; but for what was too old by then.
  const goesOn =
    record.sinceMs !== null &&
    record.completeMs !== null &&
    Math.abs(askedAtMs - record.completeMs) <= POLL_LOST_MS;
  return {
    cursor,
    sinceMs: goesOn ? record.sinceMs : askedAtMs,
    completeMs: askedAtMs,
    // Half of it: another agent's wake-up soon after this one asks nothing, the next of this one does.
    nextMs: askedAtMs + everyMs / 2,
    failures: 0,
    failing: null,
  };
}

function afterFailure(
  record: PollRecord,
  { detail, retryAfterMs = 0 }: { readonly detail: string; readonly retryAfterMs?: number },
  nowMs: number,
): PollRecord {
  const failures = record.failures + 1;
  const backoffMs = POLL_PAUSE_MS_MIN * 2 ** Math.min(failures - 1, 10);
  return {
    ...record,
    failures,
    failing: { sinceMs: record.failing?.sinceMs ?? nowMs, detail },
    nextMs: nowMs + Math.min(POLL_PAUSE_MS_MAX, Math.max(backoffMs, retryAfterMs)),
  };
}

export function gapMsOf(everyMs: number): number {
  return Math.max(POLL_GAP_MS_LEAST, POLL_GAP_INTERVALS * everyMs);
}

/**
 * Since when the app's devices could be heard, epoch milliseconds: a word that nobody has fetched is no silence. While
 * the server can't be read to its end, from now on at the earliest, so that no deadline passes meanwhile.
 */
export function polledFromMs({ sinceMs, completeMs }: PollRecord, everyMs: number, nowMs: number): number {
  if (sinceMs === null || completeMs === null) return nowMs;
  return Math.abs(nowMs - completeMs) <= gapMsOf(everyMs) ? sinceMs : nowMs;
}
