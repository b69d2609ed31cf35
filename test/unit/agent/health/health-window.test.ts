// Time slots: how long they are by their age, with the edges, and which windows have matured.
import { describe, expect, it } from "vitest";
import {
  COARSE_SLOT_MINUTES,
  FINE_FOR_MINUTES,
  FINE_SLOT_MINUTES,
  MIDDLE_FOR_MINUTES,
  MIDDLE_SLOT_MINUTES,
  NO_DEVICE_HOURS,
  WINDOW_RETENTION_DAYS,
  horizonsAt,
  maturedWindows,
  slotOf,
} from "../../../../agent/health/health-window.ts";
import type { HealthWindow } from "../../../../agent/health/health-window.ts";
import { outcomeCounts } from "../../../support/verdicts.ts";

const DAY = 24 * 60;
/** A whole number of hours after the epoch. */
const NOW = 25_000_020;

it("is a minute for 2 hours, 5 minutes for 48 hours, and an hour for 90 days", () => {
  expect([FINE_SLOT_MINUTES, MIDDLE_SLOT_MINUTES, COARSE_SLOT_MINUTES]).toEqual([1, 5, 60]);
  expect([FINE_FOR_MINUTES, MIDDLE_FOR_MINUTES]).toEqual([120, 2_880]);
  expect(WINDOW_RETENTION_DAYS).toBe(90);
  expect(NOW % 60).toBe(0);
});

describe("horizonsAt", () => {
  it("resolutions change at full hours, so that no slot lies across: they move once an hour", () => {
    const horizons = { middle: NOW - 120, coarse: NOW - 2_880, drop: NOW - 90 * DAY };
    expect(horizonsAt(NOW)).toEqual(horizons);
    expect(horizonsAt(NOW + 59)).toEqual(horizons);
    expect(horizonsAt(NOW + 60)).toEqual({
      middle: NOW - 60,
      coarse: NOW - 2_820,
      drop: NOW - 90 * DAY + 60,
    });
  });

  it("everything is as fine as it is before the first roll-up", () => {
    expect(horizonsAt(0)).toEqual({ middle: 0, coarse: 0, drop: 0 });
    expect(horizonsAt(119)).toEqual({ middle: 0, coarse: 0, drop: 0 });
    expect(slotOf(1, horizonsAt(0))).toEqual({ slotMinute: 1, slotMinutes: 1 });
  });
});

describe("slotOf", () => {
  const slotAt = (minute: number) => slotOf(minute, horizonsAt(NOW));

  it.each([
    ["the newest, and what is ahead", NOW + 5, { slotMinute: NOW + 5, slotMinutes: 1 }],
    ["exactly 2 hours ago", NOW - 120, { slotMinute: NOW - 120, slotMinutes: 1 }],
    ["a minute more", NOW - 121, { slotMinute: NOW - 125, slotMinutes: 5 }],
    ["exactly 48 hours ago", NOW - 2_880, { slotMinute: NOW - 2_880, slotMinutes: 5 }],
    ["a minute more", NOW - 2_881, { slotMinute: NOW - 2_940, slotMinutes: 60 }],
    ["exactly 90 days ago", NOW - 90 * DAY, { slotMinute: NOW - 90 * DAY, slotMinutes: 60 }],
    ["a minute more", NOW - 90 * DAY - 1, undefined],
  ])("%s", (_what, minute, slot) => {
    expect(slotAt(minute)).toEqual(slot);
  });

  it("every minute belongs to the slot that begins at or before it", () => {
    const minutes = [0, 1, 4, 5, 9, 10];
    const middle = minutes.map((minute) => slotAt(NOW - 600 + minute)!.slotMinute - NOW + 600);
    expect(middle).toEqual([0, 0, 0, 5, 5, 5 + 5]);
    const coarse = [0, 1, 59, 60].map((minute) => slotAt(NOW - 6_000 + minute)!.slotMinute - NOW + 6_000);
    expect(coarse).toEqual([0, 0, 0, 60]);
  });
});

describe("maturedWindows", () => {
  const window = (slotMinute: number, slotMinutes: number): HealthWindow => ({
    slotMinute,
    slotMinutes,
    stratum: "unknown",
    devices: outcomeCounts({ attempted: 1 }),
    hours: NO_DEVICE_HOURS,
    answered: [],
  });
  const deadlineMs = 6 * 3_600_000;

  it("are those whose last device has had the whole deadline to answer, to the millisecond", () => {
    const windows = [window(NOW, 1), window(NOW, 5), window(NOW, 60)];
    const endsAtMs = (minutes: number) => (NOW + minutes) * 60_000 + deadlineMs;
    const matured = (nowMs: number) =>
      maturedWindows(windows, { nowMs, deadlineMs }).map(({ slotMinutes }) => slotMinutes);
    expect(matured(endsAtMs(1) - 1)).toEqual([]);
    expect(matured(endsAtMs(1))).toEqual([1]);
    expect(matured(endsAtMs(5) - 1)).toEqual([1]);
    expect(matured(endsAtMs(5))).toEqual([1, 5]);
    expect(matured(endsAtMs(60) - 1)).toEqual([1, 5]);
    expect(matured(endsAtMs(60))).toEqual([1, 5, 60]);
  });

  it("keeps their order, and leaves what is given as it is", () => {
    const windows = [window(NOW - 5, 5), window(NOW + 1_000, 1), window(NOW - 120, 60)];
    const matured = maturedWindows(windows, { nowMs: NOW * 60_000, deadlineMs: 0 });
    expect(matured).toEqual([windows[0], windows[2]]);
    expect(windows.length).toBe(3);
    expect(maturedWindows([], { nowMs: 0, deadlineMs: 0 })).toEqual([]);
  });
});
