// One device's story: its lines, their order whatever their times are exact to, and what was decided.
import { describe, expect, it, test } from "vitest";
import { STORY_KINDS, storyOf } from "../../../../agent/admin/device-story.ts";
import type { DeviceTimes, DeviceView } from "../../../../agent/health/health-window.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import type { DecisionRecord } from "../../../../agent/rollback/decision-record.ts";
import { formatReleaseKey } from "../../../../ingest/contract/release-key.ts";
import { NO_TIMES, outcomeCounts, releaseOf, sampleDecision } from "../../../support/verdicts.ts";

const NOON = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;

type Known = Readonly<Record<string, readonly [Partial<OutcomeCounts>, Partial<DeviceTimes>]>>;

function view(known: Known, fields: Partial<DeviceView> = {}): DeviceView {
  const entries = Object.entries(known).map(
    ([text, [counts, times]]) => [formatReleaseKey(releaseOf(text)), counts, times] as const,
  );
  return {
    lastSeenAtMs: NOON + 50 * MINUTE_MS,
    running: undefined,
    runningToldAtMs: 0,
    releases: new Map(entries.map(([text, counts]) => [text, outcomeCounts(counts)])),
    times: new Map(entries.map(([text, , times]) => [text, { ...NO_TIMES, ...times }])),
    ...fields,
  };
}

/** Without what ends every story. */
function told(device: DeviceView, decisions: readonly DecisionRecord[] = []): string[] {
  return storyOf(device, decisions)
    .filter(({ what }) => what !== "heard")
    .map(({ at, within, text }) => `${at.slice(11, within === "hour" ? 13 : 16)} ${text}`);
}

test("of a device that only reported is told when it was heard of", () => {
  expect(storyOf(view({}), [])).toEqual([
    {
      at: "2026-01-31T12:50:00.000Z",
      within: "second",
      what: "heard",
      channel: null,
      version: null,
      text: "last heard of",
    },
  ]);
});

describe("what it did with a version", () => {
  it("is told in order of time, with reasons", () => {
    const device = view({
      "1.4.0": [
        { announced: 1, attempted: 1, install_failed: 1, failed: 1, confirmed: 1, recovered: 1 },
        {
          attemptedAtMs: NOON + 5 * MINUTE_MS,
          answeredAtMs: NOON + 9 * MINUTE_MS,
          firstCrashAtMs: NOON + 60 * MINUTE_MS,
          firstNotRespondingAtMs: NOON + 120 * MINUTE_MS,
          lastUsedAtMs: NOON + 180 * MINUTE_MS,
          hours: { active: 4, crashed: 2, notResponding: 1 },
          reasons: ["disk_full", "checksum"],
        },
      ],
    });
    expect(told(device)).toEqual([
      "12:05 began to update to 1.4.0 on production",
      "12:09 1.4.0 on production: installation failed; confirmed; recovered from its failure; why: disk_full, checksum",
      "13 first crash of 1.4.0 on production; in 2 hours of its last 7 days of use",
      "14 did not respond on 1.4.0 on production for the first time; in 1 hour of its last 7 days of use",
      "15 last use of 1.4.0 on production",
    ]);
  });

  it("in the hour in which it took the version up comes after that, and not after what came later", () => {
    const device = view({
      "1.4.0": [
        { attempted: 1, crashed: 1, running: 1 },
        { attemptedAtMs: NOON + 30 * MINUTE_MS, answeredAtMs: NOON + 31 * MINUTE_MS, firstCrashAtMs: NOON },
      ],
      "1.3.0": [{}, { answeredAtMs: NOON - 600 * MINUTE_MS, firstCrashAtMs: NOON, lastUsedAtMs: NOON }],
      "1.5.0": [{ attempted: 1 }, { attemptedAtMs: NOON + 40 * MINUTE_MS }],
    });
    expect(told(device)).toEqual([
      "02:00 1.3.0 on production: in use for the first time",
      "12 first crash of 1.3.0 on production",
      "12 last use of 1.3.0 on production",
      "12:30 tried to update to 1.4.0 on production",
      "12:31 1.4.0 on production: in use for the first time",
      "12 first crash of 1.4.0 on production",
      "12:40 tried to update to 1.5.0 on production",
    ]);
  });

  it("ends in silence where it never told how it went", () => {
    const device = view({ "1.4.0": [{ announced: 1, silent: 1 }, { attemptedAtMs: NOON }] });
    expect(told(device)).toEqual([
      "12:00 began to update to 1.4.0 on production",
      "12:50 silent since: it never told how 1.4.0 on production went",
    ]);
    expect(storyOf(device, []).at(-1)!.what).toBe("heard");
  });

  it("names what it runs, and when it said so", () => {
    const running = { running: releaseOf("1.3.0"), runningToldAtMs: NOON };
    expect(told(view({ "1.3.0": [{ running: 1 }, { lastUsedAtMs: NOON }] }, running))).toEqual([
      "12:00 newest word that it runs 1.3.0 on production",
    ]);
  });
});

describe("what was decided", () => {
  const outcomeOf = (kind: "applied" | "stale" | "paged") => ({
    kind,
    at: "2026-01-31T12:00:01.000Z",
    detail: "",
    version_seen: null,
    attempts: 1,
  });

  it.each([
    [{ outcome: outcomeOf("applied") }, "was rolled back to 1.3.0 (x)"],
    [{ outcome: outcomeOf("stale") }, "was to be rolled back to 1.3.0: stale (x)"],
    [{ outcome: null }, "was to be rolled back to 1.3.0: not carried out yet (x)"],
    [{ mode: "shadow" }, "would have been rolled back to 1.3.0: shadow mode (x)"],
    [{ action: "pause", target: null, outcome: outcomeOf("applied") }, "was paused (x)"],
    [{ action: "page", target: null, outcome: outcomeOf("paged") }, "was paged about (x)"],
  ] as const)("%o: %s", (fields, text) => {
    const decisions = [sampleDecision("1.4.0", { id: "x", ...fields })];
    expect(told(view({ "1.4.0": [{}, {}] }), decisions)).toEqual([`12:00 1.4.0 on production ${text}`]);
  });

  it("about versions that it never had is not its story", () => {
    expect(told(view({ "1.3.0": [{}, {}] }), [sampleDecision("1.4.0")])).toEqual([]);
  });
});

test("every kind of line has its place in the order", () => {
  expect(new Set(STORY_KINDS).size).toBe(STORY_KINDS.length);
  expect(STORY_KINDS.at(-1)).toBe("heard");
});
