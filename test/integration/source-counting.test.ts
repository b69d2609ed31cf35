// What CodePush, hot-updater and Expo clients and Sentry SDKs say, through the counting on a real Redis: they tell the same thing again and
// again, and each device counts once.
import { beforeEach, describe, expect, it } from "vitest";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import type { IngestAppSettings } from "../../ingest/config.ts";
import { readDeployReport, readDownloadReport } from "../../ingest/sources/codepush/status-report.ts";
import { readManifestRequest } from "../../ingest/sources/expo/manifest-event.ts";
import type { ForeignEvent } from "../../ingest/sources/foreign-event.ts";
import { readSession } from "../../ingest/sources/sentry/session-item.ts";
import { readNotifyEvent } from "../../ingest/sources/hot-updater/notify-event.ts";
import { checkDraft } from "../../ingest/sources/source.ts";
import { readCounts } from "../support/read-counts.ts";
import { useShardForEach } from "../support/shard-for-each.ts";
import { appWithSources } from "../support/source-app.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, expectDevices, names } from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { TILL } from "../support/verdicts.ts";

let shard: TestShard;
useShardForEach((_redis, opened) => (shard = opened));

const app: IngestAppSettings = appWithSources({
  codepush: { deployments: { KEYA: "production" } },
  hot_updater: {},
  expo: { channel: "production" },
  sentry: { projects: { "42": { key: "pub", channel: "production" } } },
});

function reportsOf(event: ForeignEvent): DeviceReport[] {
  if (event.kind !== "drafts") throw new Error(`nothing to count: ${JSON.stringify(event)}`);
  return event.drafts.map((draft) => {
    const check = checkDraft({ ...draft, app: TILL.app }, app);
    if (check.kind === "bad") throw new Error(check.result);
    return check.report;
  });
}

/** Received at this time, and counted. */
async function tellAt(nowMs: number, ...events: readonly ForeignEvent[]): Promise<void> {
  shard.nowMs = nowMs;
  await shard.tell(...events.flatMap(reportsOf));
  await shard.fold();
}

describe("expo", () => {
  const BAD = "11111111-aaaa-4bbb-8ccc-000000000012";
  const GOOD = "11111111-aaaa-4bbb-8ccc-000000000011";

  function check(
    device: string,
    { runs, failed = [], at }: { runs: string; failed?: string[]; at?: number },
  ) {
    const list = failed.map((id) => `"${id}"`).join(", ");
    const headers = {
      "eas-client-id": device,
      "expo-platform": "ios",
      "expo-current-update-id": runs,
      ...(list === "" ? {} : { "expo-recent-failed-update-ids": list }),
    };
    const receivedAt = at === undefined ? {} : { receivedAt: new Date(at).toISOString() };
    return readManifestRequest({ headers, ...receivedAt }, app);
  }

  it("tells a failed update with every check for months: it counts once, where it was first seen", async () => {
    await tellAt(NOON_MS, check("till-1", { runs: GOOD, failed: [BAD] }));
    const before = (await readCounts(shard.health))[`${TILL.app}|${TILL.channel}|${BAD}`]!;
    expect(before.devices).toMatchObject({ attempted: 1, failed: 1, reverted: 1 });
    for (const laterMs of [MINUTE_MS, HOUR_MS, DAY_MS, 10 * DAY_MS, 60 * DAY_MS, 140 * DAY_MS]) {
      const atMs = NOON_MS + laterMs;
      await tellAt(atMs, check("till-1", { runs: GOOD, failed: [BAD], at: atMs }));
      const after = (await readCounts(shard.health))[`${TILL.app}|${TILL.channel}|${BAD}`]!;
      expect({ devices: after.devices, windows: after.windows }).toEqual({
        devices: before.devices,
        windows: before.windows,
      });
      await expectDevices(shard, { attempted: 1, failed: 1, running: 0 }, BAD);
    }
    await expectDevices(shard, { attempted: 1, confirmed: 1, running: 1 }, GOOD);
  });

  it("the same body in any order and number is one set of reports", async () => {
    const events = [0, 1, 2].map((hours) =>
      check("till-1", { runs: GOOD, failed: [BAD], at: NOON_MS - hours * HOUR_MS }),
    );
    await tellAt(NOON_MS, ...events);
    const once = await readCounts(shard.health);
    await tellAt(NOON_MS, ...events.toReversed(), ...events);
    await expectDevices(shard, { attempted: 1, failed: 1 }, BAD);
    const again = await readCounts(shard.health);
    for (const key of Object.keys(once)) {
      expect(again[key]!.devices).toEqual(once[key]!.devices);
      expect(again[key]!.windows).toEqual(once[key]!.windows);
    }
  });

  it("those that run an update are attempts too: one failure in 40 is one in 40", async () => {
    await tellAt(NOON_MS, ...names(39).map((device) => check(device, { runs: BAD })));
    await tellAt(NOON_MS + MINUTE_MS, check("unlucky", { runs: BAD }));
    await tellAt(NOON_MS + 2 * MINUTE_MS, check("unlucky", { runs: GOOD, failed: [BAD] }));
    await expectDevices(shard, { attempted: 40, failed: 1, recovered: 1, running: 39 }, BAD);
  });
});

describe("codepush", () => {
  const base = { app_version: "1.2.0", deployment_key: "KEYA", client_unique_id: "till-1", label: "v12" };
  const deploy = (status: string, fields: object = {}): ForeignEvent => {
    const report = readDeployReport({ ...base, status, ...fields }, { isModern: true });
    if (report.kind === "refused") throw new Error(report.message);
    return report.toEvent("production");
  };
  const download = (): ForeignEvent => {
    const report = readDownloadReport(base);
    if (report.kind === "refused") throw new Error(report.message);
    return report.toEvent("production");
  };

  it("a release that fails twice on a device, and is told twice each time, is one device that failed", async () => {
    await tellAt(NOON_MS, download());
    await tellAt(NOON_MS + HOUR_MS, deploy("DeploymentFailed"), deploy("DeploymentFailed"));
    await tellAt(NOON_MS + 26 * HOUR_MS, download());
    await tellAt(NOON_MS + 27 * HOUR_MS, deploy("DeploymentFailed"));
    await expectDevices(
      shard,
      { attempted: 1, announced: 1, failed: 1, failed_announced: 1, silent: 0 },
      "v12",
    );
  });

  it("a retry that comes up leaves the failure, and is recovered", async () => {
    await tellAt(NOON_MS, deploy("DeploymentFailed"));
    await tellAt(
      NOON_MS + 25 * HOUR_MS,
      deploy("DeploymentSucceeded", { previous_label_or_app_version: "v11" }),
    );
    await expectDevices(shard, { attempted: 1, failed: 1, confirmed: 1, recovered: 1, running: 1 }, "v12");
  });
});

describe("hot-updater", () => {
  const NEW = "0198c5a2-0000-7000-8000-000000000002";
  const OLD = "0198c5a2-0000-7000-8000-000000000001";
  const notify = (fields: object): ForeignEvent =>
    readNotifyEvent({ installId: "till-1", platform: "ios", channel: "production", ...fields }, app);

  let stable: ForeignEvent;
  beforeEach(() => void (stable = notify({ bundleId: NEW, status: "STABLE" })));

  it("STABLE at every start is one device that came up", async () => {
    for (const days of [0, 0, 1, 2, 30]) await tellAt(NOON_MS + days * DAY_MS, stable);
    await expectDevices(shard, { attempted: 1, confirmed: 1, running: 1 }, NEW);
  });

  it("RECOVERED is told more than once in a launch: one device failed, and runs what it fell back to", async () => {
    await tellAt(NOON_MS, notify({ bundleId: OLD, status: "STABLE" }));
    const recovered = notify({ bundleId: OLD, status: "RECOVERED", crashedBundleId: NEW });
    await tellAt(NOON_MS + HOUR_MS, recovered, recovered);
    await expectDevices(shard, { attempted: 1, failed: 1, running: 0 }, NEW);
    await expectDevices(shard, { attempted: 1, failed: 0, running: 1 }, OLD);
  });
});

describe("sentry", () => {
  const source = app.sources!.sentry!;
  const context = { source, project: source.projects.get("42")!, shiftMs: 0 };
  const rfc = (timeMs: number): string => new Date(timeMs).toISOString();
  const session = (did: string, fields: object = {}): ForeignEvent => {
    const read = readSession(
      {
        did,
        started: rfc(NOON_MS),
        timestamp: rfc(NOON_MS + MINUTE_MS),
        status: "ok",
        attrs: { release: "com.acme.till@1.4.0" },
        ...fields,
      },
      context,
    );
    if (read.kind !== "drafts") throw new Error(read.result);
    return read;
  };

  it("each state of a session is a set of reports: in any order and number it counts the same", async () => {
    const states = [
      session("till-1"),
      session("till-1", { duration: 2 * 3_600, timestamp: rfc(NOON_MS + 2 * HOUR_MS), status: "exited" }),
      session("till-2"),
      session("till-2", { timestamp: rfc(NOON_MS + 90 * MINUTE_MS), status: "crashed" }),
      session("till-3", { status: "abnormal", abnormal_mechanism: "anr_foreground" }),
    ];
    await tellAt(NOON_MS + 3 * HOUR_MS, ...states);
    const once = { active: 3, crashed: 1, not_responding: 1, running: 3, attempted: 0 };
    await expectDevices(shard, once);
    const before = (await readCounts(shard.health))[`${TILL.app}|${TILL.channel}|1.4.0`]!;
    expect(before.hours).toMatchObject({ active: 6, crashed: 1, firstCrashed: 1, notResponding: 1 });
    await tellAt(NOON_MS + 4 * HOUR_MS, ...states.toReversed(), ...states);
    await expectDevices(shard, once);
    const after = (await readCounts(shard.health))[`${TILL.app}|${TILL.channel}|1.4.0`]!;
    expect({ devices: after.devices, hours: after.hours, windows: after.windows }).toEqual({
      devices: before.devices,
      hours: before.hours,
      windows: before.windows,
    });
  });

  it("a device that only uses the app owes no word, and is never silent", async () => {
    await tellAt(NOON_MS, session("till-1"));
    await shard.foldAt(NOON_MS + 10 * DAY_MS);
    await expectDevices(shard, { active: 1, silent: 0, attempted: 0 });
  });
});
