// The two limits on releases, at their edges: of a device, and of a channel in a shard. And releases that
// have retired. And devices whose state can't be read.
import { describe, expect, it } from "vitest";
import { RELEASES_PER_DEVICE_MAX } from "../../../../agent/health/device-state.ts";
import { nameDevice } from "../../../../agent/health/device-table.ts";
import { RELEASES_PER_CHANNEL_MAX } from "../../../../agent/health/shard-tables.ts";
import type { ShardTable } from "../../../../agent/health/shard-tables.ts";
import { REPORT_AGE_MS_MAX } from "../../../../ingest/contract/device-report.ts";
import type { DeviceEvent } from "../../../../ingest/contract/device-report.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import { AT_MS, createMemoryShard } from "./memory-shard.ts";
import type { MemoryShard, Told } from "./memory-shard.ts";

function versions(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `v${index}`);
}

function each(count: number, event: DeviceEvent, told: Partial<Told> = {}): Told[] {
  return versions(count).map((version) => ({ event, version, ...told }));
}

function textOf(version: string): string {
  return `com.acme.till|production|${version}`;
}

function devicesOf(shard: MemoryShard, version: string): OutcomeCounts {
  return shard.counts()[textOf(version)]!.devices;
}

describe("RELEASES_PER_DEVICE_MAX", () => {
  it("a device may have 128 releases; the 129th is refused, and the known ones still count", () => {
    expect(RELEASES_PER_DEVICE_MAX).toBe(128);
    const shard = createMemoryShard();
    expect(shard.fold(...each(128, "confirmed")).refused).toEqual([]);
    const plan = shard.fold(
      { event: "confirmed", version: "one-more" },
      { event: "reverted", version: "v127" },
      { event: "confirmed", version: "one-more", device: "till-2" },
    );
    expect(plan.refused).toMatchObject([
      { reason: "too_many_releases_on_device", report: { version: "one-more", device: "till-1" } },
    ]);
    expect(devicesOf(shard, "v127").failed).toBe(1);
    expect(devicesOf(shard, "one-more").attempted).toBe(1);
  });

  it("what is refused was not heard: it is no word of the device, and no time of the release", () => {
    const shard = createMemoryShard();
    shard.fold(...each(128, "confirmed"));
    const before = shard.stateOf();
    const plan = shard.fold({ event: "installed", version: "one-more", atMs: AT_MS + 60_000 });
    expect(plan.refused.length).toBe(1);
    expect([plan.states.size, plan.releases.size, plan.due.length]).toEqual([0, 0, 0]);
    expect(shard.stateOf()).toEqual(before);
  });

  it("the oldest attempt gives way once no report may claim its time any more, and not a minute before", () => {
    const shard = createMemoryShard();
    const attempts = each(128, "confirmed").map((told, index) => {
      const atMs = AT_MS + index * 60_000;
      return { ...told, atMs, receivedAtMs: atMs };
    });
    shard.fold(...attempts);
    const receivedAtMs = AT_MS + REPORT_AGE_MS_MAX;
    const next: Told = { event: "confirmed", version: "next", atMs: receivedAtMs, receivedAtMs };
    const edge = { ...next, receivedAtMs: receivedAtMs + 59_999 };
    expect(shard.fold(edge).refused).toMatchObject([{ reason: "too_many_releases_on_device" }]);
    expect(shard.fold({ ...next, receivedAtMs: receivedAtMs + 60_000 }).refused).toEqual([]);
    const { records } = shard.stateOf();
    expect(records.size).toBe(128);
    expect([records.has(1), records.has(2), records.has(129)]).toEqual([false, true, true]);
    // The record went, its counts stayed.
    expect(devicesOf(shard, "v0").confirmed).toBe(1);
  });

  it("a replay about the release that gave way does not count a second time", () => {
    const shard = createMemoryShard();
    const all = each(128, "reverted");
    shard.fold(...all);
    const receivedAtMs = AT_MS + REPORT_AGE_MS_MAX + 60_000;
    shard.fold({ event: "confirmed", version: "next", atMs: receivedAtMs, receivedAtMs });
    expect(shard.stateOf().records.has(1)).toBe(false);
    const clamped = { ...all[0]!, atMs: receivedAtMs - REPORT_AGE_MS_MAX, receivedAtMs };
    const replayed = shard.fold(clamped);
    expect(replayed.releases.get(textOf("v0"))).toBeUndefined();
    expect(replayed.refused).toMatchObject([{ reason: "too_many_releases_on_device" }]);
  });

  it("what the device runs gives no way, though its attempt is the oldest", () => {
    const shard = createMemoryShard();
    const [first, ...others] = each(128, "update_started", { atMs: AT_MS + 60_000 });
    shard.fold({ ...first!, event: "confirmed", atMs: AT_MS }, ...others);
    const receivedAtMs = AT_MS + 2 * REPORT_AGE_MS_MAX;
    const plan = shard.fold({ event: "update_started", version: "next", atMs: receivedAtMs, receivedAtMs });
    expect(plan.refused).toEqual([]);
    const { records } = shard.stateOf();
    expect([records.has(1), records.has(2)]).toEqual([true, false]);
    expect(devicesOf(shard, "v0").running).toBe(1);
  });

  it("what is refused takes no place in the channel's table: one device cannot fill it", () => {
    const plan = createMemoryShard().fold(...each(200, "confirmed"));
    expect(plan.refused.length).toBe(72);
    expect(plan.newRows.releases.size).toBe(128);
    expect(plan.releases.size).toBe(128);
  });
});

describe("a device whose state can't be read", () => {
  it.each(["", "abc", "abcd\xff"])("has its reports put aside (%j), and the others are counted", (bytes) => {
    const shard = createMemoryShard();
    shard.fold({ event: "installed" });
    const { field } = nameDevice("com.acme.till", "till-1");
    shard.states.set(field, Buffer.from(bytes, "latin1"));
    const plan = shard.fold(
      { event: "confirmed" },
      { event: "confirmed", device: "till-2" },
      { event: "active", version: "1.5.0" },
    );
    expect(plan.refused.map(({ reason, report }) => [reason, report.device, report.event])).toEqual([
      ["unreadable_device_state", "till-1", "confirmed"],
      ["unreadable_device_state", "till-1", "active"],
    ]);
    expect([...plan.states.values()].flatMap((states) => [...states.keys()])).toEqual([
      nameDevice("com.acme.till", "till-2").field,
    ]);
    expect(devicesOf(shard, "1.4.0")).toMatchObject({ installed: 1, confirmed: 1 });
    expect(plan.newRows.releases.size).toBe(0);
    expect(shard.states.get(field)).toEqual(Buffer.from(bytes, "latin1"));
  });
});

describe("a record that gives way in the batch in which it changed, or comes back", () => {
  const laterMs = AT_MS + 2 * REPORT_AGE_MS_MAX;
  const later = (event: DeviceEvent, version: string, afterMs: number): Told => {
    const atMs = laterMs + afterMs;
    return { event, version, atMs, receivedAtMs: atMs };
  };
  const stories: [string, Told[]][] = [
    [
      "changed, then gone",
      [later("active", "v0", 0), later("active", "v1", 1_000), later("active", "new", 2_000)],
    ],
    ["gone, then back", [later("active", "new", 0), later("crashed", "v0", 1_000)]],
    [
      "changed, gone, and back",
      [
        later("active", "v0", 0),
        later("active", "v1", 1_000),
        later("active", "new", 2_000),
        later("crashed", "v0", 3_000),
      ],
    ],
  ];

  it.each(stories)("counts as in batches of one: %s", (_what, reports) => {
    const attempts = each(128, "update_started").map((told, index) => ({
      ...told,
      atMs: AT_MS + index * 60_000,
    }));
    const atOnce = createMemoryShard();
    atOnce.fold(...attempts);
    atOnce.fold(...reports);
    const oneByOne = createMemoryShard();
    oneByOne.fold(...attempts);
    for (const report of reports) oneByOne.fold(report);
    expect(atOnce.counts()).toEqual(oneByOne.counts());
    expect(devicesOf(atOnce, "v0").update_started).toBe(1);
  });
});

describe("RELEASES_PER_CHANNEL_MAX", () => {
  it("a channel may have 10,000 releases in a shard; the next is refused, known ones and other channels are not", () => {
    expect(RELEASES_PER_CHANNEL_MAX).toBe(10_000);
    const shard = createMemoryShard();
    const all = each(10_000, "active").map((told, index) => ({ ...told, device: `till-${index % 100}` }));
    expect(shard.fold(...all.slice(0, 9_999)).refused).toEqual([]);
    const tooMany: Told = { event: "active", version: "too-many", device: "x" };
    const atTheEdge = shard.fold(all[9_999]!, tooMany);
    expect(atTheEdge.refused).toMatchObject([
      { reason: "too_many_releases_on_channel", report: { version: "too-many" } },
    ]);
    expect(atTheEdge.newRows.releases).toEqual(new Map([[textOf("v9999"), 10_000]]));
    expect(shard.fold({ event: "active", version: "v0", device: "x" }).refused).toEqual([]);
    expect(shard.fold(tooMany).refused.length).toBe(1);
    const elsewhere = shard.fold({ ...tooMany, channel: "beta" });
    expect(elsewhere.newRows.releases).toEqual(new Map([["com.acme.till|beta|too-many", 10_001]]));
  });

  it("a release that finds no place costs the device none either", () => {
    const shard = createMemoryShard();
    const attempts = each(128, "update_started").map((told, index) => ({
      ...told,
      atMs: AT_MS + index * 60_000,
    }));
    shard.fold(...attempts);
    const rows = Array.from({ length: 9_872 }, (_, index) => [textOf(`other${index}`), 129 + index] as const);
    shard.tables = { ...shard.tables, releases: new Map([...shard.tables.releases, ...rows]) };
    const receivedAtMs = AT_MS + 2 * REPORT_AGE_MS_MAX;
    const plan = shard.fold({ event: "active", version: "new", atMs: receivedAtMs, receivedAtMs });
    expect(plan.refused).toMatchObject([{ reason: "too_many_releases_on_channel" }]);
    expect(shard.stateOf().records.has(1)).toBe(true);
  });
});

describe("a release that has retired", () => {
  /** The row goes, as shard-store.ts does it; so do the counts, of which this shard keeps what they were. */
  function retire(shard: MemoryShard, version: string): void {
    const releases: ShardTable = new Map(
      [...shard.tables.releases].filter(([text]) => text !== textOf(version)),
    );
    shard.tables = { ...shard.tables, releases };
  }

  it("gets a new number when it is reported again, and its devices count anew", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "confirmed", version: "1.3.0" }, { event: "update_started" });
    retire(shard, "1.3.0");
    const plan = shard.fold({ event: "confirmed", version: "1.3.0", atMs: AT_MS + 1_000 });
    expect(plan.newRows.releases).toEqual(new Map([[textOf("1.3.0"), 3]]));
    expect([...shard.stateOf().records.keys()]).toEqual([1, 2, 3]);
    expect(plan.releases.get(textOf("1.3.0"))!.totals.slice(0, 5)).toEqual([0, 0, 0, 0, 1]);
  });

  it("is left out when its devices go on to something else", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "active", version: "1.3.0" }, { event: "update_started" });
    retire(shard, "1.3.0");
    const plan = shard.fold({ event: "confirmed", atMs: AT_MS + 1_000 });
    expect([...plan.releases.keys()]).toEqual([textOf("1.4.0")]);
    expect(devicesOf(shard, "1.4.0").running).toBe(1);
  });

  it("is owed no word about", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "installed", version: "1.3.0" }, { event: "active", device: "till-2" });
    retire(shard, "1.3.0");
    const plan = shard.look(AT_MS + 365 * 24 * 3_600_000);
    expect([plan.states.size, plan.releases.size, plan.due.length]).toEqual([0, 0, 0]);
  });

  it("leaves without a trace when its device leaves", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "active", version: "1.3.0" }, { event: "active", device: "till-2" });
    retire(shard, "1.3.0");
    const plan = shard.leave(AT_MS + 100_000, 1_000);
    expect([...plan.releases.keys()]).toEqual([textOf("1.4.0")]);
    expect(shard.states.size).toBe(0);
  });
});
