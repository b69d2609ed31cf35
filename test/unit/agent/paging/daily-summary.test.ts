// The daily summary: what is in the last 24 hours and what is not, and what people read.
import { describe, expect, it } from "vitest";
import { SUMMARY_LINES_MAX, summarise, toText } from "../../../../agent/paging/daily-summary.ts";
import type { SummaryInput } from "../../../../agent/paging/daily-summary.ts";
import { NOON_MS, endedAs, holding, minutesAgo, pagedDecision } from "../../../support/page-snapshots.ts";
import { failingVerdict, outcomeCounts, releaseOf } from "../../../support/verdicts.ts";

const DAY_MINUTES = 24 * 60;

function input(fields: Partial<SummaryInput> = {}): SummaryInput {
  return {
    nowMs: NOON_MS,
    releases: [],
    decisions: [],
    pending: new Set(),
    holds: new Map(),
    lag: [{ waitingEntries: 0, lagSeconds: 0 }],
    deadLetters: { kept: 0, dropped: 0 },
    externalUrl: undefined,
    ...fields,
  };
}
const textOf = (fields: Partial<SummaryInput> = {}) =>
  toText(summarise(input(fields)), fields.externalUrl).split("\n");
const release = (text: string, minutes: number, kind: "failing" | "healthy" = "healthy") => ({
  verdict: failingVerdict({
    release: releaseOf(text),
    kind,
    devices: outcomeCounts({ attempted: 100, failed: 20 }),
  }),
  lastReportAtMs: Date.parse(minutesAgo(minutes)),
});

const waits = {
  expires_at: "2026-01-31T14:00:00.000Z",
  answered_at: null,
  answered_by: null,
  answer: null,
} as const;

describe("a quiet day", () => {
  it("says so in four lines", () => {
    expect(textOf()).toEqual([
      "Lastgood, 24 hours to 2026-01-31 12:00 UTC",
      "Releases watched: 0",
      "Nothing was decided.",
      "Pipeline: nothing waits; no dead letters",
    ]);
  });
});

describe("a day with everything", () => {
  const all = input({
    releases: [release("1.4.0", 5, "failing"), release("1.3.0", 5), release("1.2.0", DAY_MINUTES + 1)],
    decisions: [
      pagedDecision({ id: "sh_1", mode: "shadow", outcome: null }),
      pagedDecision({ id: "rb_4", mode: "approval", outcome: null, approval: waits }),
      pagedDecision({ id: "rb_3", outcome: null }),
      pagedDecision({ id: "rb_2" }),
      pagedDecision({ id: "rb_1", at: minutesAgo(DAY_MINUTES + 60), outcome: endedAs("refused", 30) }),
      pagedDecision({
        id: "rb_0",
        at: minutesAgo(DAY_MINUTES + 60),
        outcome: endedAs("applied", DAY_MINUTES + 1),
      }),
    ],
    pending: new Set(["rb_3"]),
    holds: holding("no_good_target", releaseOf("1.5.0")),
    freezes: [{ id: "fz_1", scope: "all", by: "ana", reason: "fair", since: minutesAgo(1), until: null }],
    lag: [
      { waitingEntries: 3, lagSeconds: 2 },
      { waitingEntries: 4, lagSeconds: 65 },
    ],
    deadLetters: { kept: 2, dropped: 1 },
    externalUrl: "https://lastgood.example",
  });

  it("as JSON", () => {
    const summary = summarise(all);
    expect(summary).toMatchObject({
      from: "2026-01-30T12:00:00.000Z",
      to: "2026-01-31T12:00:00.000Z",
      releases_watched: 2,
      verdicts: { failing: 1, healthy: 1, inconclusive: 0, unmeasurable: 0 },
      outcomes: { applied: 1, refused: 1, pending: 1, waiting_for_approval: 1 },
      held: [{ version: "1.5.0", reason: "no_good_target" }],
      kill_switch: true,
      freezes: 1,
      pipeline: { lag_seconds: 65, waiting_entries: 7, dead_letters_kept: 2, dead_letters_dropped: 1 },
    });
    expect(summary.decisions.map(({ id, outcome }) => [id, outcome])).toEqual([
      ["sh_1", null],
      ["rb_4", "waiting_for_approval"],
      ["rb_3", "pending"],
      ["rb_2", "applied"],
      ["rb_1", "refused"],
    ]);
  });

  it("as text", () => {
    expect(toText(summarise(all), all.externalUrl).split("\n")).toEqual([
      "Lastgood, 24 hours to 2026-01-31 12:00 UTC",
      "Releases watched: 2 (1 failing, 1 healthy)",
      "• failing: com.acme.till/production 1.4.0, 20 of 100 devices (limit_exceeded)",
      "Decided: 5",
      "• rollback: com.acme.till/production 1.4.0 → 1.3.0, shadow, nothing was touched (sh_1)",
      "• rollback: com.acme.till/production 1.4.0 → 1.3.0, waiting for approval (rb_4)",
      "• rollback: com.acme.till/production 1.4.0 → 1.3.0, pending (rb_3)",
      "• rollback: com.acme.till/production 1.4.0 → 1.3.0, applied (rb_2)",
      "• rollback: com.acme.till/production 1.4.0 → 1.3.0, refused (rb_1)",
      "• held back: com.acme.till/production 1.5.0, no_good_target, since 2026-01-31T11:50:00.000Z",
      "The kill switch is on: nothing is done automatically.",
      "Pipeline: 7 entries wait, the oldest 1 min 5 s; 2 dead letters wait for you: lastgood dead-letters, 1 lost for good",
      "https://lastgood.example/",
    ]);
  });
});

describe("limits", () => {
  it.each([
    [SUMMARY_LINES_MAX, 0],
    [SUMMARY_LINES_MAX + 1, 1],
  ])("%i decisions: %i line says that there are more", (count, more) => {
    const decisions = Array.from({ length: count }, (_, index) => pagedDecision({ id: `rb_${index}` }));
    const lines = textOf({ decisions });
    expect(lines.filter((line) => line.startsWith("• rollback")).length).toBe(SUMMARY_LINES_MAX);
    expect(lines.filter((line) => line === "• and 1 more").length).toBe(more);
    expect(summarise(input({ decisions })).decisions.length).toBe(count);
  });

  it.each([
    [DAY_MINUTES, 1],
    [DAY_MINUTES + 1, 0],
  ])("reported about %i minutes ago: %i", (minutes, watched) => {
    expect(summarise(input({ releases: [release("1.4.0", minutes)] })).releases_watched).toBe(watched);
  });

  it("what a chat would take for its own is escaped", () => {
    expect(textOf({ decisions: [pagedDecision({ id: "<!here> & co" })] }).join("\n")).toContain(
      "(&lt;!here&gt; &amp; co)",
    );
  });
});
