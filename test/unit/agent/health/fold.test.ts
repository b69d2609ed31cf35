// Folding, transition by transition, and its two limits at their edges.
import { describe, expect, it } from "vitest";
import { RELEASES_PER_DEVICE_MAX, decodeDeviceState } from "../../../../agent/health/device-state.ts";
import { RELEASES_PER_CHANNEL_MAX, fold, toFoldable } from "../../../../agent/health/fold.ts";
import type { FoldPlan } from "../../../../agent/health/fold.ts";
import { toOutcomeCounts } from "../../../../agent/health/outcomes.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import { REPORT_AGE_MS_MAX } from "../../../../ingest/contract/device-report.ts";
import type { DeviceEvent } from "../../../../ingest/contract/device-report.ts";
import type { AcceptedReport } from "../../../../ingest/contract/report-entry.ts";
import { outcomeCounts, releaseOf } from "../../../support/verdicts.ts";

/** A whole number of slots after the epoch. */
const SLOT_MS = 300_000;
const AT_MS = SLOT_MS * 5_000_000;
const RECEIVED_AT_MS = AT_MS + 1_234;
const RELEASE = "com.acme.till|production|1.4.0";

interface Told {
  readonly event: DeviceEvent;
  readonly device?: string;
  readonly version?: string;
  readonly atMs?: number;
  readonly receivedAtMs?: number;
}

/** A shard that keeps what is folded, so that tests can go on where they stopped. */
function createShard() {
  const table = new Map<string, number>();
  const states = new Map<string, Buffer>();
  return {
    table,
    states,
    fold(...reports: Told[]): FoldPlan {
      const plan = fold({
        reports: reports.map(
          ({ event, device = "till-1", version = "1.4.0", atMs = AT_MS, receivedAtMs = RECEIVED_AT_MS }) =>
            toFoldable({ ...releaseOf(version), device, event, atMs }, receivedAtMs),
        ),
        releaseTable: table,
        stateOf: (_bucket, field) => states.get(field),
      });
      for (const [text, number] of plan.newReleases) table.set(text, number);
      for (const bucket of plan.states.values())
        for (const [field, state] of bucket) states.set(field, state);
      return plan;
    },
  };
}

function totalsOf(plan: FoldPlan, release = RELEASE): OutcomeCounts {
  return toOutcomeCounts(plan.releases.get(release)!.totals);
}

function windowsOf(plan: FoldPlan, release = RELEASE): Record<number, OutcomeCounts> {
  const windows = plan.releases.get(release)!.windows;
  return Object.fromEntries([...windows].map(([slot, counts]) => [slot, toOutcomeCounts(counts)]));
}

const SLOT = AT_MS / 60_000;

describe("one device", () => {
  it("the first report counts the device in its outcome and its attempt, in totals and in its slot", () => {
    const plan = createShard().fold({ event: "installed" });
    const expected = outcomeCounts({ installed: 1, attempted: 1, announced: 1 });
    expect(totalsOf(plan)).toEqual(expected);
    expect(windowsOf(plan)).toEqual({ [SLOT]: expected });
    expect(plan.newReleases).toEqual(new Map([[RELEASE, 1]]));
  });

  it("a repeat changes nothing but when it was last heard of", () => {
    const shard = createShard();
    shard.fold({ event: "reverted" });
    const plan = shard.fold({ event: "reverted", receivedAtMs: RECEIVED_AT_MS + 9_000 });
    expect(totalsOf(plan)).toEqual(outcomeCounts({}));
    expect(plan.states.size).toBe(0);
    expect(plan.newReleases.size).toBe(0);
    const delta = plan.releases.get(RELEASE)!;
    expect(delta.lastReportAtMs).toBe(RECEIVED_AT_MS + 9_000);
    expect(delta.lastFailureAtMs).toBe(0);
  });

  it("failed, then confirmed: recovered, and failed for ever", () => {
    const shard = createShard();
    expect(totalsOf(shard.fold({ event: "install_failed" }))).toEqual(
      outcomeCounts({ install_failed: 1, attempted: 1, failed: 1, failed_unannounced: 1 }),
    );
    expect(totalsOf(shard.fold({ event: "confirmed" }))).toEqual(
      outcomeCounts({ confirmed: 1, recovered: 1 }),
    );
  });

  it("a second way of failing does not count the device as failed twice", () => {
    const plan = createShard().fold({ event: "install_failed" }, { event: "reverted" });
    expect(totalsOf(plan)).toEqual(
      outcomeCounts({ install_failed: 1, reverted: 1, attempted: 1, failed: 1, failed_unannounced: 1 }),
    );
  });

  it("use and crashes alone are no attempt and stand in no slot; the attempt brings them into it", () => {
    const shard = createShard();
    const before = shard.fold({ event: "active" }, { event: "crashed" }, { event: "not_responding" });
    expect(totalsOf(before)).toEqual(outcomeCounts({ active: 1, crashed: 1, not_responding: 1 }));
    expect(windowsOf(before)).toEqual({});
    const after = shard.fold({ event: "update_started" });
    expect(totalsOf(after)).toEqual(outcomeCounts({ update_started: 1, attempted: 1, announced: 1 }));
    expect(windowsOf(after)).toEqual({
      [SLOT]: outcomeCounts({
        active: 1,
        crashed: 1,
        not_responding: 1,
        update_started: 1,
        attempted: 1,
        announced: 1,
      }),
    });
  });

  it("an earlier attempt that is told later moves the device to the earlier slot, with all it reported", () => {
    const shard = createShard();
    shard.fold({ event: "reverted", atMs: AT_MS + 2 * SLOT_MS });
    const plan = shard.fold({ event: "update_started", atMs: AT_MS });
    expect(totalsOf(plan)).toEqual(
      outcomeCounts({ update_started: 1, announced: 1, failed_unannounced: -1 }),
    );
    expect(windowsOf(plan)).toEqual({
      [SLOT + 10]: outcomeCounts({ reverted: -1, attempted: -1, failed: -1, failed_unannounced: -1 }),
      [SLOT]: outcomeCounts({ update_started: 1, reverted: 1, attempted: 1, failed: 1, announced: 1 }),
    });
  });

  it("a later attempt leaves it where it is; a slot ends with its last millisecond", () => {
    const shard = createShard();
    shard.fold({ event: "update_started", atMs: AT_MS + SLOT_MS - 1 });
    expect(windowsOf(shard.fold({ event: "confirmed", atMs: AT_MS + 3 * SLOT_MS }))).toEqual({
      [SLOT]: outcomeCounts({ confirmed: 1 }),
    });
    expect(Object.keys(windowsOf(createShard().fold({ event: "installed", atMs: AT_MS + SLOT_MS })))).toEqual(
      [String(SLOT + 5)],
    );
  });

  it("keeps flags and first attempt per release", () => {
    const shard = createShard();
    shard.fold({ event: "confirmed", version: "1.3.0" }, { event: "reverted", version: "1.4.0" });
    const [state] = [...shard.states.values()];
    expect(decodeDeviceState(state!)).toEqual(
      new Map([
        [1, { flags: 1 << 4, attemptMinute: SLOT }],
        [2, { flags: 1 << 5, attemptMinute: SLOT }],
      ]),
    );
  });

  it.each([-62_135_596_800_000, -1, 0, 59_999, Number.MAX_SAFE_INTEGER])(
    "a time that no clock should show (%d) is still folded, and can be folded again",
    (atMs) => {
      const shard = createShard();
      expect(totalsOf(shard.fold({ event: "installed", atMs })).attempted).toBe(1);
      expect(totalsOf(shard.fold({ event: "installed", atMs })).attempted).toBe(0);
      expect(totalsOf(shard.fold({ event: "confirmed" })).attempted).toBe(0);
    },
  );
});

describe("times of a release", () => {
  it("first and last are when ingest took the reports in, whatever their order", () => {
    const plan = createShard().fold(
      { event: "active", device: "b", receivedAtMs: 2_000 },
      { event: "active", device: "a", receivedAtMs: 1_000 },
      { event: "active", device: "c", receivedAtMs: 3_000 },
    );
    expect(plan.releases.get(RELEASE)).toMatchObject({
      firstReportAtMs: 1_000,
      lastReportAtMs: 3_000,
      lastFailureAtMs: 0,
    });
  });

  it("the newest failure is the newest first telling of one", () => {
    const plan = createShard().fold(
      { event: "reverted", device: "a", receivedAtMs: 1_000 },
      { event: "download_failed", device: "b", receivedAtMs: 2_000 },
      { event: "reverted", device: "a", receivedAtMs: 3_000 },
      { event: "crashed", device: "c", receivedAtMs: 4_000 },
    );
    expect(plan.releases.get(RELEASE)!.lastFailureAtMs).toBe(2_000);
  });
});

describe("devices", () => {
  it("the same id in two apps is two devices; the app is part of the name", () => {
    const report = { ...releaseOf("1.4.0"), device: "7", event: "active", atMs: AT_MS } as AcceptedReport;
    const other = { ...report, app: "com.acme.kiosk" } as AcceptedReport;
    expect(toFoldable(report, 0).field).not.toBe(toFoldable(other, 0).field);
    expect(toFoldable({ ...report, event: "crashed" }, 5).field).toBe(toFoldable(report, 0).field);
  });
});

function versions(count: number, prefix = "v"): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

describe("RELEASES_PER_DEVICE_MAX", () => {
  it("a device may have 128 releases; the 129th is refused, and the known ones still count", () => {
    expect(RELEASES_PER_DEVICE_MAX).toBe(128);
    const shard = createShard();
    const full = shard.fold(...versions(128).map((version) => ({ event: "confirmed" as const, version })));
    expect(full.refused).toEqual([]);
    const plan = shard.fold(
      { event: "confirmed", version: "one-more" },
      { event: "reverted", version: "v127" },
      { event: "confirmed", version: "one-more", device: "till-2" },
    );
    expect(plan.refused).toMatchObject([
      { reason: "too_many_releases_on_device", report: { version: "one-more", device: "till-1" } },
    ]);
    expect(totalsOf(plan, "com.acme.till|production|v127").failed).toBe(1);
    expect(totalsOf(plan, "com.acme.till|production|one-more").attempted).toBe(1);
  });

  it("the oldest attempt gives way once no report may claim its time any more, and not a minute before", () => {
    const shard = createShard();
    shard.fold(
      ...versions(128).map((version, index) => ({
        event: "confirmed" as const,
        version,
        atMs: AT_MS + index * 60_000,
      })),
    );
    const receivedAtMs = AT_MS + REPORT_AGE_MS_MAX;
    const atTheEdge = {
      event: "confirmed" as const,
      version: "next",
      atMs: receivedAtMs,
      receivedAtMs,
    };
    expect(shard.fold(atTheEdge).refused).toMatchObject([{ reason: "too_many_releases_on_device" }]);
    const later = shard.fold({ ...atTheEdge, receivedAtMs: receivedAtMs + 60_000 });
    expect(later.refused).toEqual([]);
    const [state] = [...shard.states.values()].map(decodeDeviceState);
    expect(state!.size).toBe(128);
    expect(state!.has(1)).toBe(false);
    expect(state!.has(2)).toBe(true);
  });

  it("a replay about the release that gave way does not count a second time", () => {
    const shard = createShard();
    const all = versions(128).map((version) => ({ event: "reverted" as const, version }));
    const first = shard.fold(...all);
    expect(totalsOf(first, "com.acme.till|production|v0").failed).toBe(1);
    const receivedAtMs = AT_MS + REPORT_AGE_MS_MAX + 60_000;
    shard.fold({ event: "confirmed", version: "next", atMs: receivedAtMs, receivedAtMs });
    const clamped = { ...all[0]!, atMs: receivedAtMs - REPORT_AGE_MS_MAX, receivedAtMs };
    const replayed = shard.fold(clamped);
    expect(replayed.releases.get("com.acme.till|production|v0")).toBeUndefined();
    expect(replayed.refused).toMatchObject([{ reason: "too_many_releases_on_device" }]);
  });

  it("what is refused takes no place in the channel's table: one device cannot fill it", () => {
    const shard = createShard();
    const plan = shard.fold(...versions(200).map((version) => ({ event: "confirmed" as const, version })));
    expect(plan.refused.length).toBe(72);
    expect(plan.newReleases.size).toBe(128);
    expect(plan.releases.size).toBe(128);
  });
});

describe("RELEASES_PER_CHANNEL_MAX", () => {
  it("a channel may have 10,000 releases in a shard; the next is refused, known ones and other channels are not", () => {
    expect(RELEASES_PER_CHANNEL_MAX).toBe(10_000);
    const shard = createShard();
    const each = versions(10_000).map((version, index) => ({
      event: "active" as const,
      version,
      device: `till-${index % 100}`,
    }));
    expect(shard.fold(...each.slice(0, 9_999)).refused).toEqual([]);
    const atTheEdge = shard.fold(each[9_999]!, { event: "active", version: "too-many", device: "x" });
    expect(atTheEdge.refused).toMatchObject([
      { reason: "too_many_releases_on_channel", report: { version: "too-many" } },
    ]);
    expect(atTheEdge.newReleases).toEqual(new Map([["com.acme.till|production|v9999", 10_000]]));
    expect(shard.fold({ event: "active", version: "v0", device: "x" }).refused).toEqual([]);
    expect(shard.fold({ event: "active", version: "too-many", device: "x" }).refused.length).toBe(1);
    const report = { ...releaseOf("v0"), channel: "beta", device: "x", event: "active", atMs: AT_MS };
    const elsewhere = fold({
      reports: [toFoldable(report as AcceptedReport, 0)],
      releaseTable: shard.table,
      stateOf: () => undefined,
    });
    expect(elsewhere.newReleases).toEqual(new Map([["com.acme.till|beta|v0", 10_001]]));
  });

  it("numbers go on from the highest, not from the count: those of retired releases are never given again", () => {
    const shard = createShard();
    shard.table.set("com.acme.till|production|v1", 3);
    shard.table.set("com.acme.till|production|v2", 41);
    shard.table.set("com.acme.till|beta|v2", 7);
    const plan = shard.fold({ event: "active", version: "v3" }, { event: "active", version: "v4" });
    expect([...plan.newReleases.values()]).toEqual([42, 43]);
  });
});
