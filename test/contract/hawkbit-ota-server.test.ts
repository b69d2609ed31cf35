// The `hawkbit` adapter against its double: the common contract, with what goes wrong at the stop and at the assignment; then
// what only hawkBit has: no channel but targets, verbs that happen later, sets that were never on these targets.
import { describe, expect, it } from "vitest";
import type { RollbackRequest } from "../../agent/rollback/ota-server.ts";
import { channelSchema } from "../../ingest/contract/release-key.ts";
import { HAWKBIT_PAGE } from "../../agent/rollback/servers/hawkbit-api.ts";
import {
  HAWKBIT_ANSWER_PAGES_MAX,
  HAWKBIT_ROLLOUT_PAGES_MAX,
  HAWKBIT_SETS_MAX,
} from "../../agent/rollback/servers/hawkbit-channel.ts";
import type { ActionRow, TargetRow } from "../doubles/hawkbit-state.ts";
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
import type { TestHawkbit } from "../support/hawkbit.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { NEW, NEWER, OLD, OLDER, otaServerContract } from "./ota-server.ts";
import type { NeutralFault, OtaServerHarness } from "./ota-server.ts";
import { toWireFault } from "./wire-faults.ts";

const key = HAWKBIT_KEY;

function toFault(fault: NeutralFault): HawkbitFault {
  return toWireFault(fault, {
    hangMs: HAWKBIT_TIMEOUT_MS * 3,
    anotherVersion: (version) => ({ kind: "another_set" as const, version }),
  });
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
const assignedTo = ({ assigned }: TargetRow): string | null => assigned?.version ?? null;
const openActions = ({ state }: TestHawkbit): ActionRow[] => state.actions.filter(({ active }) => active);
const failOf = (hawkbit: TestHawkbit, target: TargetRow): void => {
  for (const action of openActions(hawkbit))
    if (action.target === target)
      hawkbit.state.feedback(action, { execution: "closed", finished: "failure", code: 137 });
};
const failFirstGroup = (hawkbit: TestHawkbit): void => {
  for (const { target } of openActions(hawkbit)) failOf(hawkbit, target);
};
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

  it("is refused where none of the newest sets is on it, and nothing where there are no others", async () => {
    const hawkbit = await startHawkbit();
    addTargets(hawkbit, 2);
    for (let number = 0; number < HAWKBIT_SETS_MAX; number += 1)
      hawkbit.state.addSet(HAWKBIT_SET, `1.${number}.0`);
    const server = hawkbitServer(hawkbit);
    expect(await server.readChannel(key)).toMatchObject({ state: { version: null } });
    hawkbit.state.addSet(HAWKBIT_SET, "2.0.0");
    const answer = await server.readChannel(key);
    expect([answer.kind, detailOf(answer)]).toEqual([
      "refused",
      expect.stringMatching(/none of the newest 20 of 21/),
    ]);
    await hawkbit.stop();
  });

  it("has its own rollouts among the newest thousand, and no older ones", async () => {
    const hawkbit = await startHawkbit();
    const targets = addTargets(hawkbit, 2);
    for (const version of ["1.1.0", "1.2.0"]) rollOut(hawkbit, version, targets);
    const add = (): void => {
      const [set] = hawkbit.state.sets;
      hawkbit.state.addRollout({ set: set!, filter: "tag==beta", targets: [] });
    };
    for (let count = 2; count < HAWKBIT_ROLLOUT_PAGES_MAX * HAWKBIT_PAGE; count += 1) add();
    const server = hawkbitServer(hawkbit);
    expect(versionsOf(await server.readChannel(key))).toEqual(["1.2.0", "1.1.0"]);
    add();
    expect(versionsOf(await server.readChannel(key))).toEqual(["1.2.0"]);
    await hawkbit.stop();
  });

  it.each([
    [0, OLD],
    [1, NEW],
  ])("a paused rollout's answer is looked for up to a limit (%i beyond it)", async (beyond, version) => {
    const { hawkbit, rollout, targets } = await startHawkbitWithHistory();
    failFirstGroup(hawkbit);
    rollout.status = "paused";
    const old = hawkbit.state.sets.find((set) => set.version === OLD)!;
    const others = HAWKBIT_ANSWER_PAGES_MAX * HAWKBIT_PAGE - 1 + beyond;
    for (const target of addTargets(hawkbit, others, "beta")) hawkbit.state.assign(old, target);
    hawkbit.state.assign(old, targets[0]!);
    expect(await hawkbitServer(hawkbit, { timeoutMs: 5_000 }).readChannel(key)).toMatchObject({
      state: { version },
    });
    await hawkbit.stop();
  });

  it("is what they have installed where none is assigned anything", async () => {
    const { hawkbit, rollout, targets } = await startHawkbitWithHistory({ groups: 1 });
    failFirstGroup(hawkbit);
    rollout.status = "stopped";
    expect(targets.map(assignedTo)).toEqual(Array(10).fill(null));
    expect(await hawkbitServer(hawkbit).readChannel(key)).toMatchObject({ state: { version: OLD } });
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

  it("says so where a server that knows no stop is left with a paused rollout, and nobody needs another set", async () => {
    const { hawkbit, rollout } = await startHawkbitWithHistory({ era: "old" });
    failFirstGroup(hawkbit);
    const refused = await hawkbitServer(hawkbit).rollback(request);
    expect([refused.kind, detailOf(refused)]).toEqual([
      "refused",
      expect.stringMatching(new RegExp(`delete rollout ${rollout.id}`)),
    ]);
    expect(rollout.status).toBe("paused");
    expect(await hawkbitServer(hawkbit).readChannel(key)).toMatchObject({
      state: { version: NEW, paused: true },
    });
    await hawkbit.stop();
  });

  it("is back where such a server has its rollout paused, and a target was given another set since", async () => {
    const { hawkbit } = await startHawkbitWithHistory({ era: "old" });
    const server = hawkbitServer(hawkbit);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    // The devices fail at the repair too: nobody of the first group is assigned anything.
    for (const action of hawkbit.state.actions)
      if (action.active && action.status !== "canceling")
        hawkbit.state.feedback(action, { execution: "closed", finished: "failure" });
    expect(await server.readChannel(key)).toMatchObject({ state: { version: OLD } });
    await hawkbit.stop();
  });

  it("gives the earlier set to who failed and has nothing installed, as far as hawkBit knows; and to nobody else who failed", async () => {
    const { hawkbit, targets } = await startHawkbitWithHistory({ groups: 1 });
    const [known, unknown, installed, other] = targets;
    for (const target of [unknown!, other!]) target.installed = null;
    installed!.installed = hawkbit.state.sets.find(({ version }) => version === NEW)!;
    for (const { target } of openActions(hawkbit).filter(({ target }) => target !== other))
      if ([known, unknown, installed].includes(target)) failOf(hawkbit, target);
    // In error too, and not by the bad set: it was never given it.
    const stranger = hawkbit.state.addTarget("production-stranger", ["production"]);
    hawkbit.state.assign(hawkbit.state.sets[0]!, stranger);
    failOf(hawkbit, stranger);
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect([known, unknown, installed, other, stranger].map((target) => assignedTo(target!))).toEqual([
      null,
      OLD,
      OLD,
      OLD,
      null,
    ]);
    const count = hawkbit.state.actions.length;
    await hawkbitServer(hawkbit).rollback(request);
    expect(hawkbit.state.actions).toHaveLength(count);
    await hawkbit.stop();
  });

  it("stops a rollout that hawkBit paused by itself, whose first group failed to the last target", async () => {
    const { hawkbit, rollout } = await startHawkbitWithHistory();
    failFirstGroup(hawkbit);
    rollout.status = "paused";
    const server = hawkbitServer(hawkbit);
    expect(await server.readChannel(key)).toMatchObject({ state: { version: NEW, paused: true } });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(rollout.status).toBe("stopping");
    expect(await server.readChannel(key)).toMatchObject({ state: { version: OLD } });
    await hawkbit.stop();
  });

  it("stops what else hands the set to its targets: a retry, and a rollout to some of them", async () => {
    const { hawkbit, targets, rollout } = await startHawkbitWithHistory();
    for (const target of targets.slice(0, 2)) failOf(hawkbit, target);
    rollout.status = "finished";
    const some = rollOut(hawkbit, NEW, targets.slice(5, 7), {
      filter: "controllerid=in=(production-5,production-6)",
    });
    const retry = rollOut(hawkbit, NEW, targets.slice(0, 2), { filter: `failedrollout==${rollout.id}` });
    const wider = rollOut(hawkbit, NEW, addTargets(hawkbit, 2, "beta"), { filter: "controllerid==*" });
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect([some.status, retry.status, wider.status]).toEqual(["stopping", "stopping", "running"]);
    await hawkbit.stop();
  });

  it("names the rollout that reaches further and gave the set to its targets again", async () => {
    const { hawkbit, targets } = await startHawkbitWithHistory({ groups: 1 });
    const wider = rollOut(hawkbit, NEW, addTargets(hawkbit, 2, "beta"), { filter: "controllerid==*" });
    const bad = hawkbit.state.sets.find(({ version }) => version === NEW)!;
    // After the repair, before it is looked again.
    hawkbit.afterAssign(() => {
      targets[0]!.assigned = bad;
    });
    const answer = await hawkbitServer(hawkbit, { timeoutMs: 2_000 }).rollback(request);
    expect([answer.kind, detailOf(answer)]).toEqual([
      "unavailable",
      expect.stringMatching(new RegExp(`still has ${NEW} assigned|rollout ${wider.id} reaches beyond`)),
    ]);
    await hawkbit.stop();
  });

  it("goes on where a try ended in the middle: what it had not come to is done by the next", async () => {
    for (const broken of [1, 2]) {
      const { hawkbit, targets } = await startHawkbitWithHistory({ groups: 1 });
      const [failed, installed, between] = targets;
      failed!.installed = null;
      failOf(hawkbit, failed!);
      installed!.installed = hawkbit.state.sets.find(({ version }) => version === NEW)!;
      for (const target of [installed, between]) target!.assigned = null;
      const server = hawkbitServer(hawkbit);
      const far = { ...request, to: OLDER };
      let calls = 0;
      hawkbit.afterAssign(() => {
        calls += 1;
        if (calls === broken) hawkbit.fault("assign", { kind: "error", status: 500 });
      });
      for (let tries = 0; tries < 3 && (await server.rollback(far)).kind !== "done"; tries += 1);
      expect([broken, targets.map(assignedTo)]).toEqual([broken, Array(10).fill(OLDER)]);
      expect(await server.readChannel(key)).toMatchObject({ state: { version: OLDER } });
      await hawkbit.stop();
    }
  });

  it("leaves what is assigned alone while the stop is on its way, and when it has come", async () => {
    const { hawkbit, rollout } = await startHawkbitWithHistory();
    const server = hawkbitServer(hawkbit);
    await server.rollback(request);
    for (const status of ["stopping", "stopped"]) {
      expect(rollout.status).toBe(status);
      expect(await server.readChannel(key)).toMatchObject({ state: { version: OLD } });
      hawkbit.state.tick();
    }
    // No scheduled action is left that a later group could begin.
    expect(hawkbit.state.actions.filter(({ status }) => status === "scheduled")).toEqual([]);
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

  it.each([[403], [500]])(
    "tells of a set that could not be burnt (%i), and that the targets are back",
    async (status) => {
      const { hawkbit } = await startHawkbitWithHistory();
      const server = hawkbitServer(hawkbit, { invalidate: true });
      hawkbit.fault("invalidate", { kind: "error", status });
      const answer = await server.rollback(request);
      expect([answer.kind, detailOf(answer)]).toEqual([
        "unavailable",
        expect.stringMatching(/targets are put back, but .* could not be invalidated; do it by hand/),
      ]);
      expect(await server.readChannel(key)).toMatchObject({ state: { version: OLD } });
      expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
      await hawkbit.stop();
    },
  );

  it("takes more targets than a page holds", async () => {
    const hawkbit = await startHawkbit();
    const targets = addTargets(hawkbit, 1_203);
    rollOut(hawkbit, OLD, targets);
    finishAll(hawkbit);
    rollOut(hawkbit, NEW, targets);
    const server = hawkbitServer(hawkbit, { timeoutMs: 5_000 });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(targets.every(({ assigned }) => assigned?.version === OLD)).toBe(true);
    expect(hawkbit.assignments()).toBe(Math.ceil(1_203 / HAWKBIT_PAGE));
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

  it.each([[400], [404], [405]])("pauses where the stop is answered %i", async (status) => {
    const { hawkbit, rollout } = await startHawkbitWithHistory();
    hawkbit.fault("stop", { kind: "error", status });
    expect(await hawkbitServer(hawkbit).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(rollout.status).toBe("paused");
    await hawkbit.stop();
  });

  it.each([
    [403, "refused"],
    [409, "unavailable"],
    [423, "unavailable"],
    [429, "unavailable"],
  ])("%i to the stop is %s, and nobody is assigned anything", async (status, kind) => {
    const { hawkbit, rollout } = await startHawkbitWithHistory();
    hawkbit.fault("stop", { kind: "error", status });
    expect(await hawkbitServer(hawkbit).rollback(request)).toMatchObject({ kind });
    expect([rollout.status, hawkbit.assignments()]).toEqual(["running", 0]);
    await hawkbit.stop();
  });

  it.each([
    [401, "refused"],
    [403, "refused"],
    [404, "refused"],
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
