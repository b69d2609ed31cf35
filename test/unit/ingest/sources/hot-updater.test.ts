// What hot-updater reports mean, one by one.
import { describe, expect, test } from "vitest";
import { readNotifyEvent } from "../../../../ingest/sources/hot-updater/notify-event.ts";
import { appWithSources } from "../../../support/source-app.ts";

const NEW = "0198c5a2-0000-7000-8000-000000000002";
const OLD = "0198c5a2-0000-7000-8000-000000000001";
const BUILT_IN = "01980000-0000-7000-8000-000000000000";
const NIL = "00000000-0000-0000-0000-000000000000";

const app = appWithSources({ hot_updater: { channels: { "production/ios": "apple" } } }, [
  "production",
  "production-android",
  "apple",
]);

const stable = { installId: "i-1", platform: "ios", channel: "production", bundleId: NEW, status: "STABLE" };
const read = (fields: Record<string, unknown>): unknown => readNotifyEvent({ ...stable, ...fields }, app);
const draft = { channel: "apple", device: "i-1", platform: "ios", at: undefined, native_version: undefined };

describe("what counts", () => {
  test.each(["STABLE", "PROMOTED"])("%s: the running bundle came up", (status) => {
    expect(read({ status, appVersion: "3.1.0", minBundleId: BUILT_IN })).toEqual({
      kind: "drafts",
      drafts: [{ ...draft, version: NEW, event: "confirmed", native_version: "3.1.0" }],
    });
  });

  test("RECOVERED: the crashed bundle failed, the running one is in use", () => {
    expect(read({ status: "RECOVERED", bundleId: OLD, crashedBundleId: NEW })).toEqual({
      kind: "drafts",
      drafts: [
        { ...draft, version: NEW, event: "reverted" },
        { ...draft, version: OLD, event: "active" },
      ],
    });
  });

  test.each([
    ["the built-in bundle", { bundleId: BUILT_IN, minBundleId: BUILT_IN }],
    ["the nil id", { bundleId: NIL }],
    ["the bundle that crashed, read too early", { bundleId: NEW }],
  ])("RECOVERED to %s: only the failure", (_what, fields) => {
    expect(read({ status: "RECOVERED", crashedBundleId: NEW, ...fields })).toEqual({
      kind: "drafts",
      drafts: [{ ...draft, version: NEW, event: "reverted" }],
    });
  });

  test("channels: as mapped, else with the platform if the app has that, else as told", () => {
    expect(read({ platform: "android" })).toMatchObject({ drafts: [{ channel: "production-android" }] });
    expect(read({ platform: "web" })).toMatchObject({ drafts: [{ channel: "production" }] });
    expect(read({ platform: undefined })).toMatchObject({ drafts: [{ channel: "production" }] });
  });

  test("a fingerprint is no native version; a time of an app that keeps reports is taken", () => {
    expect(read({ fingerprintHash: "abc", appVersion: null, at: "2026-01-31T12:00:00Z" })).toMatchObject({
      drafts: [{ native_version: undefined, at: "2026-01-31T12:00:00Z" }],
    });
  });
});

test.each([
  { bundleId: BUILT_IN, minBundleId: BUILT_IN },
  { bundleId: NIL, minBundleId: BUILT_IN },
])("STABLE on the built-in bundle is no outcome of a release: %j", (fields) => {
  expect(read(fields)).toEqual({ kind: "nothing", result: "no_outcome" });
});

describe("what is wrong", () => {
  test.each([
    ["installId", { installId: undefined }],
    ["installId", { installId: "" }],
    ["bundleId", { bundleId: 7 }],
    ["channel", { channel: null }],
    ["status", { status: undefined }],
    ["crashedBundleId", { status: "RECOVERED" }],
    ["crashedBundleId", { status: "RECOVERED", crashedBundleId: "" }],
  ])("%s: %j", (name, fields) => {
    expect(read(fields)).toMatchObject({
      kind: "wrong",
      result: "invalid",
      detail: expect.stringContaining(name),
    });
  });

  test.each([5, "text", null, [], true])("a body that is %j", (value) => {
    expect(readNotifyEvent(value, app)).toMatchObject({ kind: "wrong", result: "invalid" });
  });

  test("a status that is not known", () => {
    expect(read({ status: "EXPLODED" })).toMatchObject({
      kind: "wrong",
      result: "unknown_kind",
      detail: expect.stringContaining('"EXPLODED"'),
    });
  });
});
