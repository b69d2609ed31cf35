// Histories of windows: by day and hour, 1-minute slots summed into 5, all of an hour as long as its coarsest.
import { describe, expect, it } from "vitest";
import { ANSWER_BINS } from "../../../../agent/health/answer-bins.ts";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import type { HealthWindow } from "../../../../agent/health/health-window.ts";
import { historyOf } from "../../../../agent/health/release-history.ts";
import { outcomeCounts, releaseOf } from "../../../support/verdicts.ts";

const NOON = Date.UTC(2026, 0, 31, 12) / 60_000;

function windowAt(
  slotMinute: number,
  slotMinutes: number,
  attempted: number,
  stratum = "unknown",
): HealthWindow {
  return {
    slotMinute,
    slotMinutes,
    stratum,
    devices: outcomeCounts({ attempted }),
    hours: { ...NO_DEVICE_HOURS, active: attempted },
    answered: Array.from({ length: ANSWER_BINS }, (_, bin) => (bin === 3 ? attempted : 0)),
  };
}

function slotsOf(...windows: readonly HealthWindow[]): string[] {
  return historyOf(releaseOf("1.4.0"), windows).days.flatMap(({ dayMinute, hours }) =>
    hours.flatMap((hour) =>
      hour.windows.map(
        ({ slotMinute, slotMinutes, stratum, devices, hours: { active }, answered }) =>
          `${(dayMinute - NOON) / 60} ${(hour.hourMinute - NOON) / 60} ${slotMinute - NOON}/${slotMinutes} ${stratum} ${devices.attempted} ${active} ${answered[3]}`,
      ),
    ),
  );
}

describe("historyOf", () => {
  it("sums minutes into 5, by stratum, in order", () => {
    expect(
      slotsOf(
        windowAt(NOON + 4, 1, 2, "b"),
        windowAt(NOON, 1, 1, "b"),
        windowAt(NOON + 5, 1, 4, "a"),
        windowAt(NOON + 3, 1, 8, "a"),
      ),
    ).toEqual(["-12 0 0/5 a 8 8 8", "-12 0 0/5 b 3 3 3", "-12 0 5/5 a 4 4 4"]);
  });

  it("makes an hour of all slots once one of them is an hour", () => {
    expect(slotsOf(windowAt(NOON, 60, 1), windowAt(NOON + 7, 1, 2), windowAt(NOON + 60, 5, 4))).toEqual([
      "-12 0 0/60 unknown 3 3 3",
      "-12 1 60/5 unknown 4 4 4",
    ]);
  });

  it("leaves out days and hours without windows", () => {
    expect(slotsOf(windowAt(NOON + 12 * 60, 5, 1), windowAt(NOON - 24 * 60, 5, 2))).toEqual([
      "-36 -24 -1440/5 unknown 2 2 2",
      "12 12 720/5 unknown 1 1 1",
    ]);
    expect(slotsOf()).toEqual([]);
  });
});
