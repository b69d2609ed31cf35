// Whether a rollback helped: every answer, at its edge.
import { expect, test } from "vitest";
import { UNDER_WAY_MS, judgeFollowUp } from "../../../../agent/rollback/follow-up.ts";
import type { FollowUpFacts } from "../../../../agent/rollback/follow-up.ts";

const DAY_MS = 24 * 3_600_000;

function kindOf(facts: Partial<FollowUpFacts> & { afterMs: number }): string {
  const { afterMs, ...given } = facts;
  const judged = judgeFollowUp({
    version: "1.4.0",
    target: "1.3.0",
    runningAtAct: 100,
    runningNow: 100,
    takenUpSince: 0,
    attemptedAtAct: 200,
    actedAtMs: 1_000,
    followUpMs: DAY_MS,
    nowMs: 1_000 + afterMs,
    ...given,
  });
  expect(judged.detail).toMatch(/1\.4\.0/);
  return judged.kind;
}

test.each([
  ["devices have not moved yet", { afterMs: 60_000 }, "watching"],
  ["one more than half still runs it", { afterMs: 60_000, runningNow: 51 }, "watching"],
  ["half has left it", { afterMs: 60_000, runningNow: 50 }, "effective"],
  ["their time is not over", { afterMs: DAY_MS - 1, runningNow: 51 }, "watching"],
  ["their time is over", { afterMs: DAY_MS, runningNow: 51 }, "not_effective"],
  [
    "nobody ran it, and updates may be under way",
    { afterMs: UNDER_WAY_MS - 1, runningAtAct: 0, runningNow: 0 },
    "watching",
  ],
  [
    "nobody ran it, and nobody takes it up",
    { afterMs: UNDER_WAY_MS, runningAtAct: 0, runningNow: 0 },
    "effective",
  ],
  ["four strays still take it up", { afterMs: DAY_MS / 2, takenUpSince: 4 }, "watching"],
  ["five devices still take it up", { afterMs: DAY_MS / 2, takenUpSince: 5 }, "not_effective"],
  [
    "in a large fleet a few strays are none",
    { afterMs: DAY_MS / 2, takenUpSince: 99, attemptedAtAct: 10_000 },
    "watching",
  ],
  [
    "a hundredth is more than strays",
    { afterMs: DAY_MS / 2, takenUpSince: 100, attemptedAtAct: 10_000 },
    "not_effective",
  ],
] as const)("%s", (_name, facts, kind) => {
  expect(kindOf(facts)).toBe(kind);
});
