// The end of the demo: the figures that it reports, as text and as JSON.
import { describe, expect, it } from "vitest";
import { createBooks } from "../../simulation/books.ts";
import { createPalette } from "../../simulation/demo-screen.ts";
import type { StoryResult } from "../../simulation/demo-story.ts";
import { buildReport, renderReport } from "../../simulation/demo-timeline.ts";

const T0 = Date.UTC(2026, 0, 5);
const SENTENCE =
  "89 of 1,128 devices failed to update to 1.6.0, which is more than the limit of 5 % allows (evidence 598 to 1); the channel goes back to 1.5.0.";
const signals = [
  {
    signal: "update_failure",
    failures: 89,
    trials: 1_128,
    limit: 0.05,
    evidence_log10: 2.777,
    threshold_log10: 2,
  },
];
const options = { seed: 1, devices: 20_000, badRatio: 0.08, rolloutSeconds: 25, killAgent: false };

function storyWith(changes: Partial<StoryResult> = {}): StoryResult {
  const books = createBooks();
  for (let device = 0; device < 1_200; device += 1) {
    books.enter({
      device: `d${device}`,
      version: "1.6.0",
      event: device < 95 ? "install_failed" : "confirmed",
    });
  }
  return {
    happenings: [{ atMs: 33_100, text: "1.6.0 is published; it fails for 8.0 % of devices" }],
    final: {
      kind: "final",
      at: T0,
      offered: "1.5.0",
      fleet: {
        running: { "1.5.0": 19_900, "1.6.0": 5 },
        everRan: { "1.6.0": 1_105, "1.5.0": 19_950 },
        updating: 0,
        silent: 60,
        gaveUp: 40,
        isSettled: true,
        pending: 0,
      },
      reports: {
        accepted: 99_000,
        waiting: 0,
        requests: 1_000,
        retries: 0,
        refused: 0,
        lastRefusal: undefined,
      },
      books: books.all(),
    },
    releases: [],
    decisions: [
      {
        id: "dec-1",
        at: new Date(T0).toISOString(),
        version: "1.6.0",
        target: "1.5.0",
        action: "rollback",
        sentence: SENTENCE,
        evidence: { signals, devices: { attempted: 1_128 } },
        last_needed_report_at: new Date(T0 - 120).toISOString(),
        outcome: { kind: "applied", at: new Date(T0 + 20).toISOString() },
      },
    ],
    rollbacks: [
      {
        receivedAtMs: T0,
        answeredAtMs: T0 + 15,
        status: 200,
        body: { decision_id: "dec-1", from: "1.6.0", to: "1.5.0" },
      },
    ],
    differences: [],
    isGoodRolledBack: false,
    isBadRolledBack: true,
    kill: { kind: "not_asked", atMs: undefined },
    ...changes,
  };
}

function rendered(changes: Partial<StoryResult> = {}, faults: readonly string[] = []): string {
  const report = buildReport({ story: storyWith(changes), options, expectation: "rollback", faults });
  return renderReport(report, createPalette(false));
}

describe("the demo's report", () => {
  it("has the figures of the rollback", () => {
    const report = buildReport({ story: storyWith(), options, expectation: "rollback", faults: [] });
    expect(report.rollback).toMatchObject({
      exposed_at_decision: 1_128,
      exposed_in_the_end: 1_200,
      failures: 89,
      attempts: 1_128,
      last_report_to_answer_ms: 135,
      returned: 1_100,
      not_returned: 5,
      sentence: SENTENCE,
    });
    expect(report.books_agree).toBe(true);
  });

  it("reads as a timeline of at most 80 columns", () => {
    const text = rendered();
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const words of [
      "33.1 s  1.6.0 is published",
      "1,128 when it was decided (5.6 % of the fleet)",
      "1,200 in the end",
      "89 of 1,128 attempts: 7.89 % (limit 5.0 %)",
      "598 to 1, acts at 100",
      "135 ms before the OTA server's answer",
      "1,100 of 1,105 that ran it; 5 fell silent or can't",
      "books agree",
      "as expected: the release was rolled back",
    ])
      expect(text).toContain(words);
  });

  it("prints the differences of the books as a table, and the faults", () => {
    const differences = [{ version: "1.6.0", count: "failed", fleet: 95, agent: undefined } as const];
    const text = rendered({ differences }, ["The books differ in 1 place."]);
    expect(text).toMatch(/1\.6\.0 +failed +95 +absent/);
    expect(text).toContain("The books differ in 1 place.");
    expect(text).not.toContain("as expected");
  });

  it("shows what the verdict was where nothing was rolled back", () => {
    const text = rendered({ rollbacks: [], isBadRolledBack: false });
    expect(text).toContain("No rollback of 1.6.0");
    expect(text).toContain("1,200 of 20,000");
  });

  it.each([
    [undefined, null],
    [T0 - 1, true],
    [T0 + 1, false],
  ])("knows whether the agent decided after it was killed at %s", (atMs, expected) => {
    const kill = { kind: atMs === undefined ? "not_asked" : "restarted", atMs } as const;
    const story = storyWith({ kill });
    const report = buildReport({ story, options, expectation: "rollback", faults: [] });
    expect(report.rollback?.decided_after_kill).toBe(expected);
  });

  it("does without a decision that the agent does not list", () => {
    const report = buildReport({
      story: storyWith({ decisions: [] }),
      options,
      expectation: "rollback",
      faults: [],
    });
    expect(report.rollback?.last_report_to_answer_ms).toBeNull();
  });
});
