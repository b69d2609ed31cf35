// The history of a release: all its windows, by day and hour, as objects that stay the same until a count of theirs
// changes, so that whatever is worked out of an hour has to be worked out once. Pure.
// Enters: windows, in any order, split over shards or not. Leaves: their sums, in order.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { COARSE_SLOT_MINUTES, MIDDLE_SLOT_MINUTES, startOf } from "./health-window.ts";
import type { HealthWindow, StratumHealth } from "./health-window.ts";

export const DAY_MINUTES = 24 * 60;

/** Counts of one release in one hour. Immutable: replaced whole when any count changes, the same object until then. */
export interface HistoryHour {
  /** First minute since the epoch; a multiple of 60. */
  readonly hourMinute: number;
  /**
   * By time, then by stratum text. All of one length: 5 minutes (1-minute slots are summed up), or 60 once any slot of
   * the hour is stored as an hour.
   */
  readonly windows: readonly HealthWindow[];
}

export interface HistoryDay {
  /** First minute since the epoch; a multiple of 1,440. */
  readonly dayMinute: number;
  /** By time; hours without windows are left out. Immutable like its hours. */
  readonly hours: readonly HistoryHour[];
}

export interface ReleaseHistory {
  readonly release: ReleaseKey;
  /** By time; days without windows are left out. */
  readonly days: readonly HistoryDay[];
}

/** Sums windows of the same slot and stratum. */
export function historyOf(release: ReleaseKey, windows: readonly HealthWindow[]): ReleaseHistory {
  const hours = groupBy(windows, ({ slotMinute }) => startOf(slotMinute, COARSE_SLOT_MINUTES));
  return { release, days: daysOf([...hours].map(([hourMinute, ofHour]) => historyHour(hourMinute, ofHour))) };
}

/** `windows` = all of the hour. */
export function historyHour(hourMinute: number, windows: readonly HealthWindow[]): HistoryHour {
  const longest = Math.max(...windows.map(({ slotMinutes }) => slotMinutes));
  const slotMinutes = longest >= COARSE_SLOT_MINUTES ? COARSE_SLOT_MINUTES : MIDDLE_SLOT_MINUTES;
  const cells = groupBy(
    windows,
    ({ slotMinute, stratum }) => `${startOf(slotMinute, slotMinutes)} ${stratum}`,
  );
  const summed = [...cells.values()].map((ofCell): HealthWindow => {
    const sum = ofCell.reduce(addWindows);
    return { ...sum, slotMinute: startOf(sum.slotMinute, slotMinutes), slotMinutes };
  });
  return { hourMinute, windows: summed.toSorted(byTimeThenStratum) };
}

export function daysOf(hours: readonly HistoryHour[]): HistoryDay[] {
  const inOrder = hours.toSorted((left, right) => left.hourMinute - right.hourMinute);
  const days = groupBy(inOrder, ({ hourMinute }) => startOf(hourMinute, DAY_MINUTES));
  return [...days].map(([dayMinute, ofDay]) => ({ dayMinute, hours: ofDay }));
}

/** Counts of one side in a slot. */
export type SlotCounts = StratumHealth & { readonly answered: readonly number[] };

export function addSlotCounts(left: SlotCounts, right: SlotCounts): SlotCounts {
  return {
    devices: addEach(left.devices, right.devices),
    hours: addEach(left.hours, right.hours),
    answered: left.answered.map((count, bin) => count + (right.answered[bin] ?? 0)),
  };
}

function addWindows(left: HealthWindow, right: HealthWindow): HealthWindow {
  return { ...left, ...addSlotCounts(left, right) };
}

function addEach<Counts extends { readonly [Name in keyof Counts]: number }>(
  left: Counts,
  right: Counts,
): Counts {
  const sums: Record<string, number> = { ...left };
  for (const [name, count] of Object.entries<number>(right)) sums[name] = (sums[name] ?? 0) + count;
  return sums as unknown as Counts;
}

export function groupBy<Each, Key>(all: readonly Each[], keyOf: (each: Each) => Key): Map<Key, Each[]> {
  const groups = new Map<Key, Each[]>();
  for (const each of all) {
    const key = keyOf(each);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [each]);
    else group.push(each);
  }
  return groups;
}

interface Placed {
  readonly slotMinute: number;
  readonly stratum: string;
}

/** Strata by their text, so that the order does not depend on who reported first. */
export function byTimeThenStratum(left: Placed, right: Placed): number {
  if (left.slotMinute !== right.slotMinute) return left.slotMinute - right.slotMinute;
  return left.stratum < right.stratum ? -1 : left.stratum > right.stratum ? 1 : 0;
}
