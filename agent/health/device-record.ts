// What one report makes of a device's record of a release: pure transitions, each of them a union, a
// minimum or a maximum, so that the end does not depend on the order or the repetition of reports.
import { REPORT_AGE_MS_MAX, REPORT_AHEAD_MS_MAX } from "../../ingest/contract/device-report.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { REASONS_PER_RECORD_MAX } from "./counting-rules.ts";
import { DAY_MAX, MINUTE_MAX, NO_RECORD, SECOND_MAX } from "./device-state.ts";
import type { Heard, ReleaseRecord, Running } from "./device-state.ts";
import { withHour } from "./hour-set.ts";
import type { HourUse } from "./hour-set.ts";
import { flagOf, isAnnounced, isAttempt, isFailure, isRunning } from "./outcomes.ts";

/** Whether the left of two numbers of a table has the smaller text. Numbers depend on who came first, texts do not. */
export type IsBefore = (left: number, right: number) => boolean;

/** A report with the shard's numbers for its texts. */
export interface NumberedReport {
  readonly report: AcceptedReport;
  readonly receivedAtMs: number;
  readonly release: number;
  /** The device's stratum with what the report tells added; 0 = nothing told. */
  readonly stratum: number;
  /** 0 = no reason of failure. */
  readonly reason: number;
}

export function applyReport(
  before: ReleaseRecord | undefined,
  numbered: NumberedReport,
  isReasonBefore: IsBefore,
): ReleaseRecord {
  const record = before ?? NO_RECORD;
  const { report, receivedAtMs, stratum, reason } = numbered;
  const flag = flagOf(report.event);
  const flags = record.flags | flag;
  const minute = minuteOf(timeOf(report, receivedAtMs));
  const use = useIn(numbered);
  const failureMinute = isFailure(flag)
    ? earliest(record.failureMinute, minuteOf(receivedAtMs))
    : record.failureMinute;
  return {
    flags,
    attemptMinute: isAttempt(flag) ? earliest(record.attemptMinute, minute) : record.attemptMinute,
    answerMinute: isAnnounced(flag) ? record.answerMinute : earliest(record.answerMinute, minute),
    failureMinute: isAnnounced(flags) ? 0 : failureMinute,
    stratum,
    hours: use === undefined ? record.hours : withHour(record.hours, use.hour, use.kind),
    firstCrashHour:
      use?.kind === "crashed" ? earliest(record.firstCrashHour, use.hour) : record.firstCrashHour,
    firstNotRespondingHour:
      use?.kind === "notResponding"
        ? earliest(record.firstNotRespondingHour, use.hour)
        : record.firstNotRespondingHour,
    reasons: reason === 0 ? record.reasons : withReason(record.reasons, reason, isReasonBefore),
  };
}

/** 0 stands for "none". */
function earliest(known: number, told: number): number {
  return known === 0 ? told : Math.min(known, told);
}

/** Within what a state can hold, whatever another writer put into the stream. */
export function minuteOf(ms: number): number {
  return Math.min(MINUTE_MAX, Math.max(1, Math.floor(ms / 60_000)));
}

/** From 1 on, and within what a state can hold. */
export function dayOf(ms: number): number {
  return Math.min(DAY_MAX, Math.max(1, Math.floor(minuteOf(ms) / (24 * 60))));
}

/** The hour of use that a report tells, and what of it. */
interface ToldUse {
  readonly hour: number;
  readonly kind: HourUse;
}

/**
 * A report whose time was clamped tells no hour: a replay of it would be clamped to another one, and count
 * twice.
 */
function useIn({ report, receivedAtMs }: NumberedReport): ToldUse | undefined {
  const { event } = report;
  if (!isRunning(flagOf(event)) || isClamped(report, receivedAtMs)) return undefined;
  const kind = event === "crashed" ? "crashed" : event === "not_responding" ? "notResponding" : "active";
  return { hour: hourOf(report.atMs), kind };
}

/** From 1 on: 0 stands for "no hours". */
function hourOf(ms: number): number {
  return Math.max(1, Math.floor(minuteOf(ms) / 60));
}

/**
 * When it happened. A clamped time does not say so: then it is when the report came in, or devices with bad
 * clocks would stand in windows of a week ago.
 */
function timeOf(report: AcceptedReport, receivedAtMs: number): number {
  return isClamped(report, receivedAtMs) ? receivedAtMs : report.atMs;
}

function isClamped({ atMs }: AcceptedReport, receivedAtMs: number): boolean {
  return atMs <= receivedAtMs - REPORT_AGE_MS_MAX || atMs >= receivedAtMs + REPORT_AHEAD_MS_MAX;
}

function withReason(reasons: readonly number[], reason: number, isBefore: IsBefore): readonly number[] {
  if (reasons.includes(reason)) return reasons;
  const ordered = [...reasons, reason].toSorted((left, right) => (isBefore(left, right) ? -1 : 1));
  return ordered.slice(0, REASONS_PER_RECORD_MAX);
}

export function isSameRecord(left: ReleaseRecord, right: ReleaseRecord): boolean {
  return (
    left.flags === right.flags &&
    left.attemptMinute === right.attemptMinute &&
    left.answerMinute === right.answerMinute &&
    left.failureMinute === right.failureMinute &&
    left.stratum === right.stratum &&
    left.hours === right.hours &&
    left.firstCrashHour === right.firstCrashHour &&
    left.firstNotRespondingHour === right.firstNotRespondingHour &&
    isSameList(left.reasons, right.reasons)
  );
}

function isSameList(left: readonly number[], right: readonly number[]): boolean {
  return (
    left === right || (left.length === right.length && left.every((each, index) => each === right[index]))
  );
}

/** What a report says of when the device was heard. */
export function heardIn({ report, receivedAtMs, release }: NumberedReport): Heard {
  const atMs = timeOf(report, receivedAtMs);
  const atSecond = Math.min(SECOND_MAX, Math.max(1, Math.floor(atMs / 1_000)));
  const isPending = isAnnounced(flagOf(report.event));
  return { atSecond, release, isPending, receivedMinute: isPending ? minuteOf(receivedAtMs) : 0 };
}

/**
 * The newest of what was heard. In the same second a word that answers wins over one that leaves an answer
 * owing (a device that says "installed" and "confirmed" at once is not silent), and then the release whose
 * text comes last, so that order does not matter.
 */
export function newerHeard(before: Heard | undefined, heard: Heard, isReleaseBefore: IsBefore): Heard {
  if (before === undefined || heard.atSecond > before.atSecond) return heard;
  if (heard.atSecond < before.atSecond) return before;
  if (heard.isPending !== before.isPending) return heard.isPending ? before : heard;
  if (heard.release !== before.release)
    return isReleaseBefore(before.release, heard.release) ? heard : before;
  return heard.receivedMinute < before.receivedMinute ? heard : before;
}

export function newerRunning(
  before: Running | undefined,
  { atSecond, release }: Heard,
  isReleaseBefore: IsBefore,
): Running {
  if (before === undefined || atSecond > before.atSecond) return { atSecond, release };
  if (atSecond < before.atSecond || release === before.release) return before;
  return isReleaseBefore(before.release, release) ? { atSecond, release } : before;
}
