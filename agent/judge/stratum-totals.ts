// Totals of a release by stratum, of the counts that its rules look at, and when each kind of device first took it up.
// Enters: a history. Leaves: whole numbers. Days that have not changed are not added up again.
import type { HealthWindow } from "../health/health-window.ts";
import type { DeviceHours } from "../health/health-window.ts";
import type { HistoryDay, HistoryHour, ReleaseHistory } from "../health/release-history.ts";
import { toOutcomeCounts } from "../health/outcomes.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import { memoBySources, memoFold } from "./memo.ts";

/** What is added up; the other counts of a stratum are 0 here. */
const OUTCOMES_ADDED = [
  "attempted",
  "announced",
  "confirmed",
  "recovered",
  "failed",
  "download_failed",
  "silent",
  "failed_unannounced",
  "download_failed_unannounced",
] as const;
const HOURS_ADDED = ["active", "crashed", "notResponding", "firstCrashed", "firstNotResponding"] as const;

export interface StratumTotals {
  readonly devices: OutcomeCounts;
  readonly hours: DeviceHours;
  /** First minute of the earliest slot in which such a device stands. */
  readonly sinceMinute: number;
}

interface Sums {
  readonly counts: number[];
  sinceMinute: number;
}

/** By stratum text. */
export function totalsByStratum(history: ReleaseHistory): Map<string, StratumTotals> {
  const sums = sumDays(history.days, undefined);
  return new Map(
    [...sums].map(([stratum, { counts, sinceMinute }]) => [stratum, toTotals(counts, sinceMinute)]),
  );
}

type GrowingTotals = Map<string, Sums>;
const NO_QUESTION = (): string => "";
const copyTotals = (sums: GrowingTotals): GrowingTotals =>
  new Map(
    [...sums].map(([stratum, { counts, sinceMinute }]) => [stratum, { counts: [...counts], sinceMinute }]),
  );

const sumsOfHour = memoBySources(({ windows }: HistoryHour): GrowingTotals => {
  const sums: GrowingTotals = new Map();
  for (const window of windows)
    add(sums, window.stratum, { counts: countsOfWindow(window), sinceMinute: window.slotMinute });
  return sums;
});

const sumHours = memoFold({
  keyOf: NO_QUESTION,
  zero: (): GrowingTotals => new Map(),
  copy: copyTotals,
  add: (sums, hour: HistoryHour) => addAll(sums, sumsOfHour(hour, [])),
});

const sumsOfDay = memoBySources((day: HistoryDay): GrowingTotals => sumHours(day.hours, undefined));

const sumDays = memoFold({
  keyOf: NO_QUESTION,
  zero: (): GrowingTotals => new Map(),
  copy: copyTotals,
  add: (sums, day: HistoryDay) => addAll(sums, sumsOfDay(day, [])),
});

function countsOfWindow({ devices, hours }: HealthWindow): number[] {
  return [
    ...OUTCOMES_ADDED.map((outcome) => devices[outcome]),
    ...HOURS_ADDED.map((name) => told(hours, name)),
  ];
}

/** A first failure counts with its hour: it moves with a device that tells later what it is, hours of long ago don't. */
function told(hours: DeviceHours, name: (typeof HOURS_ADDED)[number]): number {
  if (name === "firstCrashed") return Math.min(hours.firstCrashed, Math.max(0, hours.crashed));
  if (name === "firstNotResponding")
    return Math.min(hours.firstNotResponding, Math.max(0, hours.notResponding));
  return hours[name];
}

function addAll(sums: Map<string, Sums>, more: ReadonlyMap<string, Sums>): void {
  for (const [stratum, each] of more) add(sums, stratum, each);
}

function add(sums: Map<string, Sums>, stratum: string, { counts, sinceMinute }: Sums): void {
  const known = sums.get(stratum);
  if (known === undefined) {
    sums.set(stratum, { counts: [...counts], sinceMinute });
    return;
  }
  for (let index = 0; index < counts.length; index += 1) known.counts[index]! += counts[index]!;
  known.sinceMinute = Math.min(known.sinceMinute, sinceMinute);
}

const NO_OUTCOMES = toOutcomeCounts([]);

function toTotals(counts: readonly number[], sinceMinute: number): StratumTotals {
  const devices: { -readonly [Outcome in keyof OutcomeCounts]: number } = { ...NO_OUTCOMES };
  for (let index = 0; index < OUTCOMES_ADDED.length; index += 1)
    devices[OUTCOMES_ADDED[index]!] = counts[index]!;
  const [active, crashed, notResponding, firstCrashed, firstNotResponding] = counts.slice(
    OUTCOMES_ADDED.length,
  ) as [number, number, number, number, number];
  return {
    devices,
    hours: { active, crashed, notResponding, firstCrashed, firstNotResponding },
    sinceMinute,
  };
}

/** Adds up strata. */
export function sumTotals(totals: Iterable<StratumTotals>): StratumTotals {
  const sums: Sums = {
    counts: [...OUTCOMES_ADDED, ...HOURS_ADDED].map(() => 0),
    sinceMinute: Number.POSITIVE_INFINITY,
  };
  for (const { devices, hours, sinceMinute } of totals) {
    const counts = [
      ...OUTCOMES_ADDED.map((outcome) => devices[outcome]),
      ...HOURS_ADDED.map((name) => hours[name]),
    ];
    for (let index = 0; index < counts.length; index += 1) sums.counts[index]! += counts[index]!;
    sums.sinceMinute = Math.min(sums.sinceMinute, sinceMinute);
  }
  return toTotals(sums.counts, sums.sinceMinute);
}
