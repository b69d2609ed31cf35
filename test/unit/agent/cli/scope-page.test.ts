// The pages of `lastgood scope` and `lastgood device`: what stands on them, what is left out, and that they fit 80
// columns whatever devices, channels and versions are called.
import { describe, expect, it, test } from "vitest";
import { renderDevice } from "../../../../agent/cli/device.ts";
import type { DeviceAnswer } from "../../../../agent/cli/device.ts";
import { LINE_CHARS_MAX, wrapText } from "../../../../agent/cli/plain-text.ts";
import { renderScope } from "../../../../agent/cli/scope-page.ts";
import type { ScopeAnswer } from "../../../../agent/cli/scope-page.ts";
import { byOutcome } from "../../../../agent/health/examples.ts";

const NOON = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;
const NO_HOURS = { active: 0, crashed: 0 };
const COUNTS = { attempted: 5_310, running: 4_790, confirmed: 4_800, failed: 212, recovered: 12, silent: 14 };

const PRODUCTION: ScopeAnswer["channels"][number] = {
  channel: "production",
  first_seen: "2026-01-31T12:00:00.000Z",
  devices: COUNTS,
  rolled_back: false,
  decisions: [],
};

function answer(fields: Partial<ScopeAnswer> = {}): ScopeAnswer {
  return {
    app: "com.acme.till",
    version: "1.4.3",
    at: "2026-01-31T14:00:00.000Z",
    devices: COUNTS,
    hours: { active: 9_000, crashed: 31 },
    channels: [PRODUCTION],
    strata: [],
    step_minutes: 5,
    time: [],
    examples: byOutcome(() => ({ named_by: "id", of: 0, devices: [] })),
    ...fields,
  };
}

const linesOf = (fields: Partial<ScopeAnswer>): string[] => renderScope(answer(fields)).split("\n");

test("totals alone, where nothing else is known", () => {
  expect(linesOf({})).toEqual([
    "com.acme.till / 1.4.3",
    "  on production, as of 2026-01-31 14:00:00 (UTC), in devices",
    "",
    "  ever tried it    5,310",
    "  run it now       4,790",
    "  confirmed        4,800 (90.4%)",
    "  failed           212 (4.0%)",
    "    recovered      12 of them confirmed it as well",
    "  download failed  0 (0.0%)",
    "  crashed          0, in 31 of 9,000 device-hours of use",
    "  not responding   0",
    "  silent           14 (0.26%)",
    "    returned late  0 were silent, and came back",
    "",
    "Nothing was tried or used in the hours looked at: --hours looks further back",
  ]);
});

describe("over time", () => {
  it("the newest 48 steps have a character each, also those in which nothing was", () => {
    const step = (index: number, attempted: number, crashed = 0) => ({
      start: new Date(NOON + index * 5 * MINUTE_MS).toISOString(),
      devices: attempted === 0 ? {} : { attempted },
      hours: { active: 9, crashed },
    });
    const lines = linesOf({ time: [step(0, 99), step(1, 8), step(3, 1), step(48, 4, 2)] });
    const nothing = "·".repeat(44);
    expect(lines.slice(-3)).toEqual([
      "By the time of the attempt, in steps of 5 minutes from 2026-01-31 12:05 (UTC)",
      `  tried          █·▁${nothing}▄  at most 8`,
      `  crashed hours  ···${nothing}█  at most 2`,
    ]);
  });

  it.each([
    [1, "a minute"],
    [60, "an hour"],
    [1_440, "a day"],
  ])("a step of %i minutes is %s", (minutes, words) => {
    const time = [{ start: new Date(NOON).toISOString(), devices: { attempted: 1 }, hours: NO_HOURS }];
    expect(linesOf({ step_minutes: minutes, time }).join("\n")).toContain(`in steps of ${words} from`);
  });
});

describe("kinds of device", () => {
  const strata = (count: number): ScopeAnswer["strata"] =>
    Array.from({ length: count }, (_, index) => ({
      stratum: { model: `T${index}` },
      devices: { attempted: 9, failed: 1 },
    }));

  it("are shown up to ten, and how many more there are", () => {
    expect(linesOf({ strata: strata(10) }).join("\n")).not.toContain("more kinds");
    const lines = linesOf({ strata: strata(13) });
    expect(lines).toContain("Kinds of device: model");
    expect(lines).toContain("  T9  9      0       1 (11.1%)  0        0       0");
    expect(lines).toContain("  and 3 more kinds: --json shows all");
  });

  it("are left out where no device told any", () => {
    const lines = linesOf({ strata: [{ stratum: "unknown", devices: COUNTS }] });
    expect(lines.join("\n")).not.toContain("Kinds of device");
  });
});

test("several channels have a line each", () => {
  const lines = linesOf({ channels: [{ ...PRODUCTION, channel: "beta", devices: {} }, PRODUCTION] });
  expect(lines).toContain("  on 2 channels, as of 2026-01-31 14:00:00 (UTC), in devices");
  expect(lines).toContain("  production  5,310  4,790   212 (4.0%)  0        14      12");
});

test("a decision is named with how to have it explained", () => {
  const decision = { id: "rb_1", at: "2026-01-31T12:30:00.000Z", action: "rollback", target: "1.4.2" };
  const decisions = [
    { ...decision, mode: "automatic", outcome: "applied" },
    { ...decision, mode: "shadow", outcome: null },
    { ...decision, mode: "manual", action: "pause", target: null, outcome: null },
  ];
  expect(linesOf({ channels: [{ ...PRODUCTION, decisions }] }).slice(14, 21)).toEqual([
    "Decisions (UTC)",
    "  2026-01-31 12:30  production: rollback to 1.4.2: applied",
    "                    lastgood explain rb_1",
    "  2026-01-31 12:30  production: rollback to 1.4.2: shadow mode, nothing was done",
    "                    lastgood explain rb_1",
    "  2026-01-31 12:30  production: pause: under way",
    "                    lastgood explain rb_1",
  ]);
});

describe("which devices", () => {
  it("three of each outcome that has any, and how to have all", () => {
    const examples = {
      ...answer().examples!,
      failed: { named_by: "id", of: 9, devices: ["a", "b", "c", "d"] },
      crashed: { named_by: "id", of: 1, devices: ["a"] },
      silent: { named_by: "digest", of: 1, devices: ["00112233445566ff"] },
    };
    expect(linesOf({ examples }).slice(-5)).toEqual([
      "Which devices",
      "  failed             a, b, c, …",
      "  crashed            a",
      "  silent (digests)   00112233445566ff",
      "  All that are kept: lastgood scope com.acme.till 1.4.3 --ids OUTCOME",
    ]);
  });

  it("not for a viewer", () => {
    expect(linesOf({ examples: null }).at(-1)).toBe(
      "Which devices they are is shown to the roles operator and admin.",
    );
  });
});

const LONG = "x".repeat(128);
const HOSTILE = "\u001b[31m\u009b31m\u202e";

test("the page fits 80 columns, and nothing on it is a command to the terminal", () => {
  const devices = Object.fromEntries(Object.keys(COUNTS).map((outcome) => [outcome, 10_000_000]));
  const decision = {
    id: "rb_ecb7a6eb2b4d1396f354",
    at: "2026-01-31T12:30:00.000Z",
    action: "rollback",
    mode: "automatic",
  };
  const page = renderScope(
    answer({
      devices,
      channels: ["beta", "production"].map((channel) => ({
        ...PRODUCTION,
        channel,
        devices,
        decisions: [{ ...decision, target: "1.4.2-rc.1+build.1234567890", outcome: "already_applied" }],
      })),
      strata: [
        { stratum: { platform: HOSTILE, model: LONG, os_version: LONG, native_version: "1" }, devices },
      ],
      examples: byOutcome(() => ({ named_by: "id", of: 9, devices: [LONG, HOSTILE, "字".repeat(128)] })),
    }),
  );
  expect(Math.max(...page.split("\n").map((line) => line.length))).toBeLessThanOrEqual(LINE_CHARS_MAX);
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what must not pass
  expect(page).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

describe("a device's story", () => {
  const DEVICE: DeviceAnswer = {
    app: "com.acme.till",
    device: "till-1",
    last_seen: "2026-01-31T12:50:08.000Z",
    running: { channel: "production", version: "1.4.3" },
    releases: [
      { channel: "production", version: "1.4.3", outcomes: ["confirmed", "running"], rolled_back: true },
    ],
    story: [],
  };

  it("shows times as exact as they are known", () => {
    const at = "2026-01-31T12:34:56.000Z";
    const story = [
      { at, within: "hour", text: "a" },
      { at, within: "minute", text: "b" },
      { at, within: "second", text: "c" },
    ] as const;
    expect(renderDevice({ ...DEVICE, story }).split("\n")).toEqual([
      "com.acme.till / till-1",
      "  last seen  2026-01-31 12:50:08 (UTC, by the device's clock)",
      "  runs       1.4.3 on production, which was rolled back",
      "",
      "  2026-01-31 12h       a",
      "  2026-01-31 12:34     b",
      "  2026-01-31 12:34:56  c",
      "",
      "  1.4.3 on production, rolled back",
      "    confirmed, running",
    ]);
  });

  it("of one that never said what it runs says so, in no more than 80 columns", () => {
    const text = `${HOSTILE}: ${"word ".repeat(40)}`;
    const page = renderDevice({
      ...DEVICE,
      running: null,
      story: [{ at: DEVICE.last_seen, within: "second", text }],
    });
    expect(page).toContain("  runs       not known\n");
    expect(Math.max(...page.split("\n").map((line) => line.length))).toBeLessThanOrEqual(LINE_CHARS_MAX);
    // oxlint-disable-next-line no-control-regex -- control characters are exactly what must not pass
    expect(page).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });
});

test("a sentence is wrapped between words, and a word that is too long has a line of its own", () => {
  expect(wrapText("one two three", 7)).toEqual(["one two", "three"]);
  expect(wrapText("a verylongword b", 4)).toEqual(["a", "verylongword", "b"]);
  expect(wrapText("", 4)).toEqual([""]);
});
