// The poller of a Mender server against its double, whose entries change in place while they are read: nothing that a
// device told is left out, what is told twice is the same, and what stands still is not read again.
import { describe, expect, it } from "vitest";
import {
  MENDER_DEPLOYMENT_AGE_MS_MAX,
  MENDER_LOOK_PAGES_MAX,
  createMenderPoller,
} from "../../agent/polling/mender.ts";
import type { MenderPollerOptions } from "../../agent/polling/mender.ts";
import {
  MENDER_FULL_READ_MS,
  MENDER_REST_MS_MAX,
  MENDER_REST_MS_PER_ROW,
  MENDER_STILL_READ_MS,
  makePlan,
  readPlan,
} from "../../agent/polling/mender-plan.ts";
import type { StatusPoller } from "../../agent/polling/status-poller.ts";
import { repairName } from "../../agent/rollback/servers/mender-history.ts";
import { MENDER_PER_PAGE } from "../../agent/rollback/servers/mender-api.ts";
import { REPORT_AGE_MS_MAX } from "../../ingest/contract/device-report.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import type { Channel, Version } from "../../ingest/contract/release-key.ts";
import type { MenderDeployment, RowStatus } from "../doubles/mender-state.ts";
import { createRandom } from "../simulation/random.ts";
import { MENDER_KEY, MENDER_TOKEN, startMender } from "../support/mender.ts";
import type { TestMender } from "../support/mender.ts";

const HOUR_MS = 3_600_000;

function pollerOf(mender: TestMender, options: Partial<MenderPollerOptions> = {}): StatusPoller {
  return createMenderPoller({
    url: mender.url,
    token: MENDER_TOKEN,
    app: MENDER_KEY.app,
    watched: [MENDER_KEY.channel],
    channels: new Map(),
    artifact: null,
    timeoutMs: 2_000,
    clock: mender.nowMs,
    ...options,
  });
}

/** As the frame does: page after page up to the end; keeps what it is told. */
function createReader(poller: StatusPoller) {
  const reports: DeviceReport[] = [];
  let cursor: string | undefined;
  return {
    reports,
    cursor: () => cursor,
    /** Leaves: how many calls of `poll` it took. */
    readToEnd: async (pagesMax = 1_000): Promise<number> => {
      for (let calls = 1; calls <= pagesMax; calls += 1) {
        const page = await poller.poll(cursor);
        if (page.kind !== "page") throw new Error(page.detail);
        reports.push(...page.reports);
        ({ cursor } = page);
        if (!page.more) return calls;
      }
      throw new Error("there is no end");
    },
  };
}

const asText = ({ device, version, event, at }: DeviceReport): string =>
  `${device} ${version} ${event} ${at}`;
const devicesWith = (reports: readonly DeviceReport[], event: DeviceReport["event"]): Set<string> =>
  new Set(reports.filter((report) => report.event === event).map(({ device }) => device));
const listsRead = ({ calls }: TestMender): string[] =>
  calls.filter(({ url }) => url.includes("/devices/list")).map(({ url }) => url);

describe("no gaps", () => {
  const EVENT_OF: Partial<Record<RowStatus, DeviceReport["event"]>> = {
    success: "confirmed",
    failure: "reverted",
    "already-installed": "active",
  };
  const NEXT: Partial<Record<RowStatus, readonly RowStatus[]>> = {
    pending: ["downloading"],
    downloading: ["installing"],
    installing: ["rebooting", "rebooting", "pause_before_rebooting"],
    pause_before_rebooting: ["rebooting"],
    rebooting: ["success", "success", "failure"],
    // The server does not guard it.
    success: ["failure"],
    failure: ["success"],
  };

  /** Some devices go one step on; who has ended goes back on it now and then. */
  const stir = (
    mender: TestMender,
    deployment: MenderDeployment,
    random: () => number,
    share: number,
  ): void => {
    mender.passMs(1_000 + Math.floor(random() * 5_000));
    for (const device of deployment.deviceList) {
      if (random() > share) continue;
      const row = deployment.rows.get(device);
      if (row === undefined) {
        mender.state.next(device, { artifactName: "what runs", deviceType: "till-mk2" });
        continue;
      }
      const isEnded = row.status === "success" || row.status === "failure";
      if (isEnded && random() > 0.02) continue;
      const choices = NEXT[row.status] ?? [];
      const status = choices[Math.floor(random() * choices.length)];
      if (status !== undefined)
        mender.state.setStatus(device, deployment.id, { status, substate: "ArtifactCommit_Enter_00" });
    }
  };

  it.each([1, 2, 3])(
    "whatever moves while lists are read, each device's last word is told (seed %i)",
    async (seed) => {
      const mender = await startMender();
      mender.state.addDevices(3 * MENDER_PER_PAGE + 50);
      const deployment = mender.deploy("1.4.0");
      const seeded = createRandom(seed);
      const random = (): number => seeded.next();
      const { readToEnd, reports } = createReader(pollerOf(mender));
      let isMoving = true;
      mender.beforeCall(() => {
        if (isMoving) stir(mender, deployment, random, 0.05);
      });
      for (let poll = 0; poll < 25; poll += 1) {
        await readToEnd();
        stir(mender, deployment, random, 0.3);
        mender.passMs(10_000);
      }
      isMoving = false;
      await readToEnd();
      mender.passMs(MENDER_REST_MS_MAX);
      await readToEnd();
      const lastWords = [...deployment.rows.values()].map(
        ({ deviceId, status, finishedMs }) => `${deviceId} 1.4.0 ${EVENT_OF[status] ?? status} ${finishedMs}`,
      );
      expect(lastWords.length).toBe(3 * MENDER_PER_PAGE + 50);
      expect(deployment.status).toBe("finished");
      const told = new Set(reports.map(asText));
      expect(lastWords.filter((word) => !told.has(word))).toEqual([]);
      // All of them began, and each is told to have begun at one time.
      const begun = new Set(reports.filter(({ event }) => event === "update_started").map(asText));
      expect(begun.size).toBe(lastWords.length);
    },
    30_000,
  );

  it("is told of one that moves, while a list is read, from a page to come to one that has been read", async () => {
    const mender = await startMender();
    mender.state.addDevices(2 * MENDER_PER_PAGE);
    const deployment = mender.deploy("1.4.0");
    for (const device of deployment.deviceList) mender.report(device, "downloading", "success");
    // Of the list of successes, the first leaves it: the one that headed page 2 is on page 1 now, which has been read.
    const sorted = [...deployment.deviceList].toSorted();
    mender.beforeCall(({ url }) => {
      if (!url.includes("status=success") || !url.includes("page=2&")) return;
      mender.beforeCall(undefined);
      mender.passMs(1_000);
      mender.state.setStatus(sorted[0]!, deployment.id, { status: "failure" });
    });
    const { readToEnd, reports } = createReader(pollerOf(mender));
    await readToEnd();
    expect(devicesWith(reports, "confirmed").has(sorted[MENDER_PER_PAGE]!)).toBe(false);
    mender.passMs(MENDER_REST_MS_MAX);
    await readToEnd();
    expect(devicesWith(reports, "confirmed")).toEqual(new Set(sorted));
    expect(devicesWith(reports, "install_failed")).toEqual(new Set([sorted[0]]));
  });

  it("finds two that changed places in a running deployment within the hour, though every counter is the same", async () => {
    const mender = await startMender();
    const [left, right] = mender.state.addDevices(3);
    const deployment = mender.deploy("1.4.0");
    mender.report(left!, "downloading", "success");
    mender.report(right!, "downloading", "failure");
    const { readToEnd, reports } = createReader(pollerOf(mender));
    await readToEnd();
    mender.passMs(60_000);
    mender.state.setStatus(left!, deployment.id, { status: "failure" });
    mender.state.setStatus(right!, deployment.id, { status: "success" });
    mender.passMs(MENDER_STILL_READ_MS - 60_001);
    await readToEnd();
    expect(devicesWith(reports, "confirmed")).toEqual(new Set([left]));
    mender.passMs(1);
    await readToEnd();
    expect(devicesWith(reports, "confirmed")).toEqual(new Set([left, right]));
  });

  it("finds one that took another's place in a list: when the deployment ends, else within ten minutes", async () => {
    for (const isEnd of [true, false]) {
      const mender = await startMender();
      const [left, right] = mender.state.addDevices(isEnd ? 2 : 3);
      const deployment = mender.deploy("1.4.0");
      mender.report(left!, "downloading", "success");
      mender.report(right!, "downloading");
      const { readToEnd, reports } = createReader(pollerOf(mender));
      await readToEnd();
      mender.state.setStatus(left!, deployment.id, { status: "failure" });
      mender.state.setStatus(right!, deployment.id, { status: "success" });
      mender.passMs(MENDER_FULL_READ_MS - 1);
      await readToEnd();
      expect([deployment.status === "finished", deployment.counters.success]).toEqual([isEnd, 1]);
      expect(devicesWith(reports, "confirmed").has(right!)).toBe(isEnd);
      // And the rest after the list that was just read.
      mender.passMs(MENDER_REST_MS_PER_ROW);
      await readToEnd();
      expect(devicesWith(reports, "confirmed")).toEqual(new Set([left, right]));
    }
  });

  it("goes on from any cursor after a crash, and tells the same again with the same times and ids", async () => {
    const mender = await startMender();
    const devices = mender.state.addDevices(MENDER_PER_PAGE + 20);
    mender.deploy("1.4.0");
    for (const device of devices) mender.report(device, "downloading", "success");
    const poller = pollerOf(mender);
    const cursors: (string | undefined)[] = [undefined];
    for (let isMore = true; isMore;) {
      const page = await poller.poll(cursors.at(-1));
      if (page.kind !== "page") throw new Error(page.detail);
      cursors.push(page.cursor);
      isMore = page.more;
    }
    expect(cursors.length).toBe(4);
    const all = createReader(poller);
    await all.readToEnd();
    for (const cursor of cursors.slice(0, -1)) {
      const again = await poller.poll(cursor);
      if (again.kind !== "page") throw new Error(again.detail);
      for (const report of again.reports) expect(all.reports).toContainEqual(report);
    }
    const whole = all.reports.map((report) => JSON.stringify(report));
    expect(new Set(whole).size).toBe(whole.length);
    expect(devicesWith(all.reports, "confirmed")).toEqual(new Set(devices));
  });

  it.each(["not JSON", "{}", '{"v":2}'])("begins anew with a cursor that it can't read: %s", (cursor) => {
    expect(readPlan(cursor)).toEqual({ v: 1, marks: {}, work: [] });
  });

  it("tells the end of a deployment that is too old for the list when it ends", async () => {
    const mender = await startMender();
    mender.passMs(-2 * MENDER_DEPLOYMENT_AGE_MS_MAX);
    const [device, other] = mender.state.addDevices(2);
    const deployment = mender.deploy("1.4.0");
    mender.report(other!, "downloading", "success");
    mender.passMs(2 * MENDER_DEPLOYMENT_AGE_MS_MAX);
    const { readToEnd, reports } = createReader(pollerOf(mender));
    await readToEnd();
    mender.report(device!, "downloading");
    await readToEnd();
    mender.state.setStatus(device!, deployment.id, { status: "failure" });
    expect(deployment.status).toBe("finished");
    // Others have pushed it out of the first page, and that it ended out of the list of those that run.
    const [trial] = mender.state.addDevices(1, { group: "lab" });
    const agoMs = MENDER_DEPLOYMENT_AGE_MS_MAX + HOUR_MS;
    mender.passMs(-agoMs);
    for (let count = 0; count < MENDER_PER_PAGE; count += 1) mender.deploy("1.5.0", { devices: [trial!] });
    mender.passMs(agoMs);
    await readToEnd();
    expect(devicesWith(reports, "install_failed")).toEqual(new Set([device]));
    expect(devicesWith(reports, "confirmed")).toEqual(new Set());
  });
});

describe("no more work than there is", () => {
  const settled = async (count: number): Promise<TestMender> => {
    const mender = await startMender();
    const devices = mender.state.addDevices(count);
    mender.deploy("1.4.0");
    for (const device of devices) mender.report(device, "downloading", "success");
    return mender;
  };

  it("looks at two lists of deployments when nothing moved, and reads no devices, whatever the time", async () => {
    const mender = await settled(30);
    const { readToEnd } = createReader(pollerOf(mender));
    expect(await readToEnd()).toBe(2);
    mender.calls.splice(0);
    for (const ms of [10_000, MENDER_FULL_READ_MS, MENDER_STILL_READ_MS]) {
      mender.passMs(ms);
      expect(await readToEnd()).toBe(1);
    }
    expect(mender.calls.map(({ url }) => new URL(url, mender.url).search)).toEqual(
      [1, 2, 3].flatMap(() => ["?page=1&per_page=100", "?page=1&per_page=100&status=inprogress"]),
    );
  });

  it("reads a long list one page per call", async () => {
    const mender = await settled(5 * MENDER_PER_PAGE);
    const poller = pollerOf(mender);
    let cursor: string | undefined;
    for (let pages = 0; pages < 6; pages += 1) {
      mender.calls.splice(0);
      const page = await poller.poll(cursor);
      if (page.kind !== "page") throw new Error(page.detail);
      ({ cursor } = page);
      expect(listsRead(mender).length).toBe(pages === 0 ? 0 : 1);
      expect(page.reports.length).toBe(pages === 0 ? 0 : 2 * MENDER_PER_PAGE);
    }
  });

  it("reads the list of failures at once, and lets a long list rest while it grows", async () => {
    const mender = await startMender();
    const count = 4 * MENDER_PER_PAGE;
    const devices = mender.state.addDevices(count + 3);
    mender.deploy("1.4.0");
    for (const device of devices.slice(0, count)) mender.report(device, "downloading", "success");
    const { readToEnd, reports } = createReader(pollerOf(mender));
    await readToEnd();
    mender.report(devices[count]!, "downloading", "failure");
    mender.report(devices[count + 1]!, "downloading", "success");
    mender.passMs(count * MENDER_REST_MS_PER_ROW - 1);
    mender.calls.splice(0);
    await readToEnd();
    expect(listsRead(mender).map((url) => url.replace(/.*status=/, ""))).toEqual(["failure"]);
    expect(devicesWith(reports, "install_failed").size).toBe(1);
    mender.passMs(1);
    await readToEnd();
    expect(devicesWith(reports, "confirmed").size).toBe(count + 1);
  });

  it("never lets a list rest for longer than a limit", () => {
    const deployment = {
      id: "d",
      channel: "production" as Channel,
      version: "1" as Version,
      isFinished: false,
      counters: { success: 1_000_001 },
    };
    const lanes = { success: { seen: "1000000", endMs: 0, rows: 1_000_000 } };
    const marks = {
      "production/1/d": { id: "d", isOpen: true, full: "success=1000001", fullMs: 0, lanes },
    };
    const at = (nowMs: number): number => makePlan(marks, [deployment], nowMs).work.length;
    expect([at(MENDER_REST_MS_MAX - 1), at(MENDER_REST_MS_MAX)]).toEqual([0, 1]);
  });

  it("does not read what can't be told any more: what ended longer ago than a report may be old", async () => {
    const mender = await startMender();
    const nowMs = mender.nowMs();
    mender.passMs(-REPORT_AGE_MS_MAX - 2 * HOUR_MS);
    const devices = mender.state.addDevices(2);
    mender.deploy("1.3.0");
    for (const device of devices) mender.report(device, "downloading", "success");
    mender.passMs(4 * HOUR_MS);
    mender.deploy("1.4.0");
    mender.report(devices[0]!, "downloading", "success");
    mender.passMs(nowMs - mender.nowMs());
    const { readToEnd, reports } = createReader(pollerOf(mender));
    await readToEnd();
    expect(listsRead(mender)).toHaveLength(1);
    expect(reports.map(({ version }) => version)).toEqual(["1.4.0", "1.4.0"]);
  });

  it("looks at so many pages of deployments, newest first", async () => {
    const mender = await settled(2);
    const [other] = mender.state.addDevices(1, { group: "other" });
    const fill = (count: number): void => {
      for (let index = 0; index < count; index += 1) mender.deploy("7.0.0", { devices: [other!] });
    };
    fill(MENDER_PER_PAGE * MENDER_LOOK_PAGES_MAX - 1);
    const near = createReader(pollerOf(mender));
    await near.readToEnd();
    expect(near.reports).toHaveLength(4);
    fill(1);
    const far = createReader(pollerOf(mender));
    await far.readToEnd();
    expect(far.reports).toEqual([]);
    // Who has been watching it goes on: it is asked for by its id, or has been read to its end.
    expect(await near.readToEnd()).toBe(1);
  });

  it("gives up a list that is gone, and goes on with the others", async () => {
    const mender = await settled(3);
    const poller = pollerOf(mender);
    const first = await poller.poll(undefined);
    if (first.kind !== "page") throw new Error(first.detail);
    mender.state.deployments.splice(0);
    expect(await poller.poll(first.cursor)).toMatchObject({ kind: "page", reports: [], more: false });
  });
});

describe("what is told of which channel", () => {
  it("of each channel its own, of repairs by Lastgood too, and of others nothing", async () => {
    const mender = await startMender();
    const [store, beta, other] = ["stores", "beta", "other"].map(
      (group) => mender.state.addDevices(2, { group })[0]!,
    );
    for (const [group, artifact] of [
      ["stores", "till-1.4.0"],
      ["beta", "till-2.0.0"],
      ["other", "till-3.0.0"],
      ["stores", "os-11"],
    ] as const)
      mender.deploy(artifact, { group });
    for (const device of [store, beta, other]) mender.report(device!, "downloading", "success");
    const [from, to] = ["1.4.0", "1.3.0"] as [Version, Version];
    const name = repairName({ ...MENDER_KEY, decisionId: "rb_1", from, to }, { part: 1, parts: 1 });
    mender.state.addArtifact("till-1.3.0");
    mender.state.create({ name, artifactName: "till-1.3.0", devices: [store!] });
    // Oldest first: that of the other artifact; then it says that it has the third already.
    mender.report(store!, "downloading", "success");
    mender.state.next(store!, { artifactName: "till-1.3.0", deviceType: "till-mk2" });
    const { readToEnd, reports } = createReader(
      pollerOf(mender, {
        artifact: /^till-(?<version>.+)$/u,
        watched: [MENDER_KEY.channel, "beta" as Channel],
        channels: new Map([[MENDER_KEY.channel, { kind: "group", group: "stores" }]]),
      }),
    );
    await readToEnd();
    const told = reports
      .filter(({ event }) => event !== "update_started")
      .map(({ channel, version, device, event, model }) =>
        [channel, version, device, event, model].join(" "),
      );
    expect(told.toSorted()).toEqual(
      [
        `beta 2.0.0 ${beta} confirmed till-mk2`,
        `production 1.4.0 ${store} confirmed till-mk2`,
        `production 1.3.0 ${store} active till-mk2`,
      ].toSorted(),
    );
  });

  it("passes on why the server can't be read", async () => {
    const mender = await startMender();
    expect(await pollerOf(mender, { token: "another-token" }).poll(undefined)).toMatchObject({
      kind: "refused",
    });
    mender.fault("read", { kind: "rate_limited", retryAfterSeconds: 9 });
    expect(await pollerOf(mender).poll(undefined)).toMatchObject({
      kind: "unavailable",
      retryAfterMs: 9_000,
    });
    await mender.stop();
    expect(await pollerOf(mender).poll(undefined)).toMatchObject({ kind: "unavailable" });
  });
});
