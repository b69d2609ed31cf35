// What OTLP's log records mean for a release, and how values and times stand in its JSON.
import { describe, expect, test } from "vitest";
import type { OtlpSource } from "../../../../ingest/contract/sources/otlp.ts";
import { attributesOf, textOf, timeMsOfNanoseconds } from "../../../../ingest/sources/otlp/any-value.ts";
import { FATAL_SEVERITY, readLogRecord } from "../../../../ingest/sources/otlp/log-record.ts";
import type { ReadRecord } from "../../../../ingest/sources/otlp/log-record.ts";
import { appWithSources } from "../../../support/source-app.ts";

const NOON_MS = Date.UTC(2026, 0, 31, 12);
const NANOSECONDS = `${NOON_MS}000000`;

const sourceOf = (source: object = { channel: "production" }): OtlpSource =>
  appWithSources({ otlp: source }, ["production", "beta"]).sources!.otlp!;
const listOf = (values: Record<string, string>) =>
  Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
const RESOURCE: Record<string, string> = {
  "service.name": "com.acme.till",
  "service.version": "4.2.0",
  "app.ota.release": "1.4.0",
  "app.installation.id": "till-1",
  "os.name": "Android",
  "os.version": "15",
  "device.model.identifier": "SM-T970",
};

function read(record: unknown, { resource = RESOURCE, source = sourceOf() } = {}): ReadRecord {
  return readLogRecord(record, attributesOf(listOf(resource)), source);
}
const told = (result: ReadRecord): string => (result.kind === "draft" ? result.draft.event : result.result);
const without = (name: string) =>
  Object.fromEntries(Object.entries(RESOURCE).filter(([key]) => key !== name));

const EXCEPTION = listOf({ "exception.type": "TypeError", "exception.message": "boom" });
const CRASH = { timeUnixNano: NANOSECONDS, severityNumber: 21, attributes: EXCEPTION };

test("a crash, with its words, its time, and what kind of device it was", () => {
  expect(read(CRASH)).toEqual({
    kind: "draft",
    draft: {
      channel: "production",
      device: "till-1",
      version: "1.4.0",
      event: "crashed",
      at: NOON_MS,
      crash: { type: "TypeError", message: "boom" },
      platform: "Android",
      model: "SM-T970",
      os_version: "15",
      native_version: "4.2.0",
    },
  });
});

describe("which records count", () => {
  test.each<[string, object, string]>([
    ["an exception at fatal", CRASH, "crashed"],
    ["as text", { ...CRASH, severityNumber: "24" }, "crashed"],
    ["just below fatal", { ...CRASH, severityNumber: FATAL_SEVERITY - 1 }, "no_outcome"],
    ["no severity", { attributes: EXCEPTION }, "no_outcome"],
    ["a severity that is none", { ...CRASH, severityNumber: {} }, "no_outcome"],
    ["fatal without exception", { severityNumber: 24, body: { stringValue: "bye" } }, "no_outcome"],
    ["device.crash", { eventName: "device.crash" }, "crashed"],
    ["app.crash", { eventName: "app.crash" }, "crashed"],
    ["by attribute", { attributes: listOf({ "event.name": "app.crash" }) }, "crashed"],
    ["session.start", { eventName: "session.start" }, "active"],
    ["device.app.lifecycle", { eventName: "device.app.lifecycle" }, "active"],
    ["another event", { eventName: "button.pressed" }, "no_outcome"],
    ["a log line", { body: { stringValue: "hello" }, severityNumber: 9 }, "no_outcome"],
    ["nothing", {}, "no_outcome"],
  ])("%s", (_name, record, expected) => {
    expect(told(read(record))).toBe(expected);
  });

  test.each([null, 7, "x", [], true])("%j is no record", (record) => {
    expect(told(read(record))).toBe("invalid");
  });

  test("which events say that somebody uses the app can be named", () => {
    const source = sourceOf({ channel: "production", active_events: ["button.pressed"] });
    expect(told(read({ eventName: "button.pressed" }, { source }))).toBe("active");
    expect(told(read({ eventName: "session.start" }, { source }))).toBe("no_outcome");
  });
});

test("however deep a value nests, none of it is walked: no depth ends the stack", () => {
  let deep: object = { stringValue: "in the midst" };
  for (let level = 0; level < 100_000; level += 1)
    deep = { kvlistValue: { values: [{ key: "k", value: deep }] } };
  const attributes = [...EXCEPTION, { key: "context", value: deep }, { key: "app.ota.release", value: deep }];
  expect(told(read({ ...CRASH, attributes, body: deep }))).toBe("crashed");
});

describe("whose it is", () => {
  test("the record comes before the resource: a crash may be sent by the next release", () => {
    const attributes = [
      ...EXCEPTION,
      ...listOf({ "app.ota.release": "1.3.0", "app.installation.id": "till-9" }),
    ];
    expect(read({ ...CRASH, attributes })).toMatchObject({ draft: { version: "1.3.0", device: "till-9" } });
  });

  test.each<[string, Record<string, string>, string]>([
    ["no release", without("app.ota.release"), "unattributed"],
    ["an empty one", { ...RESOURCE, "app.ota.release": "" }, "unattributed"],
    ["one that no version can be called", { ...RESOURCE, "app.ota.release": "a b" }, "invalid"],
    ["no device", without("app.installation.id"), "no_device"],
    ["no device but a session", { ...without("app.installation.id"), "session.id": "s" }, "no_device"],
    ["another device", { ...without("app.installation.id"), "device.id": "d" }, "crashed"],
  ])("%s", (_name, resource, expected) => {
    expect(told(read(CRASH, { resource }))).toBe(expected);
  });

  test("attributes can be named", () => {
    const source = sourceOf({
      channel: "production",
      release_attribute: "service.version",
      device_attribute: "host.id",
    });
    const resource = { ...RESOURCE, "host.id": "h" };
    expect(read(CRASH, { resource, source })).toMatchObject({ draft: { version: "4.2.0", device: "h" } });
  });

  test("environments lead to channels", () => {
    const source = sourceOf({ environments: { production: "production", staging: "beta" } });
    const channelOf = (environment: Record<string, string>): string => {
      const result = read(CRASH, { resource: { ...RESOURCE, ...environment }, source });
      return result.kind === "draft" ? result.draft.channel : result.result;
    };
    expect(channelOf({})).toBe("production");
    expect(channelOf({ "deployment.environment.name": "staging" })).toBe("beta");
    expect(channelOf({ "deployment.environment": "staging" })).toBe("beta");
    expect(channelOf({ "deployment.environment.name": "dev" })).toBe("excluded");
  });
});

test("what a model or a type may not hold is taken out, and the rest counts", () => {
  const resource = { ...RESOURCE, "device.model.identifier": `a\u0000${"x".repeat(200)}` };
  expect(read(CRASH, { resource })).toMatchObject({ draft: { model: `a ${"x".repeat(126)}` } });
});

test.each<[unknown, string | undefined]>([
  [{ stringValue: "a" }, "a"],
  [{ intValue: "7" }, "7"],
  [{ intValue: 7 }, "7"],
  [{ doubleValue: 0.5 }, "0.5"],
  [{ boolValue: false }, "false"],
  [{ arrayValue: { values: [] } }, undefined],
  [{ kvlistValue: { values: [] } }, undefined],
  [{ bytesValue: "AAAA" }, undefined],
  [{ stringValue: {} }, undefined],
  [{}, undefined],
  [null, undefined],
  ["a", undefined],
])("the text of %j", (value, expected) => {
  expect(textOf(value)).toBe(expected);
});

test("attributes: the last of a name, and no others than those that are in the list", () => {
  const attributes = attributesOf([
    { key: "a", value: { stringValue: "1" } },
    { key: "a", value: { stringValue: "2" } },
    { key: 7, value: { stringValue: "3" } },
    { key: "b" },
    null,
    "x",
  ]);
  expect([...attributes]).toEqual([["a", "2"]]);
  for (const none of [undefined, null, {}, "x"]) expect(attributesOf(none).size).toBe(0);
});

test.each<[unknown, number | undefined]>([
  [NANOSECONDS, NOON_MS],
  ["1769860800123456789", 1_769_860_800_123],
  [NOON_MS * 1e6, NOON_MS],
  ["0", undefined],
  [0, undefined],
  ["", undefined],
  ["-1", undefined],
  ["1e3", undefined],
  ["9".repeat(22), undefined],
  ["9".repeat(400), undefined],
  [Number.NaN, undefined],
  [1e300, undefined],
  [-1, undefined],
  [null, undefined],
  [{}, undefined],
])("%j nanoseconds", (value, expected) => {
  expect(timeMsOfNanoseconds(value)).toBe(expected);
});
