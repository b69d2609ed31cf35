// What Redis holds, in the form of the naive model, so that the two can be compared. Enters: the store.
// Leaves: counts by release; nothing is left out (but the deadline that silence was counted with, which
// depends on who looked when) or tidied up on the way. And two ways to make counts coarser
// on both sides, for comparing what is exact only together.
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import type { HealthStore } from "../../agent/health/health-store.ts";
import type { HealthWindow } from "../../agent/health/health-window.ts";
import { historyOf } from "../../agent/health/release-history.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { NaiveDeviceView, ReleaseCounts, Tally } from "./naive-counts.ts";

export async function readCounts(health: HealthStore): Promise<Record<string, ReleaseCounts>> {
  const releases = await health.listReleases();
  return Object.fromEntries(
    await Promise.all(
      releases.map(async (release) => [formatReleaseKey(release), await readOne(health, release)] as const),
    ),
  );
}

async function readOne(health: HealthStore, release: ReleaseKey): Promise<ReleaseCounts> {
  const [{ release: _release, silenceDeadlineMs: _deadline, ...totals }, { strata, reasons }, contacts] =
    await Promise.all([
      health.readRelease(release),
      health.readDetail(release),
      health.readFirstContacts(release),
    ]);
  const windows = await readStillWindows(health, release);
  return {
    ...totals,
    strata: Object.fromEntries(strata),
    reasons: Object.fromEntries(reasons),
    windows: Object.fromEntries(
      windows.map(({ slotMinute, slotMinutes, stratum, ...counts }) => [
        `${slotMinute}/${slotMinutes} ${stratum}`,
        counts,
      ]),
    ),
    contacts: Object.fromEntries(
      [...contacts].flatMap(([stratum, days]) =>
        [...days].map(([day, counts]) => [`${day} ${stratum}`, counts] as const),
      ),
    ),
  };
}

/**
 * All windows; what is read by what changed must be what stands there, whatever was remembered. An agent may be rolling
 * up meanwhile: the two are compared when nothing has moved between two looks.
 */
async function readStillWindows(health: HealthStore, release: ReleaseKey): Promise<HealthWindow[]> {
  let windows = await health.readWindows(release);
  for (;;) {
    const history = await health.readHistory(release);
    const again = await health.readWindows(release);
    if (isDeepStrictEqual(again, windows)) {
      expect(history).toEqual(historyOf(release, windows));
      return windows;
    }
    windows = again;
  }
}

export async function readDeviceView(
  health: HealthStore,
  app: string,
  device: string,
): Promise<NaiveDeviceView | undefined> {
  const view = await health.readDevice(app, device);
  if (view === undefined) return undefined;
  const { lastSeenAtMs, running, releases } = view;
  return {
    lastSeenAtMs,
    running: running === undefined ? undefined : formatReleaseKey(running),
    releases: Object.fromEntries(releases),
  };
}

/** Only windows from `sinceMinute` on, which is the first of an hour; each hour's and stratum's added up. */
export function inHours(
  counts: Record<string, ReleaseCounts>,
  sinceMinute: number,
): Record<string, ReleaseCounts> {
  return mapReleases(counts, (release) => ({
    ...release,
    windows: sumsOf(
      Object.entries(release.windows)
        .map(([name, window]) => ({ ...splitName(name), window }))
        .filter(({ minute }) => minute >= sinceMinute)
        .map(({ minute, stratum, window }) => [`${minute - (minute % 60)}/60 ${stratum}`, window] as const),
    ),
  }));
}

/**
 * Device-hours of all strata together, as of a stratum `all`. A device whose stratum changes takes with it
 * the hours of the last 7 days, and leaves older ones where they were counted. Its first crash goes with it
 * always, and stays told apart here.
 */
export function withHoursOfAllStrata(counts: Record<string, ReleaseCounts>): Record<string, ReleaseCounts> {
  return mapReleases(counts, (release) => ({
    ...release,
    strata: hoursApart(release.strata, () => "all"),
    windows: hoursApart(release.windows, (name) => `${name.slice(0, name.indexOf(" "))} all`),
  }));
}

/** All strata together, as a stratum `all`: which of them are told apart depends on the order of reports past a cap. */
export function withoutStrata(counts: Record<string, ReleaseCounts>): Record<string, ReleaseCounts> {
  return mapReleases(counts, (release) => ({
    ...release,
    strata: sumsOf(Object.values(release.strata).map((tally) => ["all", tally] as const)),
    windows: sumsOf(
      Object.entries(release.windows).map(
        ([name, window]) => [`${name.slice(0, name.indexOf(" "))} all`, window] as const,
      ),
    ),
    contacts: sumsOf(
      Object.entries(release.contacts).map(
        ([name, counts]) => [`${name.slice(0, name.indexOf(" "))} all`, counts] as const,
      ),
    ),
  }));
}

function mapReleases(
  counts: Record<string, ReleaseCounts>,
  change: (release: ReleaseCounts) => ReleaseCounts,
): Record<string, ReleaseCounts> {
  return Object.fromEntries(Object.entries(counts).map(([name, release]) => [name, change(release)]));
}

function splitName(window: string): { minute: number; stratum: string } {
  return { minute: Number.parseInt(window, 10), stratum: window.slice(window.indexOf(" ") + 1) };
}

function hoursApart<T extends Tally>(
  tallies: Readonly<Record<string, T>>,
  nameOfHours: (name: string) => string,
): Record<string, T> {
  const apart = Object.entries(tallies).flatMap(([name, tally]): [string, T][] => {
    const nothing = combine(tally, tally, (left, right) => left - right);
    const { firstCrashed, firstNotResponding, ...slidingHours } = tally.hours;
    return [
      [name, { ...tally, hours: { ...nothing.hours, firstCrashed, firstNotResponding } }],
      [nameOfHours(name), { ...nothing, hours: { ...nothing.hours, ...slidingHours } }],
    ];
  });
  const isSomething = ([, tally]: [string, T]): boolean => /[1-9]/.test(JSON.stringify(tally));
  return Object.fromEntries(Object.entries(sumsOf(apart)).filter(isSomething));
}

function sumsOf<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  const sums = new Map<string, T>();
  for (const [name, tally] of entries) {
    const sum = sums.get(name);
    sums.set(name, sum === undefined ? tally : combine(sum, tally, (left, right) => left + right));
  }
  return Object.fromEntries(sums);
}

/** Two values of one form, number by number. */
function combine<T>(left: T, right: T, operation: (left: number, right: number) => number): T {
  if (typeof left === "number") return operation(left, right as number) as T;
  const combined = Object.entries(left as Record<string, unknown>).map(
    ([name, each]) => [name, combine(each, (right as Record<string, unknown>)[name], operation)] as const,
  );
  return (Array.isArray(left) ? combined.map(([, each]) => each) : Object.fromEntries(combined)) as T;
}
