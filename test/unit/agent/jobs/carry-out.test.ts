// The rollback job around the executor: what it tries again and for how long, and what it never does.
import { describe, expect, it } from "vitest";
import { REFUSED_FOR_MS_MAX, carryOut } from "../../../../agent/jobs/carry-out.ts";
import type { CarryOutDeps, CarryOutResult } from "../../../../agent/jobs/carry-out.ts";
import type { Freeze } from "../../../../agent/policy/freeze.ts";
import type { Policy } from "../../../../agent/policy/policy.ts";
import type { DecisionOutcome, DecisionRecord } from "../../../../agent/rollback/decision-record.ts";
import type { OtaServer } from "../../../../agent/rollback/ota-server.ts";
import { createLogger } from "../../../../runtime/logger.ts";
import { sampleDecision, samplePolicy, version } from "../../../support/verdicts.ts";

const DECIDED_AT_MS = Date.UTC(2026, 0, 31, 12);
const decision = sampleDecision("1.4.0", { id: "rb_1" });

interface Facts {
  readonly server: Pick<OtaServer, "readChannel"> & Partial<OtaServer>;
  readonly isConfigured?: boolean;
  readonly mode?: Policy["mode"];
  readonly isPending?: boolean;
  readonly elapsedMs?: number;
  /** When the server began to say no. */
  readonly refusedSinceMs?: number;
  readonly freezes?: readonly Freeze[];
  /** Tries before this one. */
  readonly tries?: number;
}

interface Execution {
  readonly result: CarryOutResult;
  readonly outcomes: readonly DecisionOutcome[];
  readonly triesCounted: number;
}

async function execute(facts: Facts, id = "rb_1"): Promise<Execution> {
  const {
    server,
    isConfigured = true,
    mode = "automatic",
    isPending = true,
    elapsedMs = 0,
    tries = 0,
    freezes = [],
    refusedSinceMs = DECIDED_AT_MS,
  } = facts;
  const outcomes: DecisionOutcome[] = [];
  let counted = tries;
  const deps: CarryOutDeps = {
    decisions: {
      read: (asked: string) => Promise.resolve(asked === decision.id ? decision : undefined),
      isPending: () => Promise.resolve(isPending),
      countTry: () => Promise.resolve((counted += 1)),
      refusedSince: () => Promise.resolve(refusedSinceMs),
      wasAsked: () => Promise.resolve(false),
      noteAsked: () => Promise.resolve(),
      notRefused: () => Promise.resolve(),
      recordOutcome: (_decision: DecisionRecord, outcome: DecisionOutcome) => {
        outcomes.push(outcome);
        return Promise.resolve("appended");
      },
    } as unknown as CarryOutDeps["decisions"],
    summaries: {
      writeChannel: () => Promise.resolve(),
      readChannel: () => Promise.resolve(undefined),
      read: () => Promise.resolve(undefined),
    } as unknown as CarryOutDeps["summaries"],
    freezes: { list: () => Promise.resolve(freezes) } as unknown as CarryOutDeps["freezes"],
    absolutions: { read: () => Promise.resolve(undefined) },
    alerts: { isFiring: () => Promise.resolve(true) },
    watchedOf: () =>
      isConfigured ? { server: server as OtaServer, policy: samplePolicy({ mode }) } : undefined,
    clock: () => DECIDED_AT_MS + elapsedMs,
    logger: createLogger({ name: "test", level: "silent" }),
  };
  return { result: await carryOut(id, deps), outcomes, triesCounted: counted - tries };
}

const away = (retryAfterMs?: number): Facts["server"] => ({
  readChannel: () =>
    Promise.resolve({
      kind: "unavailable",
      detail: "away",
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    }),
});
const refusing: Facts["server"] = {
  readChannel: () => Promise.resolve({ kind: "refused", detail: "401" }),
};
const mustNotBeAsked: Facts["server"] = {
  readChannel: () => Promise.reject(new Error("must not be asked")),
};

function offering(texts: readonly string[]): Facts["server"] {
  const shown = [...texts];
  return {
    readChannel: () =>
      Promise.resolve({ kind: "channel", state: { version: version(shown.shift()!), releases: [] } }),
    rollback: () => Promise.resolve({ kind: "done", version: version("1.3.0") }),
  };
}

describe("a server that is away", () => {
  it("is tried again with the number of this try and its own wish, for ever", async () => {
    expect((await execute({ server: away() })).result).toEqual({
      kind: "try_again",
      tries: 1,
      retryAfterMs: undefined,
    });
    const late = { server: away(3_000), tries: 41, elapsedMs: 30 * 24 * 3_600_000 };
    expect(await execute(late)).toMatchObject({
      result: { kind: "try_again", tries: 42, retryAfterMs: 3_000 },
      outcomes: [],
    });
  });
});

describe("REFUSED_FOR_MS_MAX", () => {
  const stillBad = (): Facts["server"] => offering(["1.4.0", "1.4.0"]);

  it.each([
    ["refused", () => refusing],
    ["done, but the condemned version is still offered", stillBad],
  ] as const)("%s: tried again for an hour, and then told", async (_name, serverOf) => {
    expect(REFUSED_FOR_MS_MAX).toBe(3_600_000);
    const before = { server: serverOf(), elapsedMs: REFUSED_FOR_MS_MAX - 1 };
    expect(await execute(before)).toMatchObject({ result: { kind: "try_again", tries: 1 }, outcomes: [] });
    const over = await execute({ server: serverOf(), elapsedMs: REFUSED_FOR_MS_MAX, tries: 240 });
    expect(over.result).toEqual({ kind: "ended" });
    expect(over.outcomes.map(({ attempts }) => attempts)).toEqual([241]);
    expect(["refused", "failed"]).toContain(over.outcomes[0]!.kind);
  });

  it("the hour begins with the first no, not with the decision", async () => {
    const elapsedMs = 3 * REFUSED_FOR_MS_MAX;
    const refusedSinceMs = DECIDED_AT_MS + elapsedMs;
    const { result, outcomes } = await execute({ server: refusing, elapsedMs, refusedSinceMs });
    expect(result).toMatchObject({ kind: "try_again" });
    expect(outcomes).toEqual([]);
  });

  it("failed with another version than the condemned one ends at once: the bad one is off the air", async () => {
    const { result, outcomes } = await execute({ server: offering(["1.4.0", "1.2.0"]) });
    expect(result).toEqual({ kind: "ended" });
    expect(outcomes).toMatchObject([{ kind: "failed", version_seen: "1.2.0", attempts: 1 }]);
  });
});

describe("what is not carried out", () => {
  it("an unknown decision, and one that has left the outbox: the server is not even asked", async () => {
    const nothing = { result: { kind: "ended" }, outcomes: [], triesCounted: 0 };
    expect(await execute({ server: mustNotBeAsked }, "rb_2")).toEqual(nothing);
    expect(await execute({ server: mustNotBeAsked, isPending: false })).toEqual(nothing);
  });

  it("one whose channel is not configured any more waits; it is never dropped", async () => {
    const facts = { server: mustNotBeAsked, isConfigured: false, elapsedMs: 10 * REFUSED_FOR_MS_MAX };
    expect(await execute(facts)).toMatchObject({ result: { kind: "try_again" }, outcomes: [] });
  });

  it("one whose policy is in shadow mode now waits, and touches nothing", async () => {
    const facts = { server: mustNotBeAsked, mode: "shadow", elapsedMs: 10 * REFUSED_FOR_MS_MAX } as const;
    expect(await execute(facts)).toMatchObject({ result: { kind: "try_again" }, outcomes: [] });
  });
});
