// What the API makes of an incident: sums over channels, the order of kinds of device, the steps of time, and whose
// examples are shown.
import { describe, expect, it, test } from "vitest";
import { viewScope } from "../../../../agent/admin/scope-views.ts";
import type { ChannelScope, ScopeInput } from "../../../../agent/admin/scope-views.ts";
import { ANSWER_BINS } from "../../../../agent/health/answer-bins.ts";
import { byOutcome } from "../../../../agent/health/examples.ts";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import type { HealthWindow } from "../../../../agent/health/health-window.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import { STRATUM_ALL, formatStratum } from "../../../../agent/health/stratum.ts";
import type { Channel } from "../../../../ingest/contract/release-key.ts";
import { outcomeCounts, releaseOf, sampleDecision, version } from "../../../support/verdicts.ts";

const NO_EXAMPLES = byOutcome((): string[] => []);

function channel(
  name: string,
  fields: Partial<ChannelScope> = {},
  counts: Partial<OutcomeCounts> = {},
): ChannelScope {
  const release = { ...releaseOf("1.4.0"), channel: name as Channel };
  return {
    release,
    health: {
      release,
      devices: outcomeCounts(counts),
      hours: { ...NO_DEVICE_HOURS, active: 3, crashed: 1 },
      firstReportAtMs: 1_000,
      lastReportAtMs: 2_000,
      lastFailureAtMs: 0,
      silenceDeadlineMs: 0,
    },
    detail: { strata: new Map(), reasons: new Map() },
    windows: [],
    examples: NO_EXAMPLES,
    ...fields,
  };
}

function window(slotMinute: number, slotMinutes: number, counts: Partial<OutcomeCounts> = {}): HealthWindow {
  return {
    slotMinute,
    slotMinutes,
    stratum: STRATUM_ALL,
    devices: outcomeCounts(counts),
    hours: NO_DEVICE_HOURS,
    answered: Array.from({ length: ANSWER_BINS }, () => 0),
  };
}

function view(channels: readonly ChannelScope[], fields: Partial<ScopeInput> = {}) {
  const input = { app: "com.acme.till", version: "1.4.0", nowMs: 0, decisions: [], ids: "shown" } as const;
  return viewScope({ ...input, channels, ...fields }) as {
    devices: Record<string, number>;
    hours: Record<string, number>;
    channels: Record<string, unknown>[];
    strata: { stratum: unknown; devices: Record<string, number> }[];
    step_minutes: number;
    time: { start: string; devices: Record<string, number> }[];
    examples: Record<string, { of: number; named_by: string; devices: string[] }> | null;
  };
}

test("channels are shown each, and summed", () => {
  const all = view([
    channel("beta", {}, { attempted: 1, failed: 1 }),
    channel("production", {}, { attempted: 5 }),
  ]);
  expect(all.devices).toMatchObject({ attempted: 6, failed: 1, silent: 0 });
  expect(all.hours).toMatchObject({ active: 6, crashed: 2 });
  expect(all.channels).toMatchObject([
    {
      channel: "beta",
      first_seen: "1970-01-01T00:00:01.000Z",
      last_failure: null,
      devices: { attempted: 1 },
    },
    { channel: "production", devices: { attempted: 5 }, decisions: [], rolled_back: false },
  ]);
});

test("decisions stand at their channel and version alone, oldest first", () => {
  const at = (hour: number): string => `2026-01-31T${hour}:00:00.000Z`;
  const outcome = {
    kind: "applied",
    at: at(12),
    detail: "",
    version_seen: version("1.3.0"),
    attempts: 1,
  } as const;
  const decisions = [
    sampleDecision("1.4.0", { id: "b", at: at(14), mode: "shadow", outcome }),
    sampleDecision("1.4.0", { id: "a", at: at(12), outcome }),
    sampleDecision("1.3.0", { id: "c", outcome }),
  ];
  const { channels } = view([channel("beta"), channel("production")], { decisions });
  expect(channels).toMatchObject([
    { channel: "beta", rolled_back: false, decisions: [] },
    {
      channel: "production",
      rolled_back: true,
      decisions: [
        { id: "a", outcome: "applied" },
        { id: "b", mode: "shadow" },
      ],
    },
  ]);
  const shadow = view([channel("production")], { decisions: [decisions[0]!] }).channels;
  expect(shadow).toMatchObject([{ rolled_back: false }]);
});

test("kinds of device are summed over channels; those with most in trouble come first, then those with most attempts", () => {
  const stratum = (counts: Partial<OutcomeCounts>) => ({
    devices: outcomeCounts(counts),
    hours: NO_DEVICE_HOURS,
  });
  const t1 = formatStratum(["android", "T1", "", ""]);
  const strata = (entries: [string, Partial<OutcomeCounts>][]) => ({
    detail: { strata: new Map(entries.map(([text, counts]) => [text, stratum(counts)])), reasons: new Map() },
  });
  const { strata: shown } = view([
    channel(
      "beta",
      strata([
        [t1, { attempted: 1, silent: 2 }],
        ["unknown", { attempted: 900 }],
      ]),
    ),
    channel(
      "production",
      strata([
        [t1, { attempted: 4, crashed: 1 }],
        ["other", { attempted: 9, failed: 2 }],
      ]),
    ),
  ]);
  expect(shown).toMatchObject([
    { stratum: { platform: "android", model: "T1" }, devices: { attempted: 5, silent: 2, crashed: 1 } },
    { stratum: "other", devices: { failed: 2 } },
    { stratum: "unknown", devices: { attempted: 900 } },
  ]);
});

describe("time", () => {
  it.each([
    ["minutes, of little more than two hours", [window(0, 1), window(167, 1)], 1],
    ["5 minutes, beyond it", [window(0, 1), window(168, 1)], 5],
    ["5 minutes, where windows are so long", [window(0, 5), window(9, 1)], 5],
    ["hours, where windows are so long", [window(0, 60)], 60],
    ["hours, of a week", [window(0, 60), window(167 * 60, 1)], 60],
    ["days, beyond it", [window(0, 60), window(168 * 60, 1)], 1_440],
    ["days, of as long as windows stay", [window(0, 60), window(89 * 1_440, 1)], 1_440],
    ["minutes, of nothing", [], 1],
  ])("goes in steps of %s", (_, windows, expected) => {
    expect(view([channel("production", { windows })]).step_minutes).toBe(expected);
  });

  it("sums channels and windows of a step, and leaves out what is 0", () => {
    const { time } = view([
      channel("beta", { windows: [window(600, 1, { attempted: 1, failed: 1 }), window(900, 1, {})] }),
      channel("production", { windows: [window(604, 1, { attempted: 2 })] }),
    ]);
    expect(time.map(({ start, devices }) => [start, devices])).toEqual([
      ["1970-01-01T10:00:00.000Z", { attempted: 3, failed: 1 }],
      ["1970-01-01T15:00:00.000Z", {}],
    ]);
  });
});

describe("examples", () => {
  const channels = [
    channel("beta", { examples: { ...NO_EXAMPLES, failed: ["a", "b"] } }, { failed: 2 }),
    channel(
      "production",
      { examples: { ...NO_EXAMPLES, failed: ["b", "c"], silent: ["0011223344556677"] } },
      { failed: 9 },
    ),
  ];

  it("come from all channels in turns, nobody twice, beside how many there are", () => {
    expect(view(channels).examples).toMatchObject({
      failed: { named_by: "id", of: 11, devices: ["a", "b", "c"] },
      silent: { named_by: "digest", of: 0, devices: ["0011223344556677"] },
      crashed: { named_by: "id", of: 0, devices: [] },
    });
  });

  it("are not shown to who may not see them", () => {
    expect(view(channels, { ids: "hidden" }).examples).toBeNull();
  });
});
