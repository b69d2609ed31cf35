// Reading one event of Capgo's plugin: what is needed of it, and no event lost by a field that nobody needs.
import { describe, expect, test } from "vitest";
import { readStatsEvent, withoutFile } from "../../../../../ingest/sources/capgo/stats-event.ts";
import { createRandom } from "../../../../simulation/random.ts";
import { CAPGO_AT_MS, CAPGO_DEVICE, capgoEvent } from "../../../../support/capgo-events.ts";
import { HOSTILE_TEXTS, anyJson } from "../../../../support/source-app.ts";

const NO_METADATA = {
  exitAtMs: undefined,
  sessionStartedAtMs: undefined,
  sessionId: undefined,
  pid: undefined,
  processName: undefined,
  exitDescription: undefined,
  didCrash: undefined,
};

test("an event of today", () => {
  expect(
    readStatsEvent(
      capgoEvent({ metadata: { exit_timestamp: "1795400000996", pid: "12", did_crash: "true" } }),
    ),
  ).toEqual({
    appId: "com.acme.till",
    device: CAPGO_DEVICE,
    action: "app_moved_to_foreground",
    versionName: "4.2.7",
    oldVersionName: "",
    nativeVersion: "4.2.0",
    atMs: CAPGO_AT_MS,
    channel: "production",
    platform: "android",
    osVersion: "15",
    pluginVersion: "8.51.23",
    isEmulator: false,
    isProduction: true,
    metadata: { ...NO_METADATA, exitAtMs: 1_795_400_000_996, pid: "12", didCrash: true },
  });
});

test("the least that an old plugin sends", () => {
  expect(readStatsEvent({ app_id: "a.b", device_id: "D", action: "set" })).toEqual({
    appId: "a.b",
    device: "d",
    action: "set",
    versionName: "",
    oldVersionName: "",
    nativeVersion: undefined,
    atMs: undefined,
    channel: undefined,
    platform: undefined,
    osVersion: undefined,
    pluginVersion: undefined,
    isEmulator: false,
    isProduction: true,
    metadata: NO_METADATA,
  });
});

describe("what is of another type is not told", () => {
  test.each([
    ["timestamp", "1795400000123", "atMs"],
    ["timestamp", -1, "atMs"],
    ["timestamp", 1.5, "atMs"],
    ["timestamp", 8.64e15 + 1, "atMs"],
    ["timestamp", null, "atMs"],
    ["version_build", 4, "nativeVersion"],
    ["version_build", "x".repeat(129), "nativeVersion"],
    ["version_os", "15\n", "osVersion"],
    ["platform", {}, "platform"],
    ["platform", "", "platform"],
    ["defaultChannel", ["production"], "channel"],
    ["defaultChannel", "", "channel"],
  ] as const)("%s %j", (field, value, name) => {
    expect(readStatsEvent(capgoEvent({ [field]: value }))![name]).toBeUndefined();
  });

  test.each(["abc", "-1", "1.5", "", " 12", "0", "9".repeat(16), "9".repeat(400), 12, null, {}])(
    "exit_timestamp %j",
    (exit_timestamp) => {
      expect(readStatsEvent(capgoEvent({ metadata: { exit_timestamp } }))!.metadata).toEqual(NO_METADATA);
    },
  );

  test.each([null, [], "text", 7, true])("metadata %j", (metadata) => {
    expect(readStatsEvent(capgoEvent({ metadata }))!.metadata).toEqual(NO_METADATA);
  });

  test("flags are true and false, and nothing else", () => {
    expect(readStatsEvent(capgoEvent({ is_emulator: "true", is_prod: "false" }))).toMatchObject({
      isEmulator: false,
      isProduction: true,
    });
    expect(readStatsEvent(capgoEvent({ is_emulator: true, is_prod: false }))).toMatchObject({
      isEmulator: true,
      isProduction: false,
    });
  });
});

test.each([
  undefined,
  null,
  [],
  "set",
  capgoEvent({ app_id: undefined }),
  capgoEvent({ app_id: 7 }),
  capgoEvent({ device_id: undefined }),
  capgoEvent({ device_id: "" }),
  capgoEvent({ action: undefined }),
  capgoEvent({ action: "" }),
  JSON.parse(`{"__proto__":${JSON.stringify(capgoEvent())}}`) as unknown,
])("%j is none", (value) => {
  expect(readStatsEvent(value)).toBeUndefined();
});

test("nothing makes it throw", () => {
  const random = createRandom("stats-event");
  const names = [...Object.keys(capgoEvent()), "metadata", "exit_timestamp"];
  let read = 0;
  for (let round = 0; round < 5_000; round += 1) {
    const any = anyJson(random, [...names, ...HOSTILE_TEXTS]);
    readStatsEvent(any);
    if (readStatsEvent({ ...capgoEvent(), ...(any as object) }) !== undefined) read += 1;
  }
  expect(read).toBeGreaterThan(1_000);
});

test.each([
  ["1.2.3:assets/a:b.js", "1.2.3"],
  ["1.2.3", "1.2.3"],
  [":a", ""],
])("%s is of the bundle %s", (name, bundle) => {
  expect(withoutFile(name)).toBe(bundle);
});
