// The outcomes that are counted per device and version, and how reports make them. Each event sets one
// flag of the device for ever, so the state is a set union: order and repetition of reports change
// nothing. Enters: events. Leaves: flags (a bit mask) and, from flags, the counters a device stands in.
import { EVENTS } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";

/** Bit mask: bit i (of EVENTS) = event i was reported at least once; then SILENT and RETURNED_LATE. */
export type OutcomeFlags = number;

export function flagOf(event: DeviceEvent): OutcomeFlags {
  return 1 << EVENTS.indexOf(event);
}

/** Started or installed the version, and not a word since for longer than the deadline. */
export const SILENT: OutcomeFlags = 1 << EVENTS.length;
/** Was silent, and came back. */
export const RETURNED_LATE: OutcomeFlags = 1 << (EVENTS.length + 1);
/** Bits that flags take up. */
export const FLAG_BITS = EVENTS.length + 2;

/** Events that announce an attempt before it has ended: after them a device owes a word. */
const ANNOUNCED_FLAGS = flagOf("update_started") | flagOf("installed");
const FAILED_FLAGS = flagOf("install_failed") | flagOf("reverted");
const FAILURE_FLAGS = FAILED_FLAGS | flagOf("download_failed");
/** Events that prove that the device tried to take the version up. Use and crashes alone do not. */
const ATTEMPT_FLAGS = ANNOUNCED_FLAGS | FAILURE_FLAGS | flagOf("confirmed");
/** Events that prove that the device runs the version. */
const RUNNING_FLAGS = flagOf("confirmed") | flagOf("active") | flagOf("crashed") | flagOf("not_responding");

/**
 * Counters of a release, in devices: one per event, and those that follow from them. `announced` = the device
 * said that it began, `…_unannounced` = it failed without ever having said so, `…_announced` = it failed and has;
 * `running` = the newest word of the device about what it runs names this version. The order is the stored order: append only.
 */
export const OUTCOMES = [
  ...EVENTS,
  "attempted",
  "failed",
  "recovered",
  "announced",
  "failed_unannounced",
  "download_failed_unannounced",
  "silent",
  "returned_late",
  "running",
  "failed_announced",
  "download_failed_announced",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** One integer per outcome, in the order of OUTCOMES. */
export type OutcomeCounts = Readonly<Record<Outcome, number>>;

export function isAttempt(flags: OutcomeFlags): boolean {
  return (flags & ATTEMPT_FLAGS) !== 0;
}

export function isAnnounced(flags: OutcomeFlags): boolean {
  return (flags & ANNOUNCED_FLAGS) !== 0;
}

/** Whether a download, an installation or a boot failed. */
export function isFailure(flags: OutcomeFlags): boolean {
  return (flags & FAILURE_FLAGS) !== 0;
}

export function isRunning(flags: OutcomeFlags): boolean {
  return (flags & RUNNING_FLAGS) !== 0;
}

/** Whether it is known how the attempt ended; a failed download is tried again, and ends nothing. */
export function isResolved(flags: OutcomeFlags): boolean {
  return (flags & (FAILED_FLAGS | RUNNING_FLAGS)) !== 0;
}

const byFlags = new Map<OutcomeFlags, readonly number[]>();

/** 1 for each outcome that a device with these flags stands in, else 0; in the order of OUTCOMES. */
export function outcomesOf(flags: OutcomeFlags): readonly number[] {
  let counts = byFlags.get(flags);
  // At most 2^FLAG_BITS lists: every report asks for two of them.
  if (counts === undefined) byFlags.set(flags, (counts = countFlags(flags)));
  return counts;
}

function countFlags(flags: OutcomeFlags): readonly number[] {
  const failed = (flags & FAILED_FLAGS) !== 0;
  const has = (flag: OutcomeFlags): boolean => (flags & flag) !== 0;
  const announced = isAnnounced(flags);
  const counts: boolean[] = EVENTS.map((event) => has(flagOf(event)));
  counts.push(isAttempt(flags), failed, failed && has(flagOf("confirmed")));
  const downloadFailed = has(flagOf("download_failed"));
  counts.push(announced, failed && !announced, downloadFailed && !announced);
  // Running does not follow from flags: a device runs one version at a time (release-delta.ts).
  counts.push(has(SILENT), has(RETURNED_LATE), false);
  counts.push(failed && announced, downloadFailed && announced);
  return counts.map(Number);
}

export function toOutcomeCounts(counts: readonly number[]): OutcomeCounts {
  return Object.fromEntries(OUTCOMES.map((outcome, index) => [outcome, counts[index] ?? 0])) as Record<
    Outcome,
    number
  >;
}
