// Which outcomes a device stands in, for every set of events that it can ever have reported.
import { describe, expect, it } from "vitest";
import {
  NO_OUTCOMES,
  OUTCOMES,
  flagOf,
  isAttempt,
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

function flagsOf(events: Iterable<DeviceEvent>): number {
  let flags = 0;
  for (const event of events) flags |= flagOf(event);
  return flags;
}

it("has a flag of its own for each event, and 16 bits are enough", () => {
  expect(new Set(EVENTS.map(flagOf)).size).toBe(EVENTS.length);
  expect(flagsOf(EVENTS)).toBeLessThan(2 ** 16);
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
      expect(isAttempt(flagsOf(events))).toBe(counts.attempted === 1);
    }
  });
});

it("no outcome is zero of everything", () => {
  expect(NO_OUTCOMES).toEqual(outcomesOf(0));
  expect(Object.values(toOutcomeCounts([]))).toEqual(OUTCOMES.map(() => 0));
});
