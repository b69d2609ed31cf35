// The outcomes that are counted per device and version, and how reports make them. Each event sets one
// flag of the device for ever, so the state is a set union: order and repetition of reports change
// nothing. Enters: events. Leaves: flags (a bit mask) and, from flags, the counters a device stands in.
import { EVENTS } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";

/** Bit mask over EVENTS: bit i = event i was reported at least once. Fits 16 bits. */
export type OutcomeFlags = number;

export function flagOf(event: DeviceEvent): OutcomeFlags {
  return 1 << EVENTS.indexOf(event);
}

/** Events that prove that the device tried to take the version up. Use and crashes alone do not. */
const ATTEMPT_FLAGS =
  flagOf("update_started") |
  flagOf("download_failed") |
  flagOf("installed") |
  flagOf("install_failed") |
  flagOf("confirmed") |
  flagOf("reverted");
/** Events that announce an attempt before it has ended well or badly. */
const ANNOUNCED_FLAGS = flagOf("update_started") | flagOf("installed");
const FAILED_FLAGS = flagOf("install_failed") | flagOf("reverted");

/**
 * Counters of a release: one per event, and those that follow from them; `announced` = the device said that it
 * began, `…_unannounced` = it failed without ever having said so. The order is the stored order: append only.
 */
export const OUTCOMES = [
  ...EVENTS,
  "attempted",
  "failed",
  "recovered",
  "announced",
  "failed_unannounced",
  "download_failed_unannounced",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** One integer per outcome, in the order of OUTCOMES. */
export type OutcomeCounts = Readonly<Record<Outcome, number>>;

export function isAttempt(flags: OutcomeFlags): boolean {
  return (flags & ATTEMPT_FLAGS) !== 0;
}

function isFailed(flags: OutcomeFlags): boolean {
  return (flags & FAILED_FLAGS) !== 0;
}

/** 1 for each outcome that a device with these flags stands in, else 0; in the order of OUTCOMES. */
export function outcomesOf(flags: OutcomeFlags): readonly number[] {
  const counts: number[] = EVENTS.map((_, bit) => (flags >> bit) & 1);
  const failed = isFailed(flags);
  const confirmed = (flags & flagOf("confirmed")) !== 0;
  counts.push(Number(isAttempt(flags)), Number(failed), Number(failed && confirmed));
  const announced = (flags & ANNOUNCED_FLAGS) !== 0;
  const downloadFailed = (flags & flagOf("download_failed")) !== 0;
  counts.push(Number(announced), Number(failed && !announced), Number(downloadFailed && !announced));
  return counts;
}

export const NO_OUTCOMES: readonly number[] = OUTCOMES.map(() => 0);

export function toOutcomeCounts(counts: readonly number[]): OutcomeCounts {
  return Object.fromEntries(OUTCOMES.map((outcome, index) => [outcome, counts[index] ?? 0])) as Record<
    Outcome,
    number
  >;
}
