// The executor against a hand-made server: each thing that a server can do, and what is made of it.
import { describe, expect, it } from "vitest";
import { decisionIdOf } from "../../../../agent/rollback/decision-record.ts";
import { executeDecision } from "../../../../agent/rollback/execute.ts";
import type { Execution } from "../../../../agent/rollback/execute.ts";
import type {
  ChannelAnswer,
  OtaServer,
  RollbackAnswer,
  RollbackRequest,
} from "../../../../agent/rollback/ota-server.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../../../../agent/rollback/outcome.ts";
import { releaseOf, sampleDecision, version } from "../../../support/verdicts.ts";

const decision = sampleDecision();

const unavailable = { kind: "unavailable", detail: "answered 503", retryAfterMs: 7_000 } as const;
const refused = { kind: "refused", detail: "answered 401" } as const;
const stale = { kind: "stale", detail: "409" } as const;
const done = { kind: "done", version: version("1.3.0") } as const;

function offers(text: string | null): ChannelAnswer {
  return { kind: "channel", state: { version: text === null ? null : version(text), releases: [] } };
}

/** Answers each read and each rollback with the next of its list, and fails the test when one runs out. */
async function run(
  reads: readonly ChannelAnswer[],
  rollbacks: readonly RollbackAnswer[] = [],
  { wasAsked = false, hindrance }: { wasAsked?: boolean; hindrance?: string } = {},
): Promise<{ execution: Execution; requests: RollbackRequest[] }> {
  const [readsLeft, rollbacksLeft] = [[...reads], [...rollbacks]];
  const requests: RollbackRequest[] = [];
  const next = <T>(list: T[], what: string): Promise<T> => {
    const answer = list.shift();
    return answer === undefined ? Promise.reject(new Error(`one ${what} too many`)) : Promise.resolve(answer);
  };
  const server: OtaServer = {
    type: "hand-made",
    capabilities: { rollback: true, pause: false },
    pause: () => Promise.reject(new Error("nothing is paused here")),
    readChannel: () => next(readsLeft, "read"),
    rollback: (request) => {
      requests.push(request);
      return next(rollbacksLeft, "rollback");
    },
  };
  const execution = await executeDecision(decision, server, {
    wasAsked,
    onAsk: () => Promise.resolve(hindrance),
  });
  expect(readsLeft.length + rollbacksLeft.length).toBe(0);
  return { execution, requests };
}

async function outcomeOf(reads: readonly ChannelAnswer[], rollbacks?: readonly RollbackAnswer[]) {
  const { execution } = await run(reads, rollbacks);
  if (execution.kind !== "ended") throw new Error(`not ended: ${execution.detail}`);
  return execution.outcome;
}

describe("the usual way", () => {
  it("looks, acts with the precondition and the decision's id, looks again: applied", async () => {
    const { execution, requests } = await run([offers("1.4.0"), offers("1.3.0")], [done]);
    expect(execution).toEqual({
      kind: "ended",
      outcome: { kind: "applied", detail: "The channel offers 1.3.0.", versionSeen: "1.3.0" },
    });
    expect(requests).toEqual([
      {
        decisionId: decision.id,
        app: "com.acme.till",
        channel: "production",
        from: "1.4.0",
        to: "1.3.0",
        reason: decision.sentence,
      },
    ]);
  });
});

describe("a server that goes back by releasing the old content again", () => {
  const again: ChannelAnswer = {
    kind: "channel",
    state: {
      version: version("1.4.1"),
      releases: [
        { version: version("1.4.1"), releasedAt: "2026-01-31T12:00:00Z", sameAs: [version("1.3.0")] },
      ],
    },
  };
  const detail = "1.4.1, which is 1.3.0 again.";

  it("has done it when it offers that content under its new name", async () => {
    expect(await outcomeOf([offers("1.4.0"), again], [done])).toEqual({
      kind: "applied",
      detail: `The channel offers ${detail}`,
      versionSeen: "1.4.1",
    });
  });

  it("had done it before when the answer was lost", async () => {
    expect(await outcomeOf([again])).toEqual({
      kind: "already_applied",
      detail: `The channel already offers ${detail}`,
      versionSeen: "1.4.1",
    });
  });
});

describe("before the act", () => {
  it("the target is there already (a lost answer, or a person): already_applied, and no call", async () => {
    expect(await outcomeOf([offers("1.3.0")])).toMatchObject({
      kind: "already_applied",
      versionSeen: "1.3.0",
    });
  });

  it.each(["1.4.1", null])("the channel offers %s: stale, and no call", async (seen) => {
    expect(await outcomeOf([offers(seen)])).toMatchObject({ kind: "stale", versionSeen: seen });
  });

  it.each(["1.4.1", null])(
    "asked before without an answer, and now it offers %s: nobody knows",
    async (seen) => {
      const { execution, requests } = await run([offers(seen)], [], { wasAsked: true });
      expect(execution).toMatchObject({ kind: "ended", outcome: { kind: "failed", versionSeen: seen } });
      expect(requests).toEqual([]);
    },
  );

  it("something came in between after the look: try again, and no call", async () => {
    const { execution, requests } = await run([offers("1.4.0")], [], { hindrance: "ana froze it" });
    expect(execution).toEqual({ kind: "try_again", detail: "ana froze it" });
    expect(requests).toEqual([]);
  });

  it("the server can't be asked: try again when it said to, and no call", async () => {
    const { execution, requests } = await run([unavailable]);
    expect(execution).toEqual({ kind: "try_again", detail: "answered 503", retryAfterMs: 7_000 });
    expect(requests).toEqual([]);
  });

  it("the server refuses to be asked: refused, and no call", async () => {
    expect(await outcomeOf([refused])).toEqual({
      kind: "refused",
      detail: "answered 401",
      versionSeen: null,
    });
  });
});

describe("the act", () => {
  it("no answer that helps: try again, nothing is claimed", async () => {
    const { execution } = await run([offers("1.4.0")], [{ kind: "unavailable", detail: "cut" }]);
    expect(execution).toEqual({ kind: "try_again", detail: "cut" });
  });

  it("refused: ended, with the server's words", async () => {
    expect(await outcomeOf([offers("1.4.0")], [refused])).toEqual({
      kind: "refused",
      detail: "answered 401",
      versionSeen: "1.4.0",
    });
  });

  it("409, and the channel is on the target: somebody else did it", async () => {
    expect(await outcomeOf([offers("1.4.0"), offers("1.3.0")], [stale])).toMatchObject({
      kind: "already_applied",
    });
  });

  it.each(["1.4.1", null])("409, and the channel offers %s: stale", async (seen) => {
    expect(await outcomeOf([offers("1.4.0"), offers(seen)], [stale])).toMatchObject({
      kind: "stale",
      versionSeen: seen,
    });
  });
});

describe("a 409 that is not true", () => {
  it("while the channel still offers the condemned version is tried again: the fleet must not stay on it", async () => {
    const { execution } = await run([offers("1.4.0"), offers("1.4.0")], [stale]);
    expect(execution).toEqual({
      kind: "try_again",
      detail: "the server answered 409, but the channel still offers 1.4.0",
    });
  });
});

describe("reading back", () => {
  it.each(["1.4.0", "1.2.0", null])("said done, but the channel offers %s: failed", async (seen) => {
    const outcome = await outcomeOf([offers("1.4.0"), offers(seen)], [done]);
    expect(outcome).toMatchObject({ kind: "failed", versionSeen: seen });
    expect(outcome.detail).toContain(`offers ${seen ?? "nothing"} instead of 1.3.0`);
  });

  it("believes the channel, not the version in the answer", async () => {
    const lie: RollbackAnswer = { kind: "done", version: version("1.2.0") };
    expect(await outcomeOf([offers("1.4.0"), offers("1.3.0")], [lie])).toMatchObject({ kind: "applied" });
  });

  it("not possible just now: try again, and the next try finds the target", async () => {
    const { execution } = await run([offers("1.4.0"), unavailable], [done]);
    expect(execution).toMatchObject({ kind: "try_again" });
  });

  it("said done and then refuses to be read: failed, not refused, for the act may well have happened", async () => {
    const outcome = await outcomeOf([offers("1.4.0"), refused], [done]);
    expect(outcome).toMatchObject({ kind: "failed", versionSeen: null });
    expect(outcome.detail).toContain("answered 401");
  });

  it("said stale and then refuses to be read: refused", async () => {
    expect(await outcomeOf([offers("1.4.0"), refused], [stale])).toMatchObject({ kind: "refused" });
  });
});

describe("the decision's id", () => {
  it("follows from the release alone, and differs for a shadow, a channel, a version", () => {
    const ids = [
      decisionIdOf(releaseOf("1.4.0"), { action: "rollback", mode: "automatic" }),
      decisionIdOf(releaseOf("1.4.0"), { action: "rollback", mode: "shadow" }),
      decisionIdOf(releaseOf("1.4.1"), { action: "rollback", mode: "automatic" }),
      decisionIdOf(
        { ...releaseOf("1.4.0"), channel: "beta" as typeof decision.channel },
        { action: "rollback", mode: "automatic" },
      ),
    ];
    expect(new Set(ids).size).toBe(4);
    expect(decisionIdOf(releaseOf("1.4.0"), { action: "rollback", mode: "automatic" })).toBe(decision.id);
    expect(ids[0]).toMatch(/^rb_[0-9a-f]{20}$/);
    expect(ids[1]).toMatch(/^sh_[0-9a-f]{20}$/);
  });
});

it("every outcome has been seen here", async () => {
  const outcomes = await Promise.all([
    outcomeOf([offers("1.4.0"), offers("1.3.0")], [done]),
    outcomeOf([offers("1.3.0")]),
    outcomeOf([offers("1.4.1")]),
    outcomeOf([refused]),
    outcomeOf([offers("1.4.0"), offers("1.4.0")], [done]),
  ]);
  const withoutServer = ["paged", "expired", "rejected", "withdrawn"];
  expect([...outcomes.map(({ kind }) => kind), ...withoutServer]).toEqual([...ROLLBACK_OUTCOME_KINDS]);
});

describe("a pause", () => {
  const pauseDecision = sampleDecision("1.4.0", { action: "pause", target: null });
  const state = (text: string, paused?: boolean): ChannelAnswer => ({
    kind: "channel",
    state: { version: version(text), releases: [], ...(paused === undefined ? {} : { paused }) },
  });
  async function pauseWith(reads: ChannelAnswer[], answer?: RollbackAnswer): Promise<[Execution, number]> {
    let asked = 0;
    const server: OtaServer = {
      type: "hand-made",
      capabilities: { rollback: true, pause: true },
      readChannel: () => Promise.resolve(reads.shift()!),
      rollback: () => Promise.reject(new Error("nothing is rolled back here")),
      pause: ({ version: paused, decisionId }) => {
        asked += 1;
        expect([paused, decisionId]).toEqual(["1.4.0", pauseDecision.id]);
        return Promise.resolve(answer!);
      },
    };
    const runs = { wasAsked: false, onAsk: () => Promise.resolve(undefined) };
    return [await executeDecision(pauseDecision, server, runs), asked];
  }
  const doneOn = (text: string): RollbackAnswer => ({ kind: "done", version: version(text) });

  it.each([
    ["shown", [state("1.4.0", false), state("1.4.0", true)], doneOn("1.4.0"), "applied", 1],
    ["not shown by the server", [state("1.4.0"), state("1.4.0")], doneOn("1.4.0"), "applied", 1],
    ["denied by the read-back", [state("1.4.0", false), state("1.4.0", false)], doneOn("1.4.0"), "failed", 1],
    ["there already", [state("1.4.0", true)], undefined, "already_applied", 0],
    ["of what is not offered any more", [state("1.4.1", false)], undefined, "stale", 0],
    ["refused", [state("1.4.0", false)], refused, "refused", 1],
  ] as const)("%s", async (_name, reads, answer, kind, calls) => {
    const [execution, asked] = await pauseWith([...reads], answer);
    expect(execution).toMatchObject({ kind: "ended", outcome: { kind } });
    expect(asked).toBe(calls);
  });
});
