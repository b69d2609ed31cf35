// A Comparison puts a release beside its baseline: what both did in the same time slot, with the same kind of device.
// Enters: the release's history, and those of the versions it is compared with. Leaves: cells, by day and hour.
// Pure. What is made of objects that have not changed is the same object again, so that whatever is worked out of a
// day or an hour has to be worked out once (memo.ts).
import { addSlotCounts, byTimeThenStratum } from "../health/release-history.ts";
import type { HistoryDay, HistoryHour, ReleaseHistory, SlotCounts } from "../health/release-history.ts";
import { memoBySources } from "./memo.ts";

export interface ComparedCell {
  readonly slotMinute: number;
  readonly slotMinutes: number;
  /** Text of the stratum. */
  readonly stratum: string;
  readonly candidate: SlotCounts;
  readonly baseline: SlotCounts;
}

export interface ComparedHour {
  readonly hourMinute: number;
  /** By time, then by stratum; only those in which both sides stand. */
  readonly cells: readonly ComparedCell[];
}

export interface ComparedDay {
  readonly dayMinute: number;
  readonly hours: readonly ComparedHour[];
}

/** By time. */
export type Comparison = readonly ComparedDay[];

/** Days in which only one side stands are left out. */
export function compareHistories(
  candidate: ReleaseHistory,
  baselines: readonly ReleaseHistory[],
): Comparison {
  const compared: ComparedDay[] = [];
  for (const day of candidate.days) {
    const others = baselines.flatMap(({ days }) =>
      days.filter(({ dayMinute }) => dayMinute === day.dayMinute),
    );
    if (others.length > 0) compared.push(compareDays(day, others));
  }
  return compared;
}

const compareDays = memoBySources((day: HistoryDay, others: readonly HistoryDay[]): ComparedDay => {
  const beside = new Map<number, HistoryHour[]>();
  for (const hour of others.flatMap(({ hours }) => hours)) {
    const known = beside.get(hour.hourMinute);
    if (known === undefined) beside.set(hour.hourMinute, [hour]);
    else known.push(hour);
  }
  const hours = day.hours.flatMap((hour) => {
    const baselines = beside.get(hour.hourMinute);
    return baselines === undefined ? [] : [compareHours(hour, baselines)];
  });
  return { dayMinute: day.dayMinute, hours };
});

const compareHours = memoBySources((hour: HistoryHour, others: readonly HistoryHour[]): ComparedHour => {
  const slotMinutes = Math.max(...[hour, ...others].map(({ windows }) => windows[0]?.slotMinutes ?? 0));
  const candidates = inSlots([hour], slotMinutes);
  const baselines = inSlots(others, slotMinutes);
  const cells: ComparedCell[] = [];
  for (let [left, right] = [0, 0]; left < candidates.length && right < baselines.length;) {
    const [candidate, baseline] = [candidates[left]!, baselines[right]!];
    const order = byTimeThenStratum(candidate, baseline);
    if (order === 0) {
      const { slotMinute, stratum } = candidate;
      cells.push({ slotMinute, slotMinutes, stratum, candidate, baseline });
    }
    if (order <= 0) left += 1;
    if (order >= 0) right += 1;
  }
  return { hourMinute: hour.hourMinute, cells };
});

type Placed = SlotCounts & { readonly slotMinute: number; readonly stratum: string };

/** What all of them hold, in slots of this length; by time, then by stratum, each once. */
function inSlots(hours: readonly HistoryHour[], slotMinutes: number): readonly Placed[] {
  const [first, ...others] = hours;
  if (others.length === 0 && (first!.windows[0]?.slotMinutes ?? slotMinutes) === slotMinutes)
    return first!.windows;
  const sums = new Map<string, Placed>();
  for (const window of hours.flatMap(({ windows }) => windows)) {
    const { stratum } = window;
    const slotMinute = window.slotMinute - (window.slotMinute % slotMinutes);
    const slot = `${slotMinute} ${stratum}`;
    const known = sums.get(slot);
    const { devices, hours, answered } = known === undefined ? window : addSlotCounts(known, window);
    sums.set(slot, { slotMinute, stratum, devices, hours, answered });
  }
  return [...sums.values()].toSorted(byTimeThenStratum);
}
