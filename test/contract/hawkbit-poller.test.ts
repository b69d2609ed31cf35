// What devices told hawkBit, read from its double: each status as the report that it is, nothing left out while actions
// change between pages, nothing that counts twice.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  HAWKBIT_ACTIONS_PAGE,
  HAWKBIT_FIRST_MS,
  HAWKBIT_OVERLAP_MS,
  createHawkbitPoller,
} from "../../agent/polling/hawkbit.ts";
import type { StatusPoller } from "../../agent/polling/status-poller.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import type { Channel } from "../../ingest/contract/release-key.ts";
import type { ActionRow } from "../doubles/hawkbit-state.ts";
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

describe("what a status says", () => {
  it("an action that nobody has taken yet says nothing: the device may be switched off", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2));
    expect((await readAll()).reports).toEqual([]);
  });

  it("outcomes carry the server's own time, the code as reason, and the same name each time", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [good, bad, retrieved] = hawkbit.state.actions;
    close(good!, "success");
    close(bad!, "failure", 137);
    hawkbit.state.touch(retrieved!, "retrieved");
    const { reports } = await readAll();
    expect(told(reports)).toEqual([
      "production-0 confirmed 1.4.0",
      "production-1 install_failed 1.4.0",
      "production-2 update_started 1.4.0",
    ]);
    expect(reports.find(({ device }) => device === "production-1")).toMatchObject({
      app: "com.acme.till",
      channel: "production",
      at: bad!.lastModifiedAt,
      reason: "code_137",
      id: `hawkbit-${bad!.id}-error`,
    });
    expect(await readAll()).toMatchObject({ reports });
  });

  it("an outcome tells when its device had taken the action; `running` says it where it had", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [ended, proceeding, scheduled] = hawkbit.state.actions;
    for (const action of [ended!, proceeding!]) {
      hawkbit.state.touch(action, "retrieved");
      hawkbit.state.feedback(action, { execution: "proceeding", finished: "none" });
    }
    const takenAtMs = ended!.history.find(({ type }) => type === "retrieved")!.timestamp;
    close(ended!, "failure");
    // Changed by the server when its group began, and taken by nobody.
    hawkbit.state.touch(scheduled!, "running");
    const { reports } = await readAll();
    expect(told(reports)).toEqual([
      "production-0 install_failed 1.4.0",
      "production-0 update_started 1.4.0",
      "production-1 update_started 1.4.0",
    ]);
    expect(
      reports.find(({ event, device }) => event === "update_started" && device === "production-0"),
    ).toMatchObject({
      at: takenAtMs,
    });
  });

  it("of targets that no channel has, of another set's actions, and of cancelled ones nothing is told", async () => {
    const [mine] = addTargets(hawkbit, 1);
    const [other] = addTargets(hawkbit, 1, "beta");
    hawkbit.state.assign(hawkbit.state.addSet("another-product", "9.9.9"), mine!);
    hawkbit.state.assign(hawkbit.state.addSet(HAWKBIT_SET, "1.4.0"), other!);
    finishAll(hawkbit);
    expect((await readAll()).reports).toEqual([]);
    poller = pollerWith({ production: "tag==production", beta: "tag==beta" });
    expect(told((await readAll()).reports)).toEqual(["beta-0 confirmed 1.4.0"]);
    expect((await readAll()).reports).toMatchObject([{ channel: "beta" }]);
  });
});

describe("nothing is left out", () => {
  it("an action that ends long after others with higher numbers is still read", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 3));
    const [first, ...others] = hawkbit.state.actions;
    for (const action of others) close(action, "success");
    const { cursor } = await readAll();
    nowMs += 5 * 24 * 3_600_000;
    close(first!, "failure");
    expect(told((await readAll(cursor)).reports)).toContain("production-0 install_failed 1.4.0");
  });

  it("actions that change between two pages are read all the same", async () => {
    const count = 2 * HAWKBIT_ACTIONS_PAGE + 50;
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, count));
    const { actions } = hawkbit.state;
    // All begin; between any two pages thirty of those that were read first end, and move to the end of the list.
    for (const action of actions) hawkbit.state.touch(action, "retrieved");
    let ended = 0;
    hawkbit.beforeActions(() => {
      for (const action of actions.slice(ended, ended + 30)) close(action, "failure");
      ended = Math.min(ended + 30, 180);
    });
    const { reports, cursor, pages } = await readAll();
    hawkbit.beforeActions(undefined);
    expect(pages).toBeGreaterThan(2);
    const last = await readAll(cursor);
    const failed = new Set(
      [...reports, ...last.reports]
        .filter(({ event }) => event === "install_failed")
        .map(({ device }) => device),
    );
    const begun = new Set([...reports, ...last.reports].map(({ device }) => device));
    expect([failed.size, begun.size]).toEqual([
      actions.filter(({ status }) => status === "error").length,
      count,
    ]);
  });

  it("more actions of one millisecond than a page holds are told apart by their place in it", async () => {
    const count = HAWKBIT_ACTIONS_PAGE + 37;
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, count));
    for (const action of hawkbit.state.actions) {
      close(action, "success");
      action.lastModifiedAt = nowMs;
    }
    const { reports } = await readAll();
    expect(new Set(reports.map(({ device }) => device)).size).toBe(count);
    expect(reports).toHaveLength(count);
  });

  it("a change that was committed a minute late is read by the next poll", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2));
    const [early, late] = hawkbit.state.actions;
    close(early!, "success");
    const { cursor } = await readAll();
    const readAtMs = nowMs;
    close(late!, "failure");
    late!.lastModifiedAt = readAtMs - HAWKBIT_OVERLAP_MS;
    expect(told((await readAll(cursor)).reports)).toContain("production-1 install_failed 1.4.0");
  });

  it("what is settled is not read again for ever", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 5));
    finishAll(hawkbit);
    const { cursor } = await readAll();
    nowMs += HAWKBIT_OVERLAP_MS + 1_000;
    const again = await readAll(cursor);
    nowMs += 1_000;
    expect((await readAll(again.cursor)).reports).toEqual([]);
  });
});

describe("the cursor", () => {
  it("of the first poll goes as far back as can be told, and an unreadable one begins there", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2));
    finishAll(hawkbit);
    const [old, young] = hawkbit.state.actions;
    old!.lastModifiedAt = nowMs - HAWKBIT_FIRST_MS - 1;
    young!.lastModifiedAt = nowMs - HAWKBIT_FIRST_MS;
    for (const cursor of [undefined, "nonsense", '{"fromMs":"x"}'])
      expect(told((await readAll(cursor)).reports)).toEqual(["production-1 confirmed 1.4.0"]);
  });

  it.each([
    [{ kind: "error", status: 500 }, "unavailable"],
    [{ kind: "rate_limited", retryAfterSeconds: 7 }, "unavailable"],
    [{ kind: "error", status: 403 }, "refused"],
  ] as const)("a server that answers %o is %s, and is read on from where it was", async (fault, kind) => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 1));
    finishAll(hawkbit);
    hawkbit.fault("actions", fault);
    expect(await poller.poll(undefined)).toMatchObject({ kind });
    expect((await readAll()).reports).toHaveLength(1);
  });
});
