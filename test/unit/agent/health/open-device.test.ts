// A device while a batch is folded: room for one more release, what it owes, and when it is silent no more.
import { describe, expect, it } from "vitest";
import {
  NO_RECORD,
  RELEASES_PER_DEVICE_MAX,
  encodeDeviceState,
} from "../../../../agent/health/device-state.ts";
import type { DeviceState, ReleaseRecord } from "../../../../agent/health/device-state.ts";
import {
  findRoom,
  isChanged,
  openDevice,
  owingOf,
  silence,
  tellDevice,
} from "../../../../agent/health/open-device.ts";
import type { OpenDevice, Orders } from "../../../../agent/health/open-device.ts";
import { RETURNED_LATE, SILENT, flagOf } from "../../../../agent/health/outcomes.ts";
import { EVENTS, REPORT_AGE_MS_MAX } from "../../../../ingest/contract/device-report.ts";
import { AT_MINUTE, AT_MS, toReport } from "./memory-shard.ts";
import type { Told } from "./memory-shard.ts";

const byNumber: Orders = { releases: (left, right) => left < right, reasons: (left, right) => left < right };

function open(state?: DeviceState): OpenDevice {
  return openDevice(7, "12345678", state === undefined ? undefined : encodeDeviceState(state))!;
}

/** `release`: the shard's number. */
function tell(device: OpenDevice, told: Told, release = 1): void {
  const receivedAtMs = told.receivedAtMs ?? AT_MS;
  tellDevice(device, { report: toReport(told), receivedAtMs, release, stratum: 0, reason: 0 }, byNumber);
}

describe("a device that is opened", () => {
  it("is not changed, whether it is known or not", () => {
    expect(isChanged(open())).toBe(false);
    const known = open();
    tell(known, { event: "confirmed" });
    expect(isChanged(known)).toBe(true);
    const again = openDevice(7, "12345678", encodeDeviceState(known))!;
    expect(again.before.heard).toEqual(known.heard);
    expect(isChanged(again)).toBe(false);
    tell(again, { event: "confirmed" });
    expect(isChanged(again)).toBe(false);
  });

  it("is changed by a newer word alone, though nothing of it is new", () => {
    const device = open({
      heard: { atSecond: AT_MS / 1_000, release: 1, isPending: true, receivedMinute: AT_MINUTE },
      running: undefined,
      records: new Map([[1, { ...NO_RECORD, flags: flagOf("installed"), attemptMinute: AT_MINUTE }]]),
    });
    tell(device, { event: "installed", atMs: AT_MS + 59_000 });
    expect(device.changed.size).toBe(0);
    expect(isChanged(device)).toBe(true);
  });
});

describe("findRoom", () => {
  /** Attempts a minute apart, from release 1 on; release 127 was heard of last, and 128 runs. */
  function full(rows = RELEASES_PER_DEVICE_MAX, record: Partial<ReleaseRecord> = {}): OpenDevice {
    const numbers = Array.from({ length: rows }, (_, index) => index + 1);
    const recordOf = (number: number) => ({
      ...NO_RECORD,
      flags: 1,
      attemptMinute: AT_MINUTE + number,
      ...record,
    });
    return open({
      heard: { atSecond: AT_MS / 1_000, release: 127, isPending: true, receivedMinute: AT_MINUTE },
      running: { atSecond: AT_MS / 1_000, release: 128 },
      records: new Map(numbers.map((number) => [number, recordOf(number)])),
    });
  }
  /** The first attempt's minute is over for every report that may still come. */
  const laterMs = AT_MS + 60_000 + REPORT_AGE_MS_MAX + 60_000;
  const room = (device: OpenDevice, receivedAtMs: number, atMs = receivedAtMs) =>
    findRoom(device, toReport({ event: "confirmed", atMs }), receivedAtMs);

  it("is free up to the last place", () => {
    expect(room(full(127), AT_MS)).toEqual({ kind: "free" });
    expect(room(full(128), AT_MS)).toEqual({ kind: "full" });
  });

  it("the oldest attempt gives way once no report may claim its minute any more", () => {
    expect(room(full(), laterMs - 1)).toEqual({ kind: "full" });
    expect(room(full(), laterMs)).toEqual({ kind: "in_place_of", release: 1 });
  });

  it("a report whose time was clamped to the past replaces nothing", () => {
    expect(room(full(), laterMs, laterMs - REPORT_AGE_MS_MAX)).toEqual({ kind: "full" });
    expect(room(full(), laterMs, laterMs - REPORT_AGE_MS_MAX + 1)).toEqual({
      kind: "in_place_of",
      release: 1,
    });
  });

  it("what the device runs, or was heard of last, never gives way; others do, attempted or only used", () => {
    const device = full();
    for (const number of device.records.keys()) if (number < 127) device.records.delete(number);
    for (let number = 201; device.records.size < 128; number += 1)
      device.records.set(number, { ...NO_RECORD, flags: flagOf("active"), answerMinute: AT_MINUTE + number });
    expect(room(device, laterMs + REPORT_AGE_MS_MAX)).toEqual({ kind: "in_place_of", release: 201 });
    device.records.set(210, {
      ...NO_RECORD,
      flags: 1,
      attemptMinute: AT_MINUTE + 1,
      answerMinute: AT_MINUTE,
    });
    expect(room(device, laterMs + REPORT_AGE_MS_MAX)).toEqual({ kind: "in_place_of", release: 210 });
  });
});

describe("owingOf", () => {
  it("nobody owes a word who was never heard of", () => {
    expect(owingOf(open())).toBeUndefined();
  });

  it.each(EVENTS)("after %s alone a word is owing or it is not", (event) => {
    const device = open();
    tell(device, { event, receivedAtMs: AT_MS + 61_500 });
    const isPending = event === "update_started" || event === "installed";
    const owing = { release: 1, sinceMs: AT_MS + 120_000 };
    expect(owingOf(device)).toEqual(isPending ? owing : undefined);
  });

  it.each(EVENTS)("an earlier %s about the release has answered for good or it has not", (event) => {
    const device = open();
    tell(device, { event, atMs: AT_MS - 1_000 });
    tell(device, { event: "installed" });
    const isOpen = ["update_started", "download_failed", "installed"].includes(event);
    expect(owingOf(device) !== undefined).toBe(isOpen);
  });

  it("the word about another release counts as being heard, and leaves one owing about that", () => {
    const device = open();
    tell(device, { event: "installed" }, 1);
    tell(device, { event: "update_started", atMs: AT_MS + 1_000 }, 2);
    expect(owingOf(device)).toMatchObject({ release: 2 });
    tell(device, { event: "download_failed", atMs: AT_MS + 2_000 }, 1);
    expect(owingOf(device)).toBeUndefined();
  });

  it("the same word again, which came in earlier, is due earlier", () => {
    const device = open();
    tell(device, { event: "installed", receivedAtMs: AT_MS + 600_000 });
    tell(device, { event: "update_started", receivedAtMs: AT_MS + 300_000 });
    expect(owingOf(device)).toEqual({ release: 1, sinceMs: AT_MS + 360_000 });
  });
});

describe("a silent device", () => {
  function silent(): OpenDevice {
    const device = open();
    tell(device, { event: "download_failed", atMs: AT_MS - 5_000 });
    tell(device, { event: "installed" });
    silence(device);
    return device;
  }
  const isSilent = (device: OpenDevice): boolean => (device.records.get(1)!.flags & SILENT) !== 0;
  const hasReturned = (device: OpenDevice): boolean => (device.records.get(1)!.flags & RETURNED_LATE) !== 0;

  it("owes nothing that could make it silent twice", () => {
    expect(isSilent(silent())).toBe(true);
    expect(hasReturned(silent())).toBe(false);
    expect(owingOf(silent())).toBeUndefined();
  });

  it.each<[string, Told, number]>([
    ["the same word again", { event: "installed", receivedAtMs: AT_MS + 9_000_000 }, 1],
    ["the same word again, which came in earlier", { event: "installed", receivedAtMs: AT_MS - 600_000 }, 1],
    ["an older word about the release", { event: "update_started", atMs: AT_MS - 1_000 }, 1],
    ["an older failed download", { event: "download_failed", atMs: AT_MS - 9_000 }, 1],
    ["an older word about another release", { event: "active", atMs: AT_MS - 1_000 }, 2],
  ])("%s leaves it silent", (_what, told, release) => {
    const device = silent();
    tell(device, told, release);
    expect([isSilent(device), hasReturned(device)]).toEqual([true, false]);
  });

  it.each<[string, Told, number]>([
    ["a newer word, though it leaves one owing", { event: "installed", atMs: AT_MS + 1_000 }, 1],
    ["a newer word about another release", { event: "update_started", atMs: AT_MS + 1_000 }, 2],
    ["a failed download in the same second", { event: "download_failed" }, 1],
    ["an older failure about the release", { event: "install_failed", atMs: AT_MS - 1_000 }, 1],
    ["older use of the release", { event: "active", atMs: AT_MS - 1_000 }, 1],
  ])("%s ends it for ever as returned late", (_what, told, release) => {
    const device = silent();
    tell(device, told, release);
    expect([isSilent(device), hasReturned(device)]).toEqual([false, true]);
  });

  it("can be silent again, and has then returned late as well", () => {
    const device = silent();
    tell(device, { event: "installed", atMs: AT_MS + 1_000 });
    expect(owingOf(device)).toBeDefined();
    silence(device);
    expect([isSilent(device), hasReturned(device)]).toEqual([true, true]);
  });
});
