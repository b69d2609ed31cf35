// What devices told hawkBit, read from its double: each status as the report that it is, nothing left out while actions
// change between pages, nothing that counts twice.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HAWKBIT_ACTIONS_PAGE, createHawkbitPoller } from "../../agent/polling/hawkbit.ts";
import { HAWKBIT_FIRST_MS, HAWKBIT_OVERLAP_MS } from "../../agent/polling/hawkbit-cursor.ts";
import { HAWKBIT_STATUSES_MAX } from "../../agent/rollback/servers/hawkbit-api.ts";
import type { StatusPoller } from "../../agent/polling/status-poller.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import type { Channel } from "../../ingest/contract/release-key.ts";
import type { ActionRow } from "../doubles/hawkbit-state.ts";
import { createRandom } from "../simulation/random.ts";
import {
  HAWKBIT_KEY,
  HAWKBIT_SET,
  addTargets,
  finishAll,
  rollOut,
  startHawkbit,
} from "../support/hawkbit.ts";
import type { TestHawkbit } from "../support/hawkbit.ts";

let nowMs: number;
let hawkbit: TestHawkbit;
let poller: StatusPoller;

beforeEach(async () => {
  nowMs = Date.UTC(2026, 0, 31, 12);
  hawkbit = await startHawkbit({ clock: () => (nowMs += 1) });
  poller = pollerWith();
});
afterEach(() => hawkbit.stop());

function pollerWith(targets: Record<string, string> = { production: "tag==production" }): StatusPoller {
  return createHawkbitPoller({
    url: hawkbit.url,
    username: "admin",
    password: "example-password",
    distributionSet: HAWKBIT_SET,
    targets: new Map(Object.entries(targets) as [Channel, string][]),
    invalidate: false,
    app: HAWKBIT_KEY.app,
    timeoutMs: 5_000,
    clock: () => nowMs,
  });
}

/** Reads until there is no more, as the frame does. */
async function readAll(cursor?: string): Promise<{ reports: DeviceReport[]; cursor: string; pages: number }> {
  const reports: DeviceReport[] = [];
  for (let pages = 1; ; pages += 1) {
    const answer = await poller.poll(cursor);
    if (answer.kind !== "page") throw new Error(answer.detail);
    reports.push(...answer.reports);
    cursor = answer.cursor;
    if (!answer.more) return { reports, cursor, pages };
  }
}

const told = (reports: readonly DeviceReport[]): string[] =>
  reports.map(({ device, event, version }) => `${device} ${event} ${version}`).toSorted();
const close = (action: ActionRow, finished: "success" | "failure", code?: number): void =>
  hawkbit.state.feedback(action, { execution: "closed", finished, code });
/** As a device does it: it asks, and reads what there is for it. */
const take = (action: ActionRow): void => {
  hawkbit.state.hear(action.target);
  hawkbit.state.retrieve(action);
};
const proceed = (action: ActionRow): void =>
  hawkbit.state.feedback(action, { execution: "proceeding", finished: "none" });
/** The time of what an action went through last of that kind. */
const timeOf = ({ history }: ActionRow, status: string): number | undefined =>
  history.findLast(({ type }) => type === status)?.reportedAt;

describe("what a status says", () => {
  it("an action that nobody has taken yet says nothing: the device may be switched off", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2), { groups: 2 });
    // Nor does one whose device is there and was told of it, but has not read it.
    hawkbit.state.hear(hawkbit.state.targets[0]!);
    expect((await readAll()).reports).toEqual([]);
  });

  it("outcomes carry the server's own time, the code as reason, and the same name each time", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [good, bad, retrieved] = hawkbit.state.actions;
    close(good!, "success");
    // The device's clock is still where it was made.
    hawkbit.state.feedback(bad!, {
      execution: "closed",
      finished: "failure",
      code: 137,
      timestamp: 86_400_000,
    });
    take(retrieved!);
    const { reports } = await readAll();
    expect(told(reports)).toEqual([
      "production-0 confirmed 1.4.0",
      "production-1 install_failed 1.4.0",
      "production-2 update_started 1.4.0",
    ]);
    expect(reports.find(({ device }) => device === "production-1")).toMatchObject({
      app: "com.acme.till",
      channel: "production",
      at: timeOf(bad!, "error"),
      reason: "code_137",
      id: `hawkbit-${bad!.id}-error`,
    });
    expect(await readAll()).toMatchObject({ reports });
  });

  it("an outcome tells when its device had taken the action; `running` says it where it had", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [ended, proceeding, scheduled] = hawkbit.state.actions;
    for (const action of [ended!, proceeding!]) {
      take(action);
      proceed(action);
    }
    close(ended!, "failure");
    // Changed by the server when its group began, and taken by nobody.
    hawkbit.state.touch(scheduled!, "running");
    const { reports } = await readAll();
    expect(told(reports)).toEqual([
      "production-0 install_failed 1.4.0",
      "production-0 update_started 1.4.0",
      "production-1 update_started 1.4.0",
    ]);
    const started = reports.find(
      ({ event, device }) => event === "update_started" && device === "production-0",
    );
    expect(started).toMatchObject({ at: timeOf(ended!, "retrieved") });
  });

  it("a device that took the action and never came back has begun, also when the action is being cancelled", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2));
    const [bricked, cancelled] = hawkbit.state.actions;
    for (const action of [bricked!, cancelled!]) {
      take(action);
      proceed(action);
    }
    hawkbit.state.cancel(cancelled!);
    const { reports, cursor } = await readAll();
    expect(told(reports)).toEqual(["production-0 update_started 1.4.0", "production-1 update_started 1.4.0"]);
    // Said once.
    expect((await readAll(cursor)).reports).toEqual([]);
  });

  it("an error before 0.10, where `status` is `finished` whichever way it ended, is a failure", async () => {
    await hawkbit.stop();
    hawkbit = await startHawkbit({ clock: () => (nowMs += 1), era: "old" });
    poller = pollerWith();
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [good, bad, begun] = hawkbit.state.actions;
    close(good!, "success");
    close(bad!, "failure", 3);
    take(begun!);
    const { reports, cursor } = await readAll();
    expect(told(reports)).toEqual([
      "production-0 confirmed 1.4.0",
      "production-1 install_failed 1.4.0",
      "production-2 update_started 1.4.0",
    ]);
    close(begun!, "failure");
    expect(told((await readAll(cursor)).reports)).toEqual(["production-2 install_failed 1.4.0"]);
  });

  it("what the server or a person ended and no device did is no outcome", async () => {
    const targets = addTargets(hawkbit, 2);
    const set = hawkbit.state.addSet(HAWKBIT_SET, "1.4.0");
    hawkbit.state.assign(set, targets[0]!, { offline: true });
    // Of a target that has the set assigned the group's action is finished by the server.
    rollOut(hawkbit, "1.4.0", targets);
    const [offline, skipped, open] = hawkbit.state.actions;
    expect([offline!.status, skipped!.status, open!.status]).toEqual(["finished", "finished", "running"]);
    expect((await readAll()).reports).toEqual([]);
  });

  it("the end is read where a device said more before it than is read of a history", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 1));
    const [action] = hawkbit.state.actions;
    take(action!);
    for (let count = 0; count < HAWKBIT_STATUSES_MAX; count += 1) proceed(action!);
    close(action!, "failure", 7);
    const { reports } = await readAll();
    expect(told(reports)).toEqual(["production-0 install_failed 1.4.0", "production-0 update_started 1.4.0"]);
    expect(reports.find(({ event }) => event === "install_failed")).toMatchObject({
      at: timeOf(action!, "error"),
      reason: "code_7",
    });
  });

  it("of targets that no channel has, of another set's actions, and of cancelled ones nothing is told", async () => {
    const [mine, cancelled] = addTargets(hawkbit, 2);
    const [other] = addTargets(hawkbit, 1, "beta");
    const set = hawkbit.state.addSet(HAWKBIT_SET, "1.4.0");
    hawkbit.state.assign(hawkbit.state.addSet("another-product", "9.9.9"), mine!);
    hawkbit.state.assign(set, cancelled!);
    hawkbit.state.cancel(hawkbit.state.actions.at(-1)!);
    hawkbit.state.assign(set, other!);
    finishAll(hawkbit);
    expect((await readAll()).reports).toEqual([]);
    poller = pollerWith({ production: "tag==production", beta: "tag==beta" });
    expect((await readAll()).reports).toMatchObject([
      { channel: "beta", device: "beta-0", event: "confirmed" },
    ]);
  });
});

const PAGE_MS = 9_000;
/** So many of them take less than the time that is listed again. */
const COVERED_PAGES = 5;

/** What goes on at a server between two pages: devices take actions and end them, actions are deleted, others come. */
function churnWith({ next: random }: { readonly next: () => number }) {
  const { state } = hawkbit;
  const covered: ActionRow[] = [];
  let deleted = 0;
  let late = 0;
  const uncover = (most = 0): void =>
    void state.actions.push(...covered.splice(0, Math.max(0, covered.length - most)));
  return {
    uncover: () => uncover(),
    deleted: () => deleted,
    late: () => late,
    step(): void {
      nowMs += PAGE_MS;
      uncover(COVERED_PAGES);
      for (let count = 0; count < 40; count += 1) {
        const action = state.actions[Math.floor(random() * state.actions.length)]!;
        if (!action.active) continue;
        take(action);
        if (random() < 0.5) proceed(action);
        if (random() < 0.5) close(action, random() < 0.5 ? "success" : "failure");
        else if (random() < 0.1) {
          state.actions.splice(state.actions.indexOf(action), 1);
          deleted += 1;
        }
      }
      // Two new ones, of which the lower id is committed some pages later.
      for (const which of ["first", "second"])
        state.assign(state.sets[0]!, state.addTarget(`production-${which}-${late}`, ["production"]));
      covered.push(...state.actions.splice(-2, 1));
      late += 1;
    },
  };
}

describe("nothing is left out", () => {
  it("an action that ends long after others with higher numbers is still read", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [first, ...others] = hawkbit.state.actions;
    for (const action of others) close(action, "success");
    let { cursor } = await readAll();
    // Polled on and on meanwhile: what is new is not what was read a minute ago anyway.
    for (let day = 0; day < 5; day += 1) {
      nowMs += 24 * 3_600_000;
      ({ cursor } = await readAll(cursor));
    }
    const before = first!.lastModifiedAt;
    close(first!, "failure");
    expect(first!.lastModifiedAt).toBe(before);
    expect(told((await readAll(cursor)).reports)).toEqual(["production-0 install_failed 1.4.0"]);
  });

  it.each([[1], [7], [2_026]])(
    "whatever begins, ends, comes and goes between two pages (seed %i): each outcome is told, in the end once",
    async (seed) => {
      const churn = churnWith(createRandom(seed, "actions"));
      rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2 * HAWKBIT_ACTIONS_PAGE + 50));
      const { state } = hawkbit;
      hawkbit.beforeActions(() => churn.step());
      const reports: DeviceReport[] = [];
      let cursor: string | undefined;
      for (let poll = 0; poll < 12; poll += 1) {
        const read = await readAll(cursor);
        reports.push(...read.reports);
        cursor = read.cursor;
      }
      hawkbit.beforeActions(undefined);
      churn.uncover();
      reports.push(...(await readAll(cursor)).reports);
      const isOver = ({ status }: ActionRow): boolean => status === "finished" || status === "error";
      const expected = state.actions.filter(isOver).map(({ id, status }) => `hawkbit-${id}-${status}`);
      const outcomes = reports.filter(({ event }) => event !== "update_started").map(({ id }) => id!);
      expect([expected.length > 200, churn.deleted() > 5, churn.late() > 5]).toEqual([true, true, true]);
      expect(expected.filter((id) => !outcomes.includes(id))).toEqual([]);
      expect(outcomes).toHaveLength(new Set(outcomes).size);
      const begun = new Set(
        reports.filter(({ event }) => event === "update_started").map(({ device }) => device),
      );
      const taken = state.actions.filter(({ history }) => history.some(({ type }) => type === "retrieved"));
      expect(taken.filter(({ target }) => !begun.has(target.controllerId))).toEqual([]);
    },
  );

  it("an action that comes up after one with a higher id, up to a minute late, is read", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [late] = hawkbit.state.actions.splice(0, 1);
    for (const action of hawkbit.state.actions) close(action, "success");
    let { cursor } = await readAll();
    nowMs += HAWKBIT_OVERLAP_MS - 1_000;
    ({ cursor } = await readAll(cursor));
    close(late!, "failure");
    hawkbit.state.actions.unshift(late!);
    expect(told((await readAll(cursor)).reports)).toEqual(["production-0 install_failed 1.4.0"]);
  });

  it("what is over is not read again, and what is open costs one question a page", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, HAWKBIT_ACTIONS_PAGE + 1));
    for (const action of hawkbit.state.actions.slice(0, 5)) close(action, "failure");
    let { cursor, reports } = await readAll();
    expect(reports).toHaveLength(5);
    nowMs += HAWKBIT_OVERLAP_MS + 1_000;
    ({ cursor } = await readAll(cursor));
    for (const calls of [2, 2]) {
      const before = hawkbit.calls.length;
      ({ cursor, reports } = await readAll(cursor));
      expect(reports).toEqual([]);
      const asked = hawkbit.calls.slice(before);
      expect(asked.filter((call) => call.endsWith("/actions"))).toHaveLength(calls);
      expect(asked.filter((call) => call.endsWith("/status"))).toEqual([]);
    }
    finishAll(hawkbit);
    ({ cursor, reports } = await readAll(cursor));
    expect(reports).toHaveLength(HAWKBIT_ACTIONS_PAGE - 4);
    expect(JSON.parse(cursor)).toMatchObject({ waiting: "", begun: "" });
  });
});

describe("the cursor", () => {
  it("of the first poll goes as far back as can be told, and an unreadable one begins there", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [old, young, open] = hawkbit.state.actions;
    close(old!, "success");
    nowMs += HAWKBIT_FIRST_MS;
    close(young!, "success");
    Object.assign(young!, { createdAt: nowMs - HAWKBIT_FIRST_MS });
    for (const cursor of [
      undefined,
      "nonsense",
      '{"fromMs":"x"}',
      '{"fromMs":1,"mark":1,"phase":"new","at":0}',
    ])
      expect(told((await readAll(cursor)).reports)).toEqual(["production-1 confirmed 1.4.0"]);
    // One that is open is waited for, however old it is.
    const { cursor } = await readAll();
    close(open!, "failure");
    expect(told((await readAll(cursor)).reports)).toEqual(["production-2 install_failed 1.4.0"]);
  });

  it.each([
    [{ kind: "error", status: 500 }, "unavailable"],
    [{ kind: "rate_limited", retryAfterSeconds: 7 }, "unavailable"],
    [{ kind: "error", status: 403 }, "refused"],
  ] as const)("a server that answers %o is %s, and is read on from where it was", async (fault, kind) => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 1));
    finishAll(hawkbit);
    for (const call of ["actions", "read"] as const) {
      hawkbit.fault(call, fault);
      expect(await poller.poll(undefined)).toMatchObject({ kind });
    }
    expect((await readAll()).reports).toHaveLength(1);
  });
});
