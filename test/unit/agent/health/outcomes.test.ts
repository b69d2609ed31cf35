// Which outcomes a device stands in, for every set of events that it can ever have reported.
import { describe, expect, it } from "vitest";
import {
  FLAG_BITS,
  OUTCOMES,
  RETURNED_LATE,
  SILENT,
  flagOf,
  isAnnounced,
  isAttempt,
  isFailure,
  isResolved,
  isRunning,
  outcomesOf,
  toOutcomeCounts,
} from "../../../../agent/health/outcomes.ts";
import { EVENTS } from "../../../../ingest/contract/device-report.ts";
import type { DeviceEvent } from "../../../../ingest/contract/device-report.ts";

const ATTEMPTS: readonly DeviceEvent[] = [
  "update_started",
  "download_failed",
  "installed",
  "install_failed",
  "confirmed",
  "reverted",
];
const RUNNING: readonly DeviceEvent[] = ["confirmed", "active", "crashed", "not_responding"];

function flagsOf(events: Iterable<DeviceEvent>): number {
  let flags = 0;
  for (const event of events) flags |= flagOf(event);
  return flags;
}

it("has a flag of its own for each event and for silence, and 11 bits are enough", () => {
  const flags = [...EVENTS.map(flagOf), SILENT, RETURNED_LATE];
  expect(new Set(flags).size).toBe(EVENTS.length + 2);
  expect(Math.max(...flags)).toBeLessThan(2 ** FLAG_BITS);
  // The other bits of a state's u16 say which parts a record has (device-state.ts).
  expect(FLAG_BITS).toBe(11);
});

it("keeps the stored order: renaming or moving an outcome would misread every count", () => {
  expect(OUTCOMES).toEqual([
    "update_started",
    "download_failed",
    "installed",
    "install_failed",
    "confirmed",
    "reverted",
    "crashed",
    "not_responding",
    "active",
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
  ]);
});

describe("all 512 sets of events", () => {
  const sets = Array.from(
    { length: 2 ** EVENTS.length },
    (_, mask) => new Set(EVENTS.filter((_event, bit) => (mask & (1 << bit)) !== 0)),
  );

  it("count as the rules say", () => {
    for (const events of sets) {
      const counts = toOutcomeCounts(outcomesOf(flagsOf(events)));
      for (const event of EVENTS) expect(counts[event]).toBe(events.has(event) ? 1 : 0);
      const failed = events.has("install_failed") || events.has("reverted");
      expect(counts.attempted).toBe(ATTEMPTS.some((event) => events.has(event)) ? 1 : 0);
      expect(counts.failed).toBe(failed ? 1 : 0);
      expect(counts.recovered).toBe(failed && events.has("confirmed") ? 1 : 0);
      const announced = events.has("update_started") || events.has("installed");
      expect(counts.announced).toBe(announced ? 1 : 0);
      expect(counts.failed_unannounced).toBe(failed && !announced ? 1 : 0);
      const unannouncedDownload = events.has("download_failed") && !announced;
      expect(counts.download_failed_unannounced).toBe(unannouncedDownload ? 1 : 0);
      expect(counts.failed_announced).toBe(counts.failed - counts.failed_unannounced);
      const announcedDownload = counts.download_failed - counts.download_failed_unannounced;
      expect(counts.download_failed_announced).toBe(announcedDownload);
      expect([counts.silent, counts.returned_late, counts.running]).toEqual([0, 0, 0]);
    }
  });

  it("are an attempt, announced, a failure, use, or resolved, or they are not", () => {
    for (const events of sets) {
      const flags = flagsOf(events);
      const counts = toOutcomeCounts(outcomesOf(flags));
      const runs = RUNNING.some((event) => events.has(event));
      expect(isAttempt(flags)).toBe(counts.attempted === 1);
      expect(isAnnounced(flags)).toBe(counts.announced === 1);
      expect(isFailure(flags)).toBe(counts.failed + counts.download_failed > 0);
      expect(isRunning(flags)).toBe(runs);
      expect(isResolved(flags)).toBe(runs || counts.failed === 1);
    }
  });

  it("silence and coming back late add themselves and change nothing else", () => {
    for (const events of sets) {
      const flags = flagsOf(events);
      const counts = toOutcomeCounts(outcomesOf(flags));
      expect(toOutcomeCounts(outcomesOf(flags | SILENT))).toEqual({ ...counts, silent: 1 });
      expect(toOutcomeCounts(outcomesOf(flags | RETURNED_LATE))).toEqual({ ...counts, returned_late: 1 });
      expect(isResolved(flags | SILENT | RETURNED_LATE)).toBe(isResolved(flags));
    }
  });
});

it("no outcome is zero of everything; counts of other indexes are left out", () => {
  expect(outcomesOf(0)).toEqual(OUTCOMES.map(() => 0));
  expect(toOutcomeCounts([])).toEqual(toOutcomeCounts(outcomesOf(0)));
  expect(Object.keys(toOutcomeCounts(Array.from({ length: 56 }, () => 1)))).toEqual([...OUTCOMES]);
});
