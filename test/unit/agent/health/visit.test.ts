// What time alone changes: silence, to the millisecond, and devices that leave.
import { describe, expect, it } from "vitest";
import {
  DEFAULT_COUNTING_RULES,
  SILENCE_DEADLINE_MS_DEFAULT,
} from "../../../../agent/health/counting-rules.ts";
import { nameDevice } from "../../../../agent/health/device-table.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import { GONE } from "../../../../agent/health/visit.ts";
import type { DeviceEvent } from "../../../../ingest/contract/device-report.ts";
import { AT_MINUTE, AT_MS, createMemoryShard } from "./memory-shard.ts";
import type { MemoryShard, Told } from "./memory-shard.ts";

const MINUTE_MS = 60_000;
const DEADLINE_MS = 6 * 3_600_000;
const TILL_1 = nameDevice("com.acme.till", "till-1");
/** Of what comes in during the minute of AT_MS: the minute is over, and the deadline has passed. */
const SILENT_AT_MS = AT_MS + MINUTE_MS + DEADLINE_MS;
const SILENT_AT_MINUTE = SILENT_AT_MS / MINUTE_MS;

function devicesOf(shard: MemoryShard, version = "1.4.0"): OutcomeCounts {
  return shard.counts()[`com.acme.till|production|${version}`]!.devices;
}

/** `silent` and `returned_late`. */
function silenceOf(shard: MemoryShard, version?: string): [number, number] {
  const { silent, returned_late: returnedLate } = devicesOf(shard, version);
  return [silent, returnedLate];
}

function shardWith(...told: Told[]): MemoryShard {
  const shard = createMemoryShard();
  shard.fold(...told);
  return shard;
}

function silentShard(): MemoryShard {
  const shard = shardWith({ event: "installed" });
  shard.look(SILENT_AT_MS);
  return shard;
}

describe("what a fold says is due", () => {
  it("is a device that owes a word, in the minute in which its deadline has passed", () => {
    expect(SILENCE_DEADLINE_MS_DEFAULT).toBe(DEADLINE_MS);
    const plan = createMemoryShard().fold({ event: "installed" });
    expect(plan.due).toEqual([{ minute: SILENT_AT_MINUTE, field: TILL_1.field }]);
  });

  it("counts from when the word came in, not from the device's clock", () => {
    const receivedAtMs = AT_MS + 3 * 24 * 60 * MINUTE_MS + 59_999;
    const plan = createMemoryShard().fold({ event: "update_started", receivedAtMs });
    expect(plan.due).toMatchObject([{ minute: SILENT_AT_MINUTE + 3 * 24 * 60 }]);
    const nextMinute = createMemoryShard().fold({ event: "update_started", receivedAtMs: receivedAtMs + 1 });
    expect(nextMinute.due).toMatchObject([{ minute: SILENT_AT_MINUTE + 3 * 24 * 60 + 1 }]);
  });

  it("is the whole minute in which a deadline ends that is none of whole minutes", () => {
    const rules = { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => 90_001 };
    const plan = createMemoryShard({ rules }).fold({ event: "installed" });
    expect(plan.due).toMatchObject([{ minute: AT_MINUTE + 3 }]);
  });

  it("is nobody whose batch ended with an answer, and nobody twice for the same word", () => {
    const shard = createMemoryShard();
    expect(shard.fold({ event: "installed" }, { event: "confirmed", atMs: AT_MS + 1_000 }).due).toEqual([]);
    const other: Told = { event: "installed", device: "till-2" };
    expect(shard.fold(other).due.length).toBe(1);
    expect(shard.fold(other).due).toEqual([]);
    // An older word changes what is known of the device, but not when it owes its answer.
    const older = shard.fold({ ...other, event: "update_started", atMs: AT_MS - 60_000 });
    expect([older.states.size, older.due.length]).toEqual([1, 0]);
  });

  it("is nobody who stands at the same minute already, however often it begins", () => {
    const shard = shardWith({ event: "update_started" });
    for (let times = 1; times <= 3; times += 1) {
      const newer: Told = { event: "update_started", atMs: AT_MS + times * 1_000 };
      const plan = shard.fold(newer, { ...newer, version: "1.5.0" });
      expect([plan.states.size, plan.due.length]).toEqual([1, 0]);
    }
    const receivedAtMs = AT_MS + MINUTE_MS;
    const plan = shard.fold({ event: "update_started", atMs: receivedAtMs, receivedAtMs });
    expect(plan.due).toEqual([{ minute: SILENT_AT_MINUTE + 1, field: TILL_1.field }]);
  });

  it("is a device that owed a word about the same minute, answered, and owes one again", () => {
    const shard = shardWith({ event: "update_started" });
    shard.fold({ event: "download_failed", atMs: AT_MS + 1_000 });
    const again = shard.fold({ event: "update_started", atMs: AT_MS + 2_000 });
    expect(again.due).toEqual([{ minute: SILENT_AT_MINUTE, field: TILL_1.field }]);
  });

  it("is a silent device whose next word was received in the minute of the one before", () => {
    const shard = silentShard();
    const next = shard.fold({ event: "installed", atMs: AT_MS + 1_000 });
    expect(next.due).toEqual([{ minute: SILENT_AT_MINUTE, field: TILL_1.field }]);
    expect(silenceOf(shard)).toEqual([0, 1]);
  });
});

describe("silence", () => {
  it("begins with the last millisecond of the deadline, counted from the end of the minute", () => {
    for (const receivedAtMs of [AT_MS, AT_MS + MINUTE_MS - 1]) {
      const shard = shardWith({ event: "installed", receivedAtMs });
      expect(shard.look(SILENT_AT_MS - 1).states.size).toBe(0);
      expect(silenceOf(shard)).toEqual([0, 0]);
      shard.look(SILENT_AT_MS);
      expect(silenceOf(shard)).toEqual([1, 0]);
    }
  });

  it("is counted in totals, in the stratum, and in the minute of the attempt", () => {
    const shard = shardWith({ event: "update_started", model: "T1" });
    shard.look(SILENT_AT_MS);
    const { strata, windows } = Object.values(shard.counts())[0]!;
    expect(Object.values(strata).map(({ devices }) => devices.silent)).toEqual([1]);
    expect(Object.entries(windows).map(([name, { devices }]) => [name, devices.silent])).toEqual([
      [`${AT_MINUTE}/1 ["","T1","",""]`, 1],
    ]);
  });

  it("is counted once; who looked too early is looked at again when it is due", () => {
    const shard = shardWith({ event: "installed" });
    expect(shard.look(SILENT_AT_MS - 1).due).toEqual([{ minute: SILENT_AT_MINUTE, field: TILL_1.field }]);
    const plan = shard.look(SILENT_AT_MS, { devices: [TILL_1, TILL_1] });
    expect(plan.due).toEqual([]);
    expect(silenceOf(shard)).toEqual([1, 0]);
    const again = shard.look(SILENT_AT_MS + DEADLINE_MS);
    expect([again.states.size, again.due.length]).toEqual([0, 0]);
    expect(silenceOf(shard)).toEqual([1, 0]);
  });

  it("says by which deadline it was counted, of the releases it was counted of", () => {
    const rules = { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => MINUTE_MS + 1 };
    const shard = createMemoryShard({ rules });
    const folded = shard.fold(
      { event: "installed" },
      { event: "active", device: "till-2", version: "1.5.0" },
    );
    const early = shard.look(AT_MS + 2 * MINUTE_MS);
    expect([...folded.releases.values()].map(({ silenceDeadlineMs }) => silenceDeadlineMs)).toEqual([0, 0]);
    expect(early.releases.size).toBe(0);
    const { releases } = shard.look(AT_MS + 2 * MINUTE_MS + 1);
    expect([...releases].map(([text, { silenceDeadlineMs }]) => [text, silenceDeadlineMs])).toEqual([
      ["com.acme.till|production|1.4.0", MINUTE_MS + 1],
    ]);
  });

  it("the deadline is that of the channel of the release", () => {
    const rules = {
      ...DEFAULT_COUNTING_RULES,
      silenceDeadlineMsOf: ({ channel }: { channel: string }) =>
        channel === "beta" ? MINUTE_MS : DEADLINE_MS,
    };
    const shard = createMemoryShard({ rules });
    shard.fold({ event: "installed" }, { event: "installed", device: "till-2", channel: "beta" });
    shard.look(AT_MS + 2 * MINUTE_MS - 1);
    expect(shard.counts()["com.acme.till|beta|1.4.0"]!.devices.silent).toBe(0);
    shard.look(AT_MS + 2 * MINUTE_MS);
    expect(shard.counts()["com.acme.till|beta|1.4.0"]!.devices.silent).toBe(1);
    expect(silenceOf(shard)).toEqual([0, 0]);
  });

  it("is of nobody who is not known, or has left meanwhile", () => {
    const shard = createMemoryShard();
    const plan = shard.look(SILENT_AT_MS, { devices: [TILL_1] });
    expect([plan.states.size, plan.due.length]).toEqual([0, 0]);
  });

  it.each(["install_failed", "reverted", "confirmed", "active", "crashed", "not_responding"] as const)(
    "is of nobody who once told %s about the release, though the last word leaves one owing",
    (event) => {
      const shard = shardWith({ event, atMs: AT_MS - 1_000 }, { event: "installed" });
      shard.look(SILENT_AT_MS + DEADLINE_MS);
      expect(silenceOf(shard)).toEqual([0, 0]);
    },
  );

  it("a failed download ends nothing, but is a word: it owes none until the next beginning", () => {
    const before = shardWith({ event: "download_failed", atMs: AT_MS - 1_000 }, { event: "update_started" });
    before.look(SILENT_AT_MS);
    expect(silenceOf(before)).toEqual([1, 0]);
    const after = shardWith({ event: "update_started" }, { event: "download_failed", atMs: AT_MS + 1_000 });
    after.look(SILENT_AT_MS);
    expect(silenceOf(after)).toEqual([0, 0]);
  });
});

describe("time in which nothing could come in", () => {
  it("passes for nobody: the deadline counts from when we have listened without a gap", () => {
    const shard = shardWith({ event: "installed" });
    const heardFromMs = AT_MS + 2 * DEADLINE_MS;
    const early = shard.look(heardFromMs + DEADLINE_MS - 1, { heardFromMs });
    expect(early.due).toEqual([{ minute: (heardFromMs + DEADLINE_MS) / MINUTE_MS, field: TILL_1.field }]);
    expect(silenceOf(shard)).toEqual([0, 0]);
    shard.look(heardFromMs + DEADLINE_MS, { heardFromMs });
    expect(silenceOf(shard)).toEqual([1, 0]);
  });

  it("passes for no device of an app that is heard through its OTA server, while that can't be read", () => {
    const shard = shardWith({ event: "installed" });
    const backMs = AT_MS + 2 * DEADLINE_MS;
    const appHeardFromMs = (app: string): number => (app === "com.acme.till" ? backMs : 0);
    shard.look(backMs + DEADLINE_MS - 1, { appHeardFromMs });
    expect(silenceOf(shard)).toEqual([0, 0]);
    shard.look(backMs + DEADLINE_MS, { appHeardFromMs });
    expect(silenceOf(shard)).toEqual([1, 0]);
    const other = shardWith({ event: "installed" });
    other.look(SILENT_AT_MS, { appHeardFromMs: (app) => (app === "com.acme.kiosk" ? backMs : 0) });
    expect(silenceOf(other)).toEqual([1, 0]);
  });

  it("ends before the word came in, and then changes nothing", () => {
    for (const heardFromMs of [0, AT_MS - 1, AT_MS + MINUTE_MS]) {
      const shard = shardWith({ event: "installed" });
      shard.look(SILENT_AT_MS - 1, { heardFromMs });
      expect(silenceOf(shard)).toEqual([0, 0]);
      shard.look(SILENT_AT_MS, { heardFromMs });
      expect(silenceOf(shard)).toEqual([1, 0]);
    }
    const shard = shardWith({ event: "installed" });
    shard.look(SILENT_AT_MS, { heardFromMs: AT_MS + MINUTE_MS + 1 });
    expect(silenceOf(shard)).toEqual([0, 0]);
  });

  it("does not bring back who is silent already", () => {
    const shard = silentShard();
    shard.look(SILENT_AT_MS + 1, { heardFromMs: SILENT_AT_MS });
    expect(silenceOf(shard)).toEqual([1, 0]);
  });
});

describe("a silent device that comes back", () => {
  const late = (event: DeviceEvent, told: Partial<Told> = {}): Told => ({
    event,
    atMs: SILENT_AT_MS + 5_000,
    receivedAtMs: SILENT_AT_MS + 5_000,
    ...told,
  });

  it.each([
    "update_started",
    "download_failed",
    "installed",
    "install_failed",
    "confirmed",
    "reverted",
    "active",
  ] as const)("with %s is silent no more, and has returned late for ever", (event) => {
    const shard = silentShard();
    shard.fold(late(event));
    expect(silenceOf(shard)).toEqual([0, 1]);
    shard.fold(late("active", { atMs: SILENT_AT_MS + 9_000 }));
    expect(silenceOf(shard)).toEqual([0, 1]);
  });

  it("with a word about another release has returned late about the one it was silent about", () => {
    const shard = silentShard();
    shard.fold(late("confirmed", { version: "1.3.0" }));
    expect(silenceOf(shard)).toEqual([0, 1]);
    expect(silenceOf(shard, "1.3.0")).toEqual([0, 0]);
  });

  it("not with the same word again, nor with an older one that ends nothing", () => {
    const shard = silentShard();
    shard.fold(
      { event: "installed", receivedAtMs: SILENT_AT_MS + 5_000 },
      { event: "update_started", atMs: AT_MS - 1 },
    );
    expect(silenceOf(shard)).toEqual([1, 0]);
    const plan = shard.look(SILENT_AT_MS + 3 * DEADLINE_MS);
    expect(plan.states.size).toBe(0);
  });

  it("with an older word that came in late and ends it", () => {
    const shard = silentShard();
    shard.fold(late("reverted", { atMs: AT_MS - 1_000 }));
    expect(silenceOf(shard)).toEqual([0, 1]);
    expect(devicesOf(shard).failed).toBe(1);
  });

  it("and falls silent again counts in both", () => {
    const shard = silentShard();
    const plan = shard.fold(late("installed"));
    const dueMs = SILENT_AT_MS + MINUTE_MS + DEADLINE_MS;
    expect(plan.due).toEqual([{ minute: dueMs / MINUTE_MS, field: TILL_1.field }]);
    shard.look(dueMs - 1);
    expect(silenceOf(shard)).toEqual([0, 1]);
    shard.look(dueMs);
    expect(silenceOf(shard)).toEqual([1, 1]);
    shard.fold(late("confirmed", { atMs: dueMs, receivedAtMs: dueMs }));
    expect(silenceOf(shard)).toEqual([0, 1]);
  });
});

describe("a device whose state can't be read", () => {
  it.each(["", "abc", "abcd\xff"])(
    "is passed by (%j): it is not silent, does not leave, and stops nobody",
    (bytes) => {
      const shard = shardWith({ event: "installed" }, { event: "installed", device: "till-2" });
      shard.states.set(TILL_1.field, Buffer.from(bytes, "latin1"));
      const plan = shard.look(SILENT_AT_MS);
      expect([plan.states.size, plan.due.length]).toEqual([1, 0]);
      expect(silenceOf(shard)).toEqual([1, 0]);
      shard.leave(AT_MS * 10, 1);
      expect([...shard.states.keys()]).toEqual([TILL_1.field]);
    },
  );
});

describe("a device that nobody has heard of for the retention", () => {
  const RETENTION_MS = 90 * 24 * 3_600_000;

  it("leaves with the last millisecond of it, by the second of its last word", () => {
    const shard = shardWith({ event: "installed", atMs: AT_MS + 999 });
    expect(shard.leave(AT_MS + RETENTION_MS - 1, RETENTION_MS).states.size).toBe(0);
    expect(shard.states.size).toBe(1);
    const plan = shard.leave(AT_MS + RETENTION_MS, RETENTION_MS);
    expect([...plan.states].map(([bucket, states]) => [bucket, [...states]])).toEqual([
      [TILL_1.bucket, [[TILL_1.field, GONE]]],
    ]);
    expect([plan.due.length, plan.newRows.releases.size]).toEqual([0, 0]);
    expect(shard.states.size).toBe(0);
  });

  it("runs nothing any more, in its stratum as well; all else it did stays counted", () => {
    const shard = shardWith(
      { event: "reverted", model: "T1" },
      { event: "active", version: "1.3.0", model: "T1" },
    );
    const before = shard.counts();
    shard.leave(AT_MS + RETENTION_MS, RETENTION_MS);
    expect(devicesOf(shard)).toEqual(before["com.acme.till|production|1.4.0"]!.devices);
    const { devices, strata, hours } = shard.counts()["com.acme.till|production|1.3.0"]!;
    expect(devices).toMatchObject({ active: 1, running: 0 });
    expect(Object.values(strata).map((stratum) => stratum.devices.running)).toEqual([0]);
    expect(hours.active).toBe(1);
  });

  it("a silent one stays counted as silent, and owes nothing any more", () => {
    const shard = silentShard();
    shard.leave(AT_MS + RETENTION_MS, RETENTION_MS);
    expect(silenceOf(shard)).toEqual([1, 0]);
    expect(shard.look(AT_MS + 2 * RETENTION_MS, { devices: [TILL_1] }).states.size).toBe(0);
  });

  it("counts anew when it comes back, as another device would", () => {
    const shard = shardWith({ event: "confirmed" });
    shard.leave(AT_MS + RETENTION_MS, RETENTION_MS);
    const atMs = AT_MS + RETENTION_MS;
    shard.fold({ event: "confirmed", atMs, receivedAtMs: atMs });
    expect(devicesOf(shard)).toMatchObject({ confirmed: 2, running: 1 });
  });

  it("is not one that was heard of since, or that has left already", () => {
    const shard = shardWith({ event: "active" }, { event: "active", device: "till-2", atMs: AT_MS + 1_000 });
    const plan = shard.leave(AT_MS + RETENTION_MS, RETENTION_MS, [
      TILL_1,
      nameDevice("com.acme.till", "till-2"),
      nameDevice("com.acme.till", "unknown"),
    ]);
    expect([...plan.states.keys()]).toEqual([TILL_1.bucket]);
    expect(devicesOf(shard)).toMatchObject({ active: 2, running: 1 });
  });
});
