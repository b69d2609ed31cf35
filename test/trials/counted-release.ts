// Counts of a release as folding would have them, made directly from what devices did, for trials that are too many to
// fold: an announced attempt stands in its 5 minutes with its answer, use in its hour. Enters: what happened. Leaves: a
// history in which hours that have not changed are the same objects, and totals.
import { ANSWER_BINS, answerBinOf } from "../../agent/health/answer-bins.ts";
import type { DeviceHours, HealthWindow } from "../../agent/health/health-window.ts";
import { NO_DEVICE_HOURS } from "../../agent/health/health-window.ts";
import { toOutcomeCounts } from "../../agent/health/outcomes.ts";
import type { Outcome, OutcomeCounts } from "../../agent/health/outcomes.ts";
import { DAY_MINUTES, byTimeThenStratum } from "../../agent/health/release-history.ts";
import type { HistoryDay, HistoryHour, ReleaseHistory } from "../../agent/health/release-history.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";

const SLOT_MINUTES = 5;
const HOUR_MINUTES = 60;

type Counts<Name extends string> = Record<Name, number>;

interface Cell {
  readonly slotMinute: number;
  readonly stratum: string;
  readonly devices: Counts<Outcome>;
  readonly hours: Counts<keyof DeviceHours>;
  readonly answered: number[];
}

export interface CountedRelease {
  attempt(minute: number, stratum: string): void;
  answer(
    attempt: { readonly minute: number; readonly stratum: string },
    minute: number,
    how: "confirmed" | "failed",
  ): void;
  silent(attempt: { readonly minute: number; readonly stratum: string }): void;
  /** In the hour that begins at this minute. */
  use(hourMinute: number, stratum: string): void;
  crash(hourMinute: number, stratum: string, which: "first" | "again"): void;
  readonly devices: OutcomeCounts;
  history(): ReleaseHistory;
}

export function createCountedRelease(release: ReleaseKey): CountedRelease {
  const totals: Counts<Outcome> = { ...toOutcomeCounts([]) };
  const hours = new Map<number, Map<string, Cell>>();
  const made = new Map<number, HistoryHour>();
  let days: readonly HistoryDay[] = [];

  const cellAt = (minute: number, stratum: string): Cell => {
    const hourMinute = minute - (minute % HOUR_MINUTES);
    made.delete(hourMinute);
    let ofHour = hours.get(hourMinute);
    if (ofHour === undefined) hours.set(hourMinute, (ofHour = new Map()));
    const slotMinute = minute - (minute % SLOT_MINUTES);
    const name = `${slotMinute} ${stratum}`;
    let cell = ofHour.get(name);
    if (cell === undefined) ofHour.set(name, (cell = newCell(slotMinute, stratum)));
    return cell;
  };
  const count = (cell: Cell, ...outcomes: readonly Outcome[]): void => {
    for (const outcome of outcomes) {
      cell.devices[outcome] += 1;
      totals[outcome] += 1;
    }
  };
  return {
    devices: totals,
    attempt: (minute, stratum) => count(cellAt(minute, stratum), "update_started", "announced", "attempted"),
    answer(attempt, minute, how) {
      const cell = cellAt(attempt.minute, attempt.stratum);
      cell.answered[answerBinOf(minute - attempt.minute)]! += 1;
      if (how === "failed") count(cell, "install_failed", "failed", "failed_announced");
      else count(cell, "confirmed");
      if (how === "confirmed") totals.running += 1;
    },
    silent: (attempt) => count(cellAt(attempt.minute, attempt.stratum), "silent"),
    use(hourMinute, stratum) {
      cellAt(hourMinute, stratum).hours.active += 1;
      totals.active += 1;
    },
    crash(hourMinute, stratum, which) {
      const cell = cellAt(hourMinute, stratum);
      cell.hours.crashed += 1;
      if (which === "first") cell.hours.firstCrashed += 1;
    },
    history() {
      const changed = [...hours.keys()].filter((hourMinute) => !made.has(hourMinute));
      for (const hourMinute of changed) made.set(hourMinute, freeze(hourMinute, hours.get(hourMinute)!));
      if (changed.length > 0) days = withHours(days, [...made.values()], new Set(changed));
      return { release, days };
    },
  };
}

function newCell(slotMinute: number, stratum: string): Cell {
  return {
    slotMinute,
    stratum,
    devices: { ...toOutcomeCounts([]) },
    hours: { ...NO_DEVICE_HOURS },
    answered: Array.from({ length: ANSWER_BINS }, () => 0),
  };
}

function freeze(hourMinute: number, cells: ReadonlyMap<string, Cell>): HistoryHour {
  const windows = [...cells.values()].map(
    ({ slotMinute, stratum, devices, hours, answered }): HealthWindow => ({
      slotMinute,
      slotMinutes: SLOT_MINUTES,
      stratum,
      devices: { ...devices },
      hours: { ...hours },
      answered: [...answered],
    }),
  );
  return { hourMinute, windows: windows.toSorted(byTimeThenStratum) };
}

/** Days without a changed hour stay the same objects. */
function withHours(
  before: readonly HistoryDay[],
  hours: readonly HistoryHour[],
  changed: ReadonlySet<number>,
): HistoryDay[] {
  const changedDays = new Set([...changed].map((minute) => minute - (minute % DAY_MINUTES)));
  const kept = before.filter(({ dayMinute }) => !changedDays.has(dayMinute));
  const fresh = [...changedDays].map((dayMinute): HistoryDay => ({
    dayMinute,
    hours: hours
      .filter(({ hourMinute }) => hourMinute - (hourMinute % DAY_MINUTES) === dayMinute)
      .toSorted((left, right) => left.hourMinute - right.hourMinute),
  }));
  return [...kept, ...fresh].toSorted((left, right) => left.dayMinute - right.dayMinute);
}
