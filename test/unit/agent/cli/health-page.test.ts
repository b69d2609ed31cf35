// The page of `lastgood health`: what stands on it, what is left out, and that it fits 80 columns.
import { describe, expect, test } from "vitest";
import { renderHealth, sparkline } from "../../../../agent/cli/health-page.ts";
import type { HealthAnswer } from "../../../../agent/cli/health-page.ts";
import { LINE_CHARS_MAX } from "../../../../agent/cli/plain-text.ts";

const NO_HOURS = { active: 0, crashed: 0, not_responding: 0, first_crashed: 0, first_not_responding: 0 };
const NOON = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;

function answer(fields: Partial<HealthAnswer> = {}): HealthAnswer {
  return {
    app: "com.acme.till",
    channel: "production",
    version: "1.4.3",
    first_seen: "2026-01-31T12:00:00.000Z",
    last_report: "2026-01-31T13:30:00.000Z",
    devices: {
      attempted: 5_310,
      announced: 5_000,
      confirmed: 4_800,
      failed: 212,
      silent: 14,
      running: 4_790,
    },
    hours: NO_HOURS,
    strata: [],
    reasons: [],
    windows: [],
    ...fields,
  };
}

type Window = HealthAnswer["windows"][number];
function window(atMs: number, devices: Window["devices"], minutes = 1, hours = NO_HOURS): Window {
  return { start: new Date(atMs).toISOString(), minutes, devices, hours };
}

const linesOf = (fields: Partial<HealthAnswer>): string[] => renderHealth(answer(fields)).split("\n");

test("totals alone, where nothing else is known", () => {
  expect(linesOf({})).toEqual([
    "com.acme.till / production / 1.4.3",
    "  first report 2026-01-31 12:00:00, newest 2026-01-31 13:30:00 (UTC)",
    "",
    "  tried            5,310",
    "  confirmed        4,800 (90.4%)",
    "  failed           212 (4.0%)",
    "  download failed  0 (0.0%)",
    "  silent           14 of 5,000 that said they began (0.28%)",
    "  returned late    0",
    "  running now      4,790",
    "  crash rate       no device has said that it runs this version",
    "",
    "No attempt and no use in the hours looked at: --hours looks further back",
  ]);
});

test("nothing tried: no share of nothing", () => {
  const lines = linesOf({ devices: {}, hours: { ...NO_HOURS, active: 8, crashed: 1 } });
  expect(lines).toContain("  failed           0 (-)");
  expect(lines).toContain("  crash rate       12.5%: crashes in 1 of 8 device-hours");
});

test("hours with crashes, or without an answer, are shown with the devices that they are of", () => {
  const use = { active: 320, crashed: 40, first_crashed: 1, not_responding: 6, first_not_responding: 2 };
  const lines = linesOf({ hours: use });
  const start = lines.findIndex((line) => line.startsWith("  crash rate"));
  expect(lines.slice(start, start + 4)).toEqual([
    "  crash rate       12.5%: crashes in 40 of 320 device-hours",
    "                   on 1 device",
    "  not responding   1.9%: in 6 of 320 device-hours",
    "                   on 2 devices",
  ]);
});

test("who failed and confirmed later stays failed, and is named", () => {
  const lines = linesOf({ devices: { attempted: 10, failed: 4, recovered: 3 } });
  expect(lines).toContain("  failed           4 (40.0%), 3 of them confirmed as well");
});

test("reasons have bars: the largest is full, the smallest can be seen", () => {
  const many = Array.from({ length: 11 }, (_, index) => ({ reason: `z${index}`, devices: 1 }));
  const lines = linesOf({
    reasons: [{ reason: "disk_full", devices: 120 }, { reason: "checksum_mismatch", devices: 60 }, ...many],
  });
  const start = lines.indexOf("Failures by reason, in devices");
  expect(lines.slice(start + 1, start + 4)).toEqual([
    `  disk_full          120  ${"█".repeat(24)}`,
    `  checksum_mismatch  60   ${"█".repeat(12)}`,
    "  z0                 1    █",
  ]);
  expect(lines).toContain("  and 1 more reasons: --json shows all");
  expect(lines.some((line) => line.startsWith("  z10 "))).toBe(false);
});

describe("kinds of device", () => {
  const kind = (stratum: HealthAnswer["strata"][number]["stratum"], devices = {}, hours = NO_HOURS) => ({
    stratum,
    devices,
    hours,
  });

  test("stand under the fields that any of them told", () => {
    const lines = linesOf({
      strata: [
        kind(
          { model: "T1", os_version: "14" },
          { attempted: 4_000, failed: 200, silent: 3, running: 9 },
          { ...NO_HOURS, active: 300, crashed: 1 },
        ),
        kind({ model: "T2" }, { attempted: 30, failed: 0 }),
        kind("unknown", { failed: 0 }),
        kind("other", { attempted: 2, failed: 1 }),
      ],
    });
    const start = lines.indexOf("Kinds of device: model / os_version");
    expect(lines.slice(start + 1, start + 7)).toEqual([
      "           tried  failed      silent  running  crash rate",
      "  T1 / 14  4,000  200 (5.0%)  3       9        0.33%",
      "  T2 / -   30     0 (0.0%)    0       0        -",
      "  unknown  0      0           0       0        -",
      "  other    2      1 (50.0%)   0       0        -",
      "  other = more kinds than the app's strata.max tells apart",
    ]);
  });

  test("are left out when no device told anything", () => {
    expect(renderHealth(answer({ strata: [kind("unknown")] }))).not.toContain("Kinds of device");
  });

  test("are a dozen at most", () => {
    const strata = Array.from({ length: 15 }, (_, index) => kind({ model: `M${index}` }));
    const lines = linesOf({ strata });
    expect(lines.filter((line) => /^ {2}M\d/.test(line))).toHaveLength(12);
    expect(lines).toContain("  and 3 more kinds: --json shows all");
  });
});

describe("the last hours and minutes", () => {
  test("windows of any length stand in their hour, newest last", () => {
    const lines = linesOf({
      windows: [
        window(NOON - 60 * MINUTE_MS, { attempted: 7, confirmed: 5, failed: 2 }, 60),
        window(NOON, { attempted: 1 }, 5, { ...NO_HOURS, active: 8, crashed: 3 }),
        window(NOON + 55 * MINUTE_MS, { attempted: 2, silent: 1 }, 5),
      ],
    });
    const start = lines.findIndex((line) => line.startsWith("By the hour"));
    expect(lines.slice(start + 1)).toEqual([
      "                    tried  confirmed  failed  silent  active  crashed",
      "  2026-01-31 11:00  7      5          2       0       0       0",
      "  2026-01-31 12:00  3      0          0       1       8       3",
    ]);
  });

  test("only the newest dozen hours is shown", () => {
    const windows = Array.from({ length: 20 }, (_, hour) => window(NOON + hour * 60 * MINUTE_MS, {}, 60));
    const lines = linesOf({ windows });
    const hours = lines.filter((line) => /^ {2}2026-/.test(line));
    expect(hours).toHaveLength(12);
    expect(hours.at(-1)).toContain("2026-02-01 07:00");
    expect(lines).toContain("  and 8 more hours: --json shows all");
  });

  test("the minutes up to the newest attempt are drawn, the hour before it and no more", () => {
    const lines = linesOf({
      windows: [
        window(NOON - 60 * MINUTE_MS, { attempted: 900 }),
        window(NOON - 59 * MINUTE_MS, { attempted: 4 }),
        window(NOON - MINUTE_MS, { attempted: 8, failed: 1 }),
        window(NOON, { attempted: 1 }),
        window(NOON + MINUTE_MS, { running: 1 }),
      ],
    });
    const start = lines.findIndex((line) => line.startsWith("By the minute"));
    expect(lines.slice(start)).toEqual([
      "By the minute of the attempt, 11:01 to 12:00 (UTC), and the most in a minute",
      `  tried   ▄${"·".repeat(57)}█▁  8`,
      `  failed  ${"·".repeat(58)}█·  1`,
    ]);
  });

  test("no minutes are drawn of a release whose windows have been rolled up", () => {
    const page = renderHealth(answer({ windows: [window(NOON, { attempted: 900 }, 5)] }));
    expect(page).not.toContain("By the minute");
  });
});

test("a sparkline's smallest value can be seen, and 0 is none", () => {
  expect(sparkline([0, 1, 400, 800])).toBe("·▁▄█");
  expect(sparkline([0, 0])).toBe("··");
});

test("the largest fleet, with the longest names, fits the terminal", () => {
  const names = ["attempted", "announced", "confirmed", "failed", "recovered", "silent", "running"];
  const counts = (count: number) => Object.fromEntries(names.map((name) => [name, count]));
  const million = 12_345_678;
  const devices = counts(million);
  const long = "x".repeat(128);
  const bad = { crashed: million, first_crashed: million };
  const hours = { ...bad, active: million, not_responding: million, first_not_responding: million };
  const stratum = { platform: long, model: "日本".repeat(20), os_version: long, native_version: long };
  const page = renderHealth(
    answer({
      devices,
      hours,
      strata: [{ stratum, devices, hours }],
      reasons: [{ reason: long, devices: million }],
      windows: [window(NOON, counts(123_456), 1, hours)],
    }),
  );
  for (const line of page.split("\n")) expect([line, line.length <= LINE_CHARS_MAX]).toEqual([line, true]);
});
