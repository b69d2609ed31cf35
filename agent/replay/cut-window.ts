// What of a window was known at an earlier time. A window is a cohort: a device stands in the slot in which it began,
// with all that it said about the release, also what it said later. A replay must not know that before it was said.
// Pure. Enters: a stored window and a minute. Leaves: the window as it would have been then, as far as counts can tell.
//
// Known to the slot: who began, and the failures of those who never said so. Known to the bin of their age: that a
// device had answered. Which answers were failures is not kept; failures answer first, so they are taken first.
import { ANSWER_BIN_MINUTES, ANSWER_BINS } from "../health/answer-bins.ts";
import { COARSE_SLOT_MINUTES, NO_DEVICE_HOURS, startOf } from "../health/health-window.ts";
import type { HealthWindow } from "../health/health-window.ts";
import { toOutcomeCounts } from "../health/outcomes.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";

const NO_OUTCOMES = toOutcomeCounts([]);
const NO_ANSWERS: readonly number[] = ANSWER_BIN_MINUTES.map(() => 0);

/** Answers of longer spans of age are taken to come at their end, in minutes. */
const SPREAD_MINUTES_MAX = 60;

/**
 * How many of a bin's answers were in so many minutes after the slot began: spread over the minutes of the bin. Counted
 * from the beginning of the slot, so that what is told is not later than a window's length.
 */
function answersBy(count: number, bin: number, elapsed: number): number {
  const begin = ANSWER_BIN_MINUTES[bin]!;
  if (bin + 1 >= ANSWER_BINS) return elapsed > begin ? count : 0;
  const minutes = ANSWER_BIN_MINUTES[bin + 1]! - begin;
  if (elapsed >= begin + minutes) return count;
  if (elapsed <= begin || minutes > SPREAD_MINUTES_MAX) return 0;
  return Math.round((count * (elapsed - begin)) / minutes);
}

/** Minutes after the slot began at which that changes. */
function answerMinutes(count: number, bin: number): number[] {
  const begin = ANSWER_BIN_MINUTES[bin]!;
  if (bin + 1 >= ANSWER_BINS) return [begin + 1];
  const minutes = ANSWER_BIN_MINUTES[bin + 1]! - begin;
  if (minutes > SPREAD_MINUTES_MAX) return [begin + minutes];
  return Array.from({ length: minutes }, (_, minute) => begin + minute + 1).filter(
    (elapsed) => answersBy(count, bin, elapsed) !== answersBy(count, bin, elapsed - 1),
  );
}

/** Undefined for a window that nothing was known of. `silenceMinutes`: after how many a device counts as silent. */
export function cutWindow(
  window: HealthWindow,
  minute: number,
  silenceMinutes: number,
): HealthWindow | undefined {
  const age = ageOf(window, minute);
  const isUsed = minute >= hourEndOf(window);
  if (age < 0 && !isUsed) return undefined;
  const hours = isUsed ? window.hours : NO_DEVICE_HOURS;
  if (age < 0) return { ...window, devices: NO_OUTCOMES, hours, answered: NO_ANSWERS };
  const answered = window.answered.map((count, bin) => answersBy(count, bin, minute - window.slotMinute));
  return { ...window, devices: cutDevices(window, { age, answered, silenceMinutes }), hours, answered };
}

interface Known {
  /** Minutes since the slot ended. */
  readonly age: number;
  readonly answered: readonly number[];
  readonly silenceMinutes: number;
}

function cutDevices({ devices, answered: all }: HealthWindow, known: Known): OutcomeCounts {
  const answers = sum(known.answered);
  const silent = silentAt(devices, known);
  if (answers === sum(all)) return { ...devices, silent };
  const failed = Math.min(devices.failed, answers);
  const recovered = Math.min(devices.recovered, failed);
  const confirmed = Math.min(devices.confirmed, answers - failed + recovered);
  // Those who never said that they began stand where they were heard to have failed.
  const announcedAlready = Math.min(devices.failed_announced, failed);
  return { ...devices, failed, recovered, confirmed, failed_announced: announcedAlready, silent };
}

/** Those who came back were silent until they answered. */
function silentAt(
  { silent, returned_late: returned }: OutcomeCounts,
  { age, answered, silenceMinutes }: Known,
): number {
  if (age < silenceMinutes) return 0;
  const lateAnswers = answered.reduce(
    (total, count, bin) => (ANSWER_BIN_MINUTES[bin]! >= silenceMinutes ? total + count : total),
    0,
  );
  return silent + Math.max(0, returned - lateAnswers);
}

/** The minutes at which the cut of this window changes, in no order. */
export function changesOf(window: HealthWindow, silenceMinutes: number): number[] {
  const end = window.slotMinute + window.slotMinutes;
  const changes = [end, hourEndOf(window)];
  window.answered.forEach((count, bin) => {
    if (count !== 0)
      changes.push(...answerMinutes(count, bin).map((elapsed) => Math.max(end, window.slotMinute + elapsed)));
  });
  if (window.devices.silent + window.devices.returned_late > 0) changes.push(end + silenceMinutes);
  return changes;
}

function ageOf({ slotMinute, slotMinutes }: HealthWindow, minute: number): number {
  return minute - slotMinute - slotMinutes;
}

function hourEndOf({ slotMinute }: HealthWindow): number {
  return startOf(slotMinute, COARSE_SLOT_MINUTES) + COARSE_SLOT_MINUTES;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
