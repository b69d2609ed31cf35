// What decisions of the past mean for the next one: who is condemned, who had their act, what counts for budgets.
import { describe, expect, it, test } from "vitest";
import { channelHistory } from "../../../../agent/rollback/channel-history.ts";
import type { ChannelHistory } from "../../../../agent/rollback/channel-history.ts";
import type { DecisionRecord } from "../../../../agent/rollback/decision-record.ts";
import { ROLLBACK_OUTCOME_KINDS, UNDONE_OUTCOMES } from "../../../../agent/rollback/outcome.ts";
import type { RollbackOutcomeKind } from "../../../../agent/rollback/outcome.ts";
import { formatReleaseKey } from "../../../../ingest/contract/release-key.ts";
import { TILL, pastRollback, releaseOf, sampleDecision, version } from "../../../support/verdicts.ts";

const AT_MS = Date.parse("2026-01-31T12:00:00.000Z");

function history(
  decisions: readonly DecisionRecord[],
  { action = "rollback", absolvedAt }: { action?: "rollback" | "pause" | "page"; absolvedAt?: string } = {},
): ChannelHistory {
  const absolution = { by: "ana", reason: "backend", at: absolvedAt ?? "", times: 1 };
  const absolutions =
    absolvedAt === undefined ? [] : [[formatReleaseKey(releaseOf("1.4.0")), absolution] as const];
  return channelHistory({ decisions, absolutions: new Map(absolutions) }, TILL, action);
}

function ended(kind: RollbackOutcomeKind, fields: Partial<DecisionRecord> = {}): DecisionRecord {
  const outcome = {
    kind,
    at: new Date(AT_MS + 1_000).toISOString(),
    detail: "",
    version_seen: null,
    attempts: 1,
  };
  return sampleDecision("1.4.0", { outcome, ...fields });
}

test.each(ROLLBACK_OUTCOME_KINDS)("%s: who is condemned, and who had their act", (kind) => {
  const { condemned, rolledBack } = history([ended(kind)]);
  // What was withdrawn turned out well.
  expect([...condemned]).toEqual(kind === "withdrawn" ? [] : ["1.4.0"]);
  expect(rolledBack.has("1.4.0")).toBe(!UNDONE_OUTCOMES.has(kind) && kind !== "rejected");
});

test("what the channel was put back on is known by its new name too, once the server has answered", () => {
  const decision = ended("applied");
  const outcome = { ...decision.outcome!, version_seen: version("1.4.1") };
  expect(history([{ ...decision, outcome }]).pastRollbacks).toEqual([
    pastRollback("1.4.0", "1.3.0", AT_MS + 1_000, "1.4.1"),
  ]);
  const failed = ended("failed", { outcome: { ...outcome, kind: "failed" } });
  expect(history([failed]).pastRollbacks).toMatchObject([{ to: "1.3.0", as: "1.3.0" }]);
});

test("a refused yes is known as such", () => {
  expect([...history([ended("rejected")]).rejected]).toEqual(["1.4.0"]);
  expect([...history([ended("expired")]).rejected]).toEqual([]);
});

test("a weaker act does not stand in the way of a stronger one, and a stronger one has done it all", () => {
  const paged = ended("paged", { action: "page", target: null });
  expect(history([paged]).rolledBack.size).toBe(0);
  expect(history([paged], { action: "page" }).rolledBack.size).toBe(1);
  expect(history([ended("applied")], { action: "page" }).rolledBack.size).toBe(1);
});

describe("shadows and what people did by hand", () => {
  it("use up no act; a shadow condemns nothing, and neither does an alert that only paged", () => {
    expect(history([ended("applied", { mode: "shadow" })]).condemned.size).toBe(0);
    expect(history([ended("paged", { action: "page", target: null, cause: "alert" })]).condemned.size).toBe(
      0,
    );
    expect(history([ended("applied", { mode: "manual" })]).rolledBack.size).toBe(0);
  });

  it("what a person rolled back from is no place to go to, until somebody puts it back or absolves it", () => {
    const left = ended("applied", { mode: "manual", id: "op_1" });
    expect([...history([left]).condemned]).toEqual(["1.4.0"]);
    expect(history([ended("stale", { mode: "manual" })]).condemned.size).toBe(0);
    expect(history([left], { absolvedAt: left.at }).condemned.size).toBe(0);
    const later = new Date(AT_MS + 60_000).toISOString();
    const back = ended("applied", {
      mode: "manual",
      id: "op_2",
      at: later,
      ...releaseOf("1.3.0"),
      target: version("1.4.0"),
    });
    expect([...history([back, left]).condemned]).toEqual(["1.3.0"]);
  });

  it("a shadow moved nothing; a person's act did, and spends no budget", () => {
    expect(history([ended("applied", { mode: "shadow" })]).pastRollbacks).toEqual([]);
    const { pastRollbacks, overallRollbacksMs } = history([ended("applied", { mode: "manual" })]);
    expect(pastRollbacks).toEqual([{ ...pastRollback("1.4.0", "1.3.0", AT_MS + 1_000), by: "operator" }]);
    expect(overallRollbacksMs).toEqual([]);
  });
});

test("what waits for a person has moved nothing yet", () => {
  const approval = {
    expires_at: "2026-01-31T16:00:00.000Z",
    answer: null,
    answered_at: null,
    answered_by: null,
    note: null,
  };
  const waiting = sampleDecision("1.4.0", { mode: "approval", approval });
  expect(history([waiting])).toMatchObject({ pastRollbacks: [], rolledBack: new Set(["1.4.0"]) });
  const approved = { ...waiting, approval: { ...approval, answer: "approved" as const } };
  expect(history([approved]).pastRollbacks).toEqual([pastRollback("1.4.0", "1.3.0", AT_MS)]);
});

test("an absolution takes the blame off what was decided before it, and not after", () => {
  const decided = ended("applied");
  expect(history([decided], { absolvedAt: decided.at }).condemned.size).toBe(0);
  const before = new Date(AT_MS - 1).toISOString();
  expect(history([decided], { absolvedAt: before }).condemned.size).toBe(1);
  // What was done stays done.
  expect(history([decided], { absolvedAt: decided.at }).pastRollbacks.length).toBe(1);
});
