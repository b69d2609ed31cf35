// The report schema and the clamp of its time, at their edges.
import { describe, expect, test } from "vitest";
import {
  CRASH_MESSAGE_CHARS_MAX,
  DEVICE_ID_CHARS_MAX,
  EVENTS,
  REPORT_AGE_MS_MAX,
  REPORT_AHEAD_MS_MAX,
  TEXT_CHARS_MAX,
  clampReportTime,
  deviceReportSchema,
} from "../../../../ingest/contract/device-report.ts";
import { sampleReport } from "../../../support/ingest-app.ts";

const RECEIVED_AT_MS = Date.UTC(2026, 0, 31, 12);

const isValid = (fields: Record<string, unknown>): boolean =>
  deviceReportSchema.safeParse(sampleReport(fields)).success;

const timeOf = (at: unknown): number | undefined => deviceReportSchema.parse(sampleReport({ at })).at;

describe("deviceReportSchema", () => {
  test("the events keep their order, because their place is their code in stored entries", () => {
    expect(EVENTS).toEqual([
      "update_started",
      "download_failed",
      "installed",
      "install_failed",
      "confirmed",
      "reverted",
      "crashed",
      "not_responding",
      "active",
    ]);
  });

  test.each(EVENTS)("takes %s", (event) => {
    expect(isValid({ event })).toBe(true);
  });

  test.each(["app", "channel", "device", "version", "event"])("needs %s", (field) => {
    expect(isValid({ [field]: undefined })).toBe(false);
  });

  test.each(["from", "id", "reason", "platform", "model", "os_version", "native_version", "crash", "at"])(
    "does not need %s",
    (field) => {
      expect(isValid({ [field]: undefined })).toBe(true);
    },
  );

  test("texts may be as long as their limit and not one more", () => {
    expect(isValid({ device: "d".repeat(DEVICE_ID_CHARS_MAX) })).toBe(true);
    expect(isValid({ device: "d".repeat(DEVICE_ID_CHARS_MAX + 1) })).toBe(false);
    expect(isValid({ reason: "r".repeat(TEXT_CHARS_MAX) })).toBe(true);
    expect(isValid({ reason: "r".repeat(TEXT_CHARS_MAX + 1) })).toBe(false);
  });

  test("a crash message that is too long is cut, never refused", () => {
    const crash = { message: "m".repeat(CRASH_MESSAGE_CHARS_MAX + 1) };
    expect(deviceReportSchema.parse(sampleReport({ crash })).crash?.message).toHaveLength(
      CRASH_MESSAGE_CHARS_MAX,
    );
  });

  test("a time is RFC 3339 or epoch milliseconds, and leaves as milliseconds", () => {
    expect(timeOf("2026-01-31T13:00:00.5+01:00")).toBe(RECEIVED_AT_MS + 500);
    expect(timeOf(RECEIVED_AT_MS + 0.9)).toBe(RECEIVED_AT_MS);
    expect(timeOf(8.64e15)).toBe(8.64e15);
    expect(isValid({ at: 8.64e15 + 2 })).toBe(false);
    expect(isValid({ at: "2026-01-31T12:00:00" })).toBe(false);
    expect(isValid({ at: "1769860800000" })).toBe(false);
  });
});

describe("clampReportTime", () => {
  const clamp = (at: number | undefined): ReturnType<typeof clampReportTime> =>
    clampReportTime(at, RECEIVED_AT_MS);
  const earliest = RECEIVED_AT_MS - REPORT_AGE_MS_MAX;
  const latest = RECEIVED_AT_MS + REPORT_AHEAD_MS_MAX;

  test("the window is seven days back and five minutes ahead", () => {
    expect(REPORT_AGE_MS_MAX).toBe(604_800_000);
    expect(REPORT_AHEAD_MS_MAX).toBe(300_000);
  });

  test("a report without a time happened when it was received", () => {
    expect(clamp(undefined)).toEqual({ atMs: RECEIVED_AT_MS, skew: "none" });
  });

  test.each([
    { at: earliest, atMs: earliest, skew: "none" },
    { at: earliest - 1, atMs: earliest, skew: "past" },
    { at: latest, atMs: latest, skew: "none" },
    { at: latest + 1, atMs: latest, skew: "future" },
    { at: -8.64e15, atMs: earliest, skew: "past" },
    { at: 8.64e15, atMs: latest, skew: "future" },
  ])("$at becomes $atMs ($skew)", ({ at, atMs, skew }) => {
    expect(clamp(at)).toEqual({ atMs, skew });
  });
});
