// The times at which a replay looks: where stored windows end, as fine as they still are. Pure. Enters: slots and a
// period. Leaves: minutes, in order, and how fine they are when.
import {
  COARSE_SLOT_MINUTES,
  FINE_SLOT_MINUTES,
  MIDDLE_SLOT_MINUTES,
  horizonsAt,
  slotOf,
  startOf,
} from "../health/health-window.ts";
import type { Slot } from "../health/health-window.ts";

/** Times that a channel is looked at, at most: 90 days of hours, with two of them by 5 minutes and two hours by the minute. */
export const REPLAY_STEPS_MAX = 3_000;

/** Windows that end so many minutes apart; the last of the span is looked at in any case. */
export interface StepSpan {
  readonly sinceMinute: number;
  readonly untilMinute: number;
  readonly minutes: number;
}

export interface ReplaySteps {
  /** Minutes since the epoch, each once. */
  readonly minutes: readonly number[];
  /** By time, without gaps. */
  readonly spans: readonly StepSpan[];
}

export interface StepsInput {
  /** The slots that there are, in any order. */
  readonly slots: readonly Slot[];
  readonly sinceMinute: number;
  readonly untilMinute: number;
  readonly stepsMax?: number;
}

/** The first is the beginning of the period, the last its end. Coarser than the windows only where they would be too many. */
export function replaySteps({
  slots,
  sinceMinute,
  untilMinute,
  stepsMax = REPLAY_STEPS_MAX,
}: StepsInput): ReplaySteps {
  const finest = finestByHour(slots);
  for (const least of [FINE_SLOT_MINUTES, MIDDLE_SLOT_MINUTES, COARSE_SLOT_MINUTES]) {
    const spans = spansOf({ finest, least, sinceMinute, untilMinute });
    if (countSteps(spans) <= stepsMax || least === COARSE_SLOT_MINUTES)
      return { minutes: minutesOf(spans, { sinceMinute, untilMinute }).slice(-stepsMax), spans };
  }
  throw new Error("unreachable: the coarsest steps are always taken");
}

function finestByHour(slots: readonly Slot[]): ReadonlyMap<number, number> {
  const finest = new Map<number, number>();
  for (const { slotMinute, slotMinutes } of slots) {
    const hour = startOf(slotMinute, COARSE_SLOT_MINUTES);
    finest.set(hour, Math.min(finest.get(hour) ?? COARSE_SLOT_MINUTES, slotMinutes));
  }
  return finest;
}

interface SpansInput {
  readonly finest: ReadonlyMap<number, number>;
  readonly least: number;
  readonly sinceMinute: number;
  readonly untilMinute: number;
}

/** Hours in which nobody began or was used only let time go by: they are as fine as their age would have windows. */
function spansOf({ finest, least, sinceMinute, untilMinute }: SpansInput): StepSpan[] {
  const horizons = horizonsAt(untilMinute);
  const spans: StepSpan[] = [];
  for (
    let hour = startOf(sinceMinute, COARSE_SLOT_MINUTES);
    hour < untilMinute;
    hour += COARSE_SLOT_MINUTES
  ) {
    const byAge = slotOf(hour, horizons)?.slotMinutes ?? COARSE_SLOT_MINUTES;
    const minutes = Math.max(least, finest.get(hour) ?? byAge);
    const last = spans.at(-1);
    const end = Math.min(untilMinute, hour + COARSE_SLOT_MINUTES);
    if (last?.minutes === minutes) spans[spans.length - 1] = { ...last, untilMinute: end };
    else spans.push({ sinceMinute: Math.max(sinceMinute, hour), untilMinute: end, minutes });
  }
  return spans;
}

function countSteps(spans: readonly StepSpan[]): number {
  return spans.reduce(
    (total, { sinceMinute, untilMinute, minutes }) =>
      total + Math.ceil((untilMinute - sinceMinute) / minutes),
    2,
  );
}

function minutesOf(
  spans: readonly StepSpan[],
  { sinceMinute, untilMinute }: Pick<SpansInput, "sinceMinute" | "untilMinute">,
): number[] {
  const steps = new Set([sinceMinute]);
  for (const span of spans) {
    const first = startOf(span.sinceMinute, span.minutes) + span.minutes;
    for (let minute = first; minute <= span.untilMinute; minute += span.minutes) steps.add(minute);
  }
  steps.add(untilMinute);
  return [...steps];
}
