// The history of a release as it was at one time after another. Pure but for what it remembers: an hour whose cut has not
// changed is the same object as before, so that whatever the judge works out of an hour is worked out once.
// Enters: all windows of a release. Leaves: at a minute, its history and the counts that follow from it.
import { COARSE_SLOT_MINUTES, startOf } from "../health/health-window.ts";
import type { HealthWindow } from "../health/health-window.ts";
import { OUTCOMES, toOutcomeCounts } from "../health/outcomes.ts";
import type { Outcome, OutcomeCounts } from "../health/outcomes.ts";
import { DAY_MINUTES, groupBy, historyHour } from "../health/release-history.ts";
import type { HistoryDay, HistoryHour } from "../health/release-history.ts";
import { changesOf, cutWindow } from "./cut-window.ts";

/** What was known of a release at a time. The same object until something changes. */
export interface ReleaseCut {
  readonly days: readonly HistoryDay[];
  /** Sums of the windows: what carries no time (`running`, `active`) is not in it as it was. */
  readonly devices: OutcomeCounts;
  /** Whether an hour in which devices were used is over. */
  readonly isUsed: boolean;
  /** End of the newest window, in minutes since the epoch; 0 = there was none. */
  readonly lastMinute: number;
  /** As fine as they are stored, of the stored slots that end after the minute. */
  windowsSince(minute: number): HealthWindow[];
}

export interface HistoryCuts {
  /** Goes on to a minute, never back; one yield after each hour in which anything changed. Leaves: what was known then. */
  goTo(minute: number): Generator<void, ReleaseCut>;
}

interface CutHour {
  readonly hourMinute: number;
  readonly stored: readonly HealthWindow[];
  /** Undefined until the hour begins. */
  windows: readonly WindowOnItsWay[] | undefined;
  cut: readonly HealthWindow[];
  hour: HistoryHour | undefined;
  isUsed: boolean;
  lastMinute: number;
}

interface WindowOnItsWay {
  readonly window: HealthWindow;
  /** In order. */
  readonly changes: readonly number[];
  /** How many of the changes have come. */
  changed: number;
  cut: HealthWindow | undefined;
}

export function createHistoryCuts(windows: readonly HealthWindow[], silenceMinutes: number): HistoryCuts {
  const hours = [...groupBy(windows, ({ slotMinute }) => startOf(slotMinute, COARSE_SLOT_MINUTES))]
    .map(([hourMinute, stored]): CutHour => ({
      hourMinute,
      stored,
      windows: undefined,
      cut: [],
      hour: undefined,
      isUsed: false,
      lastMinute: 0,
    }))
    .toSorted((left, right) => left.hourMinute - right.hourMinute);
  let cut: ReleaseCut = cutOf([], []);
  return {
    *goTo(minute) {
      const begun = hours.filter(({ hourMinute }) => hourMinute < minute);
      let isChanged = false;
      for (const hour of begun) {
        if (!refresh(hour, minute, silenceMinutes)) continue;
        isChanged = true;
        yield;
      }
      if (isChanged) cut = cutOf(begun, cut.days);
      return cut;
    },
  };
}

/** Leaves: whether anything of it is another than before. */
function refresh(hour: CutHour, minute: number, silenceMinutes: number): boolean {
  hour.windows ??= hour.stored.map((window) => ({
    window,
    changes: changesOf(window, silenceMinutes).toSorted((left, right) => left - right),
    changed: 0,
    cut: undefined,
  }));
  let isChanged = false;
  for (const each of hour.windows) {
    const { changes, changed } = each;
    while (each.changed < changes.length && changes[each.changed]! <= minute) each.changed += 1;
    if (each.changed === changed) continue;
    each.cut = cutWindow(each.window, minute, silenceMinutes);
    isChanged = true;
  }
  if (!isChanged) return false;
  hour.cut = hour.windows.flatMap(({ cut }) => cut ?? []);
  hour.hour = hour.cut.length === 0 ? undefined : historyHour(hour.hourMinute, hour.cut);
  hour.isUsed = hour.cut.some(({ hours }) => hours.active > 0);
  hour.lastMinute = hour.cut.reduce(laterEnd, 0);
  return true;
}

function cutOf(begun: readonly CutHour[], before: readonly HistoryDay[]): ReleaseCut {
  const hours = begun.flatMap(({ hour }) => hour ?? []);
  return {
    days: daysLike(before, hours),
    devices: sumDevices(hours),
    isUsed: begun.some(({ isUsed }) => isUsed),
    lastMinute: begun.reduce((last, { lastMinute }) => Math.max(last, lastMinute), 0),
    windowsSince: (minute) =>
      begun
        .filter(({ lastMinute }) => lastMinute > minute)
        .flatMap((hour) =>
          hour.cut.filter(({ slotMinute, slotMinutes }) => slotMinute + slotMinutes > minute),
        ),
  };
}

function laterEnd(last: number, { slotMinute, slotMinutes }: HealthWindow): number {
  return Math.max(last, slotMinute + slotMinutes);
}

/** Days whose hours are what they were stay the same objects. */
function daysLike(before: readonly HistoryDay[], hours: readonly HistoryHour[]): HistoryDay[] {
  const known = new Map(before.map((day) => [day.dayMinute, day]));
  return [...groupBy(hours, ({ hourMinute }) => startOf(hourMinute, DAY_MINUTES))].map(
    ([dayMinute, ofDay]) => {
      const day = known.get(dayMinute);
      const isSame =
        day !== undefined &&
        day.hours.length === ofDay.length &&
        day.hours.every((hour, index) => hour === ofDay[index]);
      return isSame ? day : { dayMinute, hours: ofDay };
    },
  );
}

const sumsOfHours = new WeakMap<HistoryHour, OutcomeCounts>();

function sumDevices(hours: readonly HistoryHour[]): OutcomeCounts {
  return addUp(
    hours.map((hour) => {
      const known = sumsOfHours.get(hour);
      if (known !== undefined) return known;
      const sums = addUp(hour.windows.map(({ devices }) => devices));
      sumsOfHours.set(hour, sums);
      return sums;
    }),
  );
}

function addUp(counts: readonly OutcomeCounts[]): OutcomeCounts {
  const sums: Record<Outcome, number> = { ...toOutcomeCounts([]) };
  for (const each of counts) for (const outcome of OUTCOMES) sums[outcome] += each[outcome];
  return sums;
}
