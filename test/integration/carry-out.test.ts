// Carrying decisions out, on a real Redis with the real HTTP adapter: what is recorded once however many
// try, and what counts as an act afterwards.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { REFUSED_FOR_MS_MAX, carryOut } from "../../agent/jobs/carry-out.ts";
import type { CarryOutDeps, CarryOutResult } from "../../agent/jobs/carry-out.ts";
import { OUTBOX_TRIES } from "../../agent/journal/control-keys.ts";
import { createAbsolutionStore } from "../../agent/journal/absolution-store.ts";
import { createAlertStore } from "../../agent/journal/alert-store.ts";
import { createFreezeStore } from "../../agent/journal/freeze-store.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import type { Journal } from "../../agent/journal/journal.ts";
import { createSummaryStore } from "../../agent/journal/summary-store.ts";
import { decisionIdOf } from "../../agent/rollback/decision-record.ts";
import type { DecisionOutcome, DecisionRecord } from "../../agent/rollback/decision-record.ts";
import { createDecisionStore } from "../../agent/rollback/decision-store.ts";
import type { DecisionStore } from "../../agent/rollback/decision-store.ts";
import { roundsOf } from "../../agent/rollback/channel-history.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../../agent/rollback/outcome.ts";
import { createHttpOtaServer } from "../../agent/rollback/servers/http.ts";
import { systemClock } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { OTA_SECRET, startOtaServer } from "../support/agent.ts";
import type { TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import {
  TILL,
  historyOn,
  pastRollback,
  releaseOf,
  sampleDecision,
  samplePolicy,
  version,
} from "../support/verdicts.ts";

const DECIDED_AT_MS = Date.UTC(2026, 0, 31, 12);

let server: TestRedis;
let redis: Redis;
let journal: Journal;
let decisions: DecisionStore;
let ota: TestOtaServer;
let deps: CarryOutDeps;
let nowMs: number;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  journal = createJournal({ redis });
  decisions = createDecisionStore({ redis, journal });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  nowMs = DECIDED_AT_MS + 1_000;
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  const http = createHttpOtaServer({
    url: ota.url,
    secret: OTA_SECRET,
    timeoutMs: 2_000,
    clock: systemClock,
  });
  deps = {
    decisions,
    summaries: createSummaryStore({ redis }),
    freezes: createFreezeStore({ redis, journal }),
    absolutions: createAbsolutionStore({ redis, journal }),
    alerts: createAlertStore({ redis, journal }),
    watchedOf: () => ({ server: http, policy: samplePolicy() }),
    clock: () => nowMs,
    logger: createLogger({ name: "test", level: "silent" }),
  };
  return () => ota.close();
});

function decisionOn(text: string, fields: Partial<DecisionRecord> = {}): DecisionRecord {
  return sampleDecision(text, { at: new Date(DECIDED_AT_MS).toISOString(), ...fields });
}

const NO_HISTORY = {
  condemned: new Set(),
  rolledBack: new Set(),
  rejected: new Set(),
  pastRollbacks: [],
  overallRollbacksMs: [],
};

function outcome(kind: DecisionOutcome["kind"]): DecisionOutcome {
  return { kind, at: "2026-01-31T12:00:01.000Z", detail: "", version_seen: null, attempts: 1 };
}

async function kindsInJournal(): Promise<string[]> {
  return (await journal.read({ afterSeq: 0, limit: 100 })).map(({ kind }) => kind);
}

describe("a decision", () => {
  it("is recorded once, and stands in the outbox until its outcome is told", async () => {
    const decision = decisionOn("1.4.0");
    const results = await Promise.all([1, 2, 3].map(() => decisions.record(decision)));
    expect(results.toSorted()).toEqual(["appended", "exists", "exists"]);
    expect(await decisions.listPending()).toEqual([decision.id]);
    expect(await historyOn(decisions, TILL)).toEqual({
      condemned: new Set(["1.4.0"]),
      rolledBack: new Set(["1.4.0"]),
      rejected: new Set(),
      pastRollbacks: [pastRollback("1.4.0", "1.3.0", DECIDED_AT_MS)],
      overallRollbacksMs: [DECIDED_AT_MS],
    });
    await decisions.recordOutcome(decision, outcome("applied"));
    expect(await decisions.listPending()).toEqual([]);
    expect(await decisions.record(decision)).toBe("exists");
    expect(await kindsInJournal()).toEqual(["decision", "outcome"]);
  });

  it("of a shadow condemns nothing and waits for nobody", async () => {
    expect(await decisions.record(decisionOn("1.4.0", { mode: "shadow" }))).toBe("appended");
    expect(await decisions.listPending()).toEqual([]);
    expect(await historyOn(decisions, TILL)).toEqual(NO_HISTORY);
    // The policy may become automatic later, and then acts.
    expect(await decisions.record(decisionOn("1.4.0"))).toBe("appended");
  });

  it("of a channel whose name begins like another's is not that one's", async () => {
    await decisions.record(
      decisionOn("1.4.0", { channel: "production-eu" as typeof TILL.channel, id: "rb_eu" }),
    );
    expect(await historyOn(decisions, TILL)).toEqual({ ...NO_HISTORY, overallRollbacksMs: [DECIDED_AT_MS] });
  });

  it("that ended as stale condemns, but leaves the release its rollback, under an id of its own", async () => {
    const first = decisionOn("1.4.0");
    const rounds = [first.id];
    for (let round = 1; round <= 2; round += 1) {
      const decision = decisionOn("1.4.0", { id: rounds.at(-1)! });
      expect(await decisions.record(decision)).toBe("appended");
      await decisions.recordOutcome(decision, outcome("stale"));
      expect(roundsOf(await decisions.list(), releaseOf("1.4.0"))).toBe(round);
      expect(await historyOn(decisions, TILL)).toEqual({ ...NO_HISTORY, condemned: new Set(["1.4.0"]) });
      rounds.push(decisionIdOf(releaseOf("1.4.0"), { action: "rollback", mode: "automatic", rounds: round }));
    }
    expect(rounds).toEqual([first.id, `${first.id}-2`, `${first.id}-3`]);
    expect(roundsOf(await decisions.list(), releaseOf("1.3.0"))).toBe(0);
  });
});

describe("acts of the past, for cooldown and one-hop", () => {
  it("are those that went through or may have; newest first", async () => {
    for (const [index, kind] of ROLLBACK_OUTCOME_KINDS.entries()) {
      const decision = decisionOn(`2.${index}.0`, { at: `2026-01-31T12:0${index}:00.000Z` });
      await decisions.record(decision);
      await decisions.recordOutcome(decision, outcome(kind));
    }
    await decisions.record(decisionOn("3.0.0", { at: "2026-01-31T13:00:00.000Z" }));
    const { condemned, rolledBack, pastRollbacks: past } = await historyOn(decisions, TILL);
    // All but the one that was withdrawn.
    expect(condemned.size).toBe(ROLLBACK_OUTCOME_KINDS.length);
    // All but those that did nothing (stale, expired, withdrawn), or were refused a yes, have used up their act.
    expect([...rolledBack].toSorted()).toEqual(["2.0.0", "2.1.0", "2.3.0", "2.4.0", "2.5.0", "3.0.0"]);
    expect(past.map(({ from }) => from)).toEqual(["3.0.0", "2.4.0", "2.1.0", "2.0.0"]);
    expect(past[0]).toEqual(pastRollback("3.0.0", "1.3.0", Date.UTC(2026, 0, 31, 13)));
    // The cooldown begins when the server had answered, not with the decision.
    expect(past.at(-1)).toEqual(pastRollback("2.0.0", "1.3.0", DECIDED_AT_MS + 1_000));
  });
});

describe("executing", () => {
  async function executeUntilEnded(id: string, triesMax: number): Promise<number> {
    for (let tries = 0; tries < triesMax; tries += 1)
      if ((await carryOut(id, deps)).kind === "ended") return tries + 1;
    throw new Error(`not ended after ${triesMax} tries`);
  }

  it("500 nine times, then done: one act, ten tries, one outcome", async () => {
    const decision = decisionOn("1.4.0");
    await decisions.record(decision);
    ota.setFaults([{ kind: "error", status: 500, times: 9 }]);
    expect(await executeUntilEnded(decision.id, 20)).toBe(10);
    expect((await decisions.read(decision.id))!.outcome).toMatchObject({ kind: "applied", attempts: 10 });
    expect(ota.calls().filter(({ acted }) => acted).length).toBe(1);
    expect(await kindsInJournal()).toEqual(["decision", "outcome"]);
  });

  it.each([
    ["cut", { kind: "cut", on: "both", times: 3 }],
    ["garbage", { kind: "garbage", times: 1 }],
    ["a redirect", { kind: "redirect", location: "http://127.0.0.1:1/", times: 2 }],
    ["too many requests", { kind: "rate_limited", times: 2 }],
    ["a late answer", { kind: "late", ms: 2_500, times: 1 }],
  ] as const)("%s: never two acts, and an outcome that is true", async (_name, fault) => {
    const decision = decisionOn("1.4.0");
    await decisions.record(decision);
    ota.setFaults([fault]);
    await executeUntilEnded(decision.id, 10);
    expect(["applied", "already_applied"]).toContain((await decisions.read(decision.id))!.outcome!.kind);
    expect(ota.calls().filter(({ acted }) => acted).length).toBe(1);
    expect(ota.readChannel(TILL)!.version).toBe("1.3.0");
  });

  it.each([401, 403, 422])(
    "%d: tried again for an hour, told once as refused, then left alone",
    async (status) => {
      const decision = decisionOn("1.4.0");
      await decisions.record(decision);
      ota.setFaults([{ kind: "error", status, times: 100 }]);
      // The hour begins with the first no, however long the decision has waited for an answer.
      nowMs = DECIDED_AT_MS + 2 * REFUSED_FOR_MS_MAX;
      expect(await carryOut(decision.id, deps)).toMatchObject({ kind: "try_again", tries: 1 });
      nowMs += REFUSED_FOR_MS_MAX - 1;
      expect(await carryOut(decision.id, deps)).toMatchObject({ kind: "try_again", tries: 2 });
      expect((await decisions.read(decision.id))!.outcome).toBeNull();
      nowMs += 1;
      expect(await carryOut(decision.id, deps)).toEqual({ kind: "ended" });
      expect((await decisions.read(decision.id))!.outcome).toMatchObject({ kind: "refused", attempts: 3 });
      expect(await carryOut(decision.id, deps)).toEqual({ kind: "ended" });
      expect(ota.calls().filter(({ call }) => call === "rollback").length).toBe(3);
      expect(await kindsInJournal()).toEqual(["decision", "outcome"]);
    },
  );

  it("refused while a secret is changed, then allowed: applied, and every try is counted", async () => {
    const decision = decisionOn("1.4.0");
    await decisions.record(decision);
    ota.setFaults([{ kind: "error", status: 401, times: 2 }]);
    expect(await executeUntilEnded(decision.id, 5)).toBe(3);
    expect((await decisions.read(decision.id))!.outcome).toMatchObject({ kind: "applied", attempts: 3 });
    expect(ota.readChannel(TILL)!.version).toBe("1.3.0");
    // Nothing of the counting is left behind.
    expect(await redis.exists(OUTBOX_TRIES)).toBe(0);
  });

  it("a server that says done and goes on offering the condemned version is asked again", async () => {
    const decision = decisionOn("1.4.0");
    await decisions.record(decision);
    ota.setFaults([{ kind: "another_version", version: version("1.4.0") }]);
    expect(await carryOut(decision.id, deps)).toMatchObject({ kind: "try_again", tries: 1 });
    expect(await decisions.listPending()).toEqual([decision.id]);
  });

  it("two workers at once (a job that was taken over): one act, and one outcome in the journal", async () => {
    const decision = decisionOn("1.4.0");
    await decisions.record(decision);
    const results = await Promise.all<CarryOutResult>([
      carryOut(decision.id, deps),
      carryOut(decision.id, deps),
    ]);
    expect(results).toEqual([{ kind: "ended" }, { kind: "ended" }]);
    expect(ota.calls().filter(({ acted }) => acted).length).toBe(1);
    expect(await kindsInJournal()).toEqual(["decision", "outcome"]);
  });
});
