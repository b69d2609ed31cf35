// The `hawkbit` adapter against its double: the common contract, with what goes wrong at the stop and at the assignment; then
// what only hawkBit has: no channel but targets, verbs that happen later, sets that were never on these targets.
import { describe, expect, it } from "vitest";
import { ANSWER_BYTES_MAX } from "../../agent/rollback/http-call.ts";
import type { RollbackRequest } from "../../agent/rollback/ota-server.ts";
import { channelSchema } from "../../ingest/contract/release-key.ts";
import type { HawkbitCall, HawkbitFault } from "../doubles/hawkbit.ts";
import {
  HAWKBIT_KEY,
  HAWKBIT_SET,
  HAWKBIT_TIMEOUT_MS,
  addTargets,
  finishAll,
  hawkbitServer,
  rollOut,
  startHawkbit,
  startHawkbitWithHistory,
} from "../support/hawkbit.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { NEW, NEWER, OLD, OLDER, otaServerContract } from "./ota-server.ts";
import type { NeutralFault, OtaServerHarness } from "./ota-server.ts";

const key = HAWKBIT_KEY;

function toFault(fault: NeutralFault): HawkbitFault {
  switch (fault.kind) {
    case "server_error":
      return { kind: "error", status: 500 };
    case "hangs":
      return { kind: "late", ms: HAWKBIT_TIMEOUT_MS * 3 };
    case "acts_but_answer_is_lost":
      return { kind: "lost_answer" };
    case "garbage_answer":
      return { kind: "garbage" };
    case "oversize_answer":
      return { kind: "oversize", bytes: ANSWER_BYTES_MAX + 1 };
    case "rate_limited":
    case "redirect":
      return fault;
    case "sets_another_version":
      return { kind: "another_set", version: fault.version };
    default:
      return fault satisfies never;
  }
}

function harnessWith(faultsOfRollback: "stop" | "assign"): () => Promise<OtaServerHarness> {
  return async () => {
    const { hawkbit, targets } = await startHawkbitWithHistory({ groups: 1 });
    const elsewhere = await startJsonDouble();
    const callOf = (call: "rollback" | "pause" | "read", fault: NeutralFault): HawkbitCall => {
      if (call !== "rollback") return call;
      return fault.kind === "sets_another_version" ? "assign" : faultsOfRollback;
    };
    return {
      server: hawkbitServer(hawkbit),
      stranger: hawkbitServer(hawkbit, { password: "another-password" }),
      key,
      publish: (version) => void rollOut(hawkbit, version, targets),
      fault: (call, fault) => hawkbit.fault(callOf(call, fault), toFault(fault)),
      acts: () => hawkbit.assignments() + hawkbit.pauses(),
      strayRequests: () => elsewhere.requests.length,
      elsewhere: elsewhere.url,
      stopServer: () => hawkbit.stop(),
      async dispose() {
        await hawkbit.stop();
        await elsewhere.close();
      },
    };
  };
}

otaServerContract("hawkbit, trouble at the stop", harnessWith("stop"));
otaServerContract("hawkbit, trouble at the assignment", harnessWith("assign"));

const request: RollbackRequest = { decisionId: "rb_1", ...key, from: NEW, to: OLD, reason: "8 % échouent" };
const detailOf = (answer: object): string => ("detail" in answer ? String(answer.detail) : "");
const versionsOf = (answer: object): string[] =>
  "state" in answer
    ? (answer.state as { releases: { version: string }[] }).releases.map(({ version }) => version)
    : [];

describe("what a channel of targets offers", () => {
  it("is the newest set that any of them is assigned; a set of another channel is none of its releases", async () => {
    const { hawkbit } = await startHawkbitWithHistory();
    rollOut(hawkbit, "1.5.0-beta", addTargets(hawkbit, 3, "beta"), { filter: "tag==beta" });
    const answer = await hawkbitServer(hawkbit).readChannel(key);
    expect(answer).toMatchObject({ kind: "channel", state: { version: NEW, paused: false } });
    expect(versionsOf(answer)).toEqual([NEW, OLD, OLDER]);
    const refused = await hawkbitServer(hawkbit).rollback({ ...request, to: "1.5.0-beta" as typeof OLD });
    expect([refused.kind, detailOf(refused)]).toEqual([
      "refused",
      expect.stringMatching(/never on these targets/),
    ]);
    await hawkbit.stop();
  });

  it("is still the new one when its whole first group failed, while the rollout may hand it to the next", async () => {
    const { hawkbit } = await startHawkbitWithHistory();
    for (const action of hawkbit.state.actions)
      if (action.active)
        hawkbit.state.feedback(action, { execution: "closed", finished: "failure", code: 137 });
    const server = hawkbitServer(hawkbit);
    expect(await server.readChannel(key)).toMatchObject({ state: { version: NEW } });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(hawkbit.state.rollouts.at(-1)!.status).toBe("stopping");
    await hawkbit.stop();
  });

  it("has earlier releases only where they were rolled out with its filter, or are installed", async () => {
    const hawkbit = await startHawkbit();
    const targets = addTargets(hawkbit, 4);
    const set = hawkbit.state.addSet(HAWKBIT_SET, "1.1.0");
    hawkbit.state.assign(set, targets[0]!);
    finishAll(hawkbit);
    hawkbit.state.addSet(HAWKBIT_SET, "1.2.0");
    rollOut(hawkbit, "1.3.0", targets.slice(1));
    expect(versionsOf(await hawkbitServer(hawkbit).readChannel(key))).toEqual(["1.3.0", "1.1.0"]);
    await hawkbit.stop();
  });

  it("is refused with the remedy where the file does not say which targets it is", async () => {
    const { hawkbit } = await startHawkbitWithHistory();
    const answer = await hawkbitServer(hawkbit).readChannel({ ...key, channel: channelSchema.parse("beta") });
    expect([answer.kind, detailOf(answer)]).toEqual([
      "refused",
      expect.stringMatching(/add beta: \{ targets/),
    ]);
    await hawkbit.stop();
  });
});

describe("going back at hawkBit", () => {
  it("stops the rollout, and assigns the earlier set to who was assigned the bad one or has it installed", async () => {
    const { hawkbit, targets, rollout } = await startHawkbitWithHistory();
    const [installed, failed, waiting] = hawkbit.state.actions.filter(({ active }) => active);
    hawkbit.state.feedback(installed!, { execution: "closed", finished: "success" });
    hawkbit.state.feedback(failed!, { execution: "closed", finished: "failure", code: 137 });
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(rollout.status).toBe("stopping");
    hawkbit.state.tick();
    expect(rollout.status).toBe("stopped");
    const assigned = (target: { assigned: { version: string } | null }): string | null =>
      target.assigned?.version ?? null;
    expect([installed!, failed!, waiting!].map(({ target }) => assigned(target))).toEqual([OLD, null, OLD]);
    // The second group never had it.
    expect(targets.slice(5).map(assigned)).toEqual(Array(5).fill(OLD));
    expect(waiting!.status).toBe("canceling");
    await hawkbit.stop();
  });

  it("leaves a rollout of the same set to other targets alone", async () => {
    const { hawkbit } = await startHawkbitWithHistory();
    const beta = rollOut(hawkbit, NEW, addTargets(hawkbit, 3, "beta"), { filter: "tag==beta" });
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(beta.status).toBe("running");
    expect(
      hawkbit.state.targets
        .filter(({ tags }) => tags.includes("beta"))
        .every(({ assigned }) => assigned?.version === NEW),
    ).toBe(true);
    await hawkbit.stop();
  });

  it("pauses where the server is too old to know a stop", async () => {
    const { hawkbit, rollout } = await startHawkbitWithHistory({ era: "old" });
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(rollout.status).toBe("paused");
    await hawkbit.stop();
  });

  it("burns the bad set where that is asked for, and it is no release any more", async () => {
    const { hawkbit } = await startHawkbitWithHistory();
    const server = hawkbitServer(hawkbit, { invalidate: true });
    await server.rollback(request);
    expect(hawkbit.state.sets.find(({ version }) => version === NEW)!.valid).toBe(false);
    expect(versionsOf(await server.readChannel(key))).toEqual([OLD, OLDER]);
    await hawkbit.stop();
  });

  it("takes more targets than a page holds", async () => {
    const hawkbit = await startHawkbit();
    const targets = addTargets(hawkbit, 1_203);
    rollOut(hawkbit, OLD, targets);
    finishAll(hawkbit);
    rollOut(hawkbit, NEW, targets);
    const server = hawkbitServer(hawkbit, { timeoutMs: 5_000 });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(targets.every(({ assigned }) => assigned?.version === OLD)).toBe(true);
    expect(hawkbit.assignments()).toBe(3);
    await hawkbit.stop();
  });

  it("is refused a pause when the rollout has ended: there is nothing to pause", async () => {
    const { hawkbit, rollout } = await startHawkbitWithHistory();
    rollout.status = "finished";
    const { decisionId, app, channel, reason } = request;
    const answer = await hawkbitServer(hawkbit).pause({ decisionId, app, channel, version: NEW, reason });
    expect([answer.kind, detailOf(answer)]).toEqual(["refused", expect.stringMatching(/nothing to pause/)]);
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    await hawkbit.stop();
  });

  it.each([
    [401, "refused"],
    [403, "refused"],
    [409, "unavailable"],
    [423, "unavailable"],
    [429, "unavailable"],
  ])("%i to the assignment is %s", async (status, kind) => {
    const { hawkbit } = await startHawkbitWithHistory();
    hawkbit.fault("assign", { kind: "error", status });
    expect(await hawkbitServer(hawkbit).rollback(request)).toMatchObject({ kind });
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    await hawkbit.stop();
  });

  it("is stale where somebody went on to another set meanwhile", async () => {
    const { hawkbit, targets } = await startHawkbitWithHistory();
    rollOut(hawkbit, NEWER, targets);
    expect(await hawkbitServer(hawkbit).rollback(request)).toMatchObject({ kind: "stale" });
    await hawkbit.stop();
  });
});
