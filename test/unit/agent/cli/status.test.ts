// `lastgood status`: who is silent and what crashes stand below the table, where there is anything to say.
import { expect, test } from "vitest";
import { LINE_CHARS_MAX } from "../../../../agent/cli/plain-text.ts";
import { renderStatus } from "../../../../agent/cli/status.ts";
import type { StatusAnswer } from "../../../../agent/cli/status.ts";

type Release = StatusAnswer["channels"][number]["releases"][number];

function statusOf(...releases: Partial<Release>[]): string[] {
  return renderStatus({
    channels: [
      {
        app: "com.acme.till",
        channel: "production",
        policy: "standard",
        mode: "automatic",
        current_version: "1.4.3",
        releases: releases.map((fields) => ({
          version: "1.4.3",
          devices: { attempted: 1_000, failed: 20, confirmed: 900 },
          hours: { active: 0, crashed: 0, not_responding: 0 },
          verdict: { kind: "inconclusive", reason: "not_enough_evidence", signals: [] },
          condemned: false,
          hold: null,
          ...fields,
        })),
      },
    ],
  }).split("\n");
}

test("nothing is said below the table where nothing is silent or in use", () => {
  expect(statusOf({})).toEqual([
    "com.acme.till / production   offers 1.4.3   policy standard, automatic",
    "  version  tried  failed     confirmed  evidence  verdict",
    "> 1.4.3    1,000  20 (2.0%)  900                  inconclusive",
  ]);
});

test("each release has a line of its own, before what is held back", () => {
  const lines = statusOf(
    {
      devices: { silent: 14, returned_late: 3 },
      hours: { active: 12_345, crashed: 67, not_responding: 0 },
      hold: { sentence: "Wait." },
    },
    { version: "1.4.2", hours: { active: 1, crashed: 0, not_responding: 0 } },
    { version: "1.4.1", devices: { returned_late: 1 } },
    { version: "1.4.0", devices: {}, hours: { active: 40, crashed: 0, not_responding: 3 } },
  );
  expect(lines.slice(-5)).toEqual([
    "  1.4.3: 14 silent, 3 returned late, 12,345 device-hours, 67 crashed (0.54%)",
    "  1.4.2: 1 device-hour",
    "  1.4.1: 1 returned late",
    "  1.4.0: 40 device-hours, 3 not responding (7.5%)",
    "  held back: Wait.",
  ]);
});

test("a long version does not make the line too wide", () => {
  const lines = statusOf({
    version: "2026.11.23-nightly+build.12345",
    devices: { silent: 123_456, returned_late: 12_345 },
    hours: { active: 123_456_789, crashed: 1_234_567, not_responding: 0 },
  });
  expect(lines.slice(-3)).toEqual([
    "  2026.11.23-nightly+build.12345:",
    "    123,456 silent, 12,345 returned late, 123,456,789 device-hours,",
    "    1,234,567 crashed (1.00%)",
  ]);
  for (const line of lines.slice(-3)) expect([line, line.length <= LINE_CHARS_MAX]).toEqual([line, true]);
});

test("a channel that is paused or frozen says so before everything else, with who and how to lift it", () => {
  const [first, second, third] = renderStatus({
    channels: [
      {
        app: "com.acme.till",
        channel: "production",
        policy: "standard",
        mode: "automatic",
        current_version: "1.4.3",
        paused: true,
        freezes: [
          { id: "fr_1", by: "ana", reason: "audit\u001b[2J", until: "2026-01-31T14:00:00.000Z" },
          { id: "own_1", by: "lastgood", reason: "a second hop", until: null },
        ],
        releases: [],
      },
    ],
  }).split("\n");
  expect([first, second, third]).toEqual([
    "com.acme.till / production   offers 1.4.3 (paused)   policy standard, automatic",
    "  frozen by ana until 2026-01-31 14:00:00 UTC: audit?[2J (fr_1)",
    "  frozen by lastgood: a second hop (own_1)",
  ]);
});
