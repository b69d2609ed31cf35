// What the API makes of counts: the order of lists, and names of fields and bins.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { viewDevice, viewReleaseDetail, viewWindow } from "../../../../agent/admin/health-views.ts";
import { ANSWER_BINS, ANSWER_BIN_MINUTES } from "../../../../agent/health/answer-bins.ts";
import type { HealthWindow, StratumHealth } from "../../../../agent/health/health-window.ts";
import { STRATUM_ALL, formatStratum } from "../../../../agent/health/stratum.ts";
import { OUTCOMES } from "../../../../agent/health/outcomes.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import { formatReleaseKey } from "../../../../ingest/contract/release-key.ts";
import { NO_TIMES, outcomeCounts, releaseOf } from "../../../support/verdicts.ts";

const RELEASE = releaseOf("1.4.0");
const HOURS = { active: 2, crashed: 1, notResponding: 5, firstCrashed: 3, firstNotResponding: 4 };
const SHOWN_HOURS = { active: 2, crashed: 1, not_responding: 5, first_crashed: 3, first_not_responding: 4 };

function stratum(devices: Partial<OutcomeCounts>): StratumHealth {
  return { devices: outcomeCounts(devices), hours: HOURS };
}

function window(slotMinute: number, text: string, devices: Partial<OutcomeCounts>): HealthWindow {
  const answered = Array.from({ length: ANSWER_BINS }, (_, bin) =>
    bin === 6 ? (devices.confirmed ?? 0) : 0,
  );
  return {
    slotMinute,
    slotMinutes: 5,
    stratum: text,
    devices: outcomeCounts(devices),
    hours: HOURS,
    answered,
  };
}

function view({
  strata = new Map(),
  reasons = new Map(),
}: {
  strata?: ReadonlyMap<string, StratumHealth>;
  reasons?: ReadonlyMap<string, number>;
}): Record<string, unknown> {
  const health = {
    release: RELEASE,
    ...stratum({}),
    firstReportAtMs: 1,
    lastReportAtMs: 86_400_000,
    lastFailureAtMs: 0,
    silenceDeadlineMs: 0,
  };
  return viewReleaseDetail(health, { strata, reasons });
}

test("a time that never was is null", () => {
  expect(view({})).toEqual({
    ...RELEASE,
    first_seen: "1970-01-01T00:00:00.001Z",
    last_report: "1970-01-02T00:00:00.000Z",
    last_failure: null,
    devices: outcomeCounts({}),
    hours: SHOWN_HOURS,
    strata: [],
    reasons: [],
  });
});

test("strata come by attempts, then by who runs the release, then by text, with what was told by name", () => {
  const strata = new Map([
    ["unknown", stratum({ attempted: 5 })],
    [formatStratum(["linux", "", "", ""]), stratum({ running: 2 })],
    [formatStratum(["", "T2", "", "__proto__"]), stratum({ attempted: 9 })],
    ["other", stratum({ attempted: 5 })],
    [formatStratum(["linux", "", "9", ""]), stratum({ running: 3 })],
  ]);
  const shown = view({ strata })["strata"] as { stratum: unknown }[];
  expect(shown.map((each) => each.stratum)).toEqual([
    { model: "T2", native_version: "__proto__" },
    "other",
    "unknown",
    { platform: "linux", os_version: "9" },
    { platform: "linux" },
  ]);
  expect(shown[0]).toMatchObject({ devices: outcomeCounts({ attempted: 9 }), hours: SHOWN_HOURS });
});

test("reasons come by devices, then by text", () => {
  const reasons = new Map([
    ["b", 2],
    ["__proto__", 1],
    ["a", 2],
    ["c", 7],
  ]);
  expect(view({ reasons })["reasons"]).toEqual([
    { reason: "c", devices: 7 },
    { reason: "a", devices: 2 },
    { reason: "b", devices: 2 },
    { reason: "__proto__", devices: 1 },
  ]);
});

describe("a window", () => {
  const linux = formatStratum(["linux", "", "", ""]);

  test("names the first minute, the length, the stratum, and what is not 0", () => {
    expect(viewWindow(window(5, linux, { attempted: 3, confirmed: 1 }))).toEqual({
      start: "1970-01-01T00:05:00.000Z",
      minutes: 5,
      stratum: { platform: "linux" },
      devices: { attempted: 3, confirmed: 1 },
      hours: SHOWN_HOURS,
      answered: { [String(ANSWER_BIN_MINUTES[6])]: 1 },
    });
  });

  test("of all strata together names none", () => {
    expect(viewWindow(window(10, STRATUM_ALL, { attempted: 1 }))).toEqual({
      start: "1970-01-01T00:10:00.000Z",
      minutes: 5,
      devices: { attempted: 1 },
      hours: SHOWN_HOURS,
      answered: {},
    });
  });
});

test("a device's releases come by channel, newest version first, with the outcomes it stands in", () => {
  const beta = { ...releaseOf("2.0.0"), channel: "beta" as typeof RELEASE.channel };
  const releases = new Map([
    [formatReleaseKey(releaseOf("1.9.0")), outcomeCounts({ active: 1, running: 1 })],
    [formatReleaseKey(releaseOf("1.10.0")), outcomeCounts({ reverted: 1, attempted: 1, failed: 1 })],
    [formatReleaseKey(beta), outcomeCounts({})],
  ]);
  const times = new Map([...releases.keys()].map((text) => [text, NO_TIMES]));
  const view = { lastSeenAtMs: 1_000, running: releaseOf("1.9.0"), runningToldAtMs: 1_000, releases, times };
  expect(viewDevice(view, [])).toMatchObject({
    last_seen: "1970-01-01T00:00:01.000Z",
    running: { channel: "production", version: "1.9.0" },
    running_told: "1970-01-01T00:00:01.000Z",
    releases: [
      { channel: "beta", version: "2.0.0", outcomes: [] },
      { channel: "production", version: "1.10.0", outcomes: ["reverted", "attempted", "failed"] },
      { channel: "production", version: "1.9.0", outcomes: ["active", "running"] },
    ],
  });
  const nothing = { running: undefined, runningToldAtMs: 0, releases: new Map(), times: new Map() };
  const shown = viewDevice({ lastSeenAtMs: 1_000, ...nothing }, []);
  expect([shown["running"], shown["running_told"]]).toEqual([null, null]);
});

test("docs/api.md names the bins of answers, and shows every outcome wherever it shows devices", () => {
  const page = readFileSync(new URL("../../../../docs/api.md", import.meta.url), "utf8");
  expect(page).toContain(`(${ANSWER_BIN_MINUTES.join(", ")})`);
  const shown = Array.from(page.matchAll(/"devices": (\{\n\s+"update_started"[^}]*\})/g), ([, text]) =>
    Object.keys(JSON.parse(text!) as object),
  );
  expect(shown.length).toBeGreaterThanOrEqual(3);
  for (const outcomes of shown) expect(outcomes).toEqual([...OUTCOMES]);
});
