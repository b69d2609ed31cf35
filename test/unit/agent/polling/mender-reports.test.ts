// An entry of a Mender deployment's devices, as reports: which event each status is, when, and what is never told.
import { describe, expect, test } from "vitest";
import { eventOfFailure, reportsOf } from "../../../../agent/polling/mender-reports.ts";
import {
  DEVICE_ID_CHARS_MAX,
  TEXT_CHARS_MAX,
  deviceReportSchema,
} from "../../../../ingest/contract/device-report.ts";
import { appIdSchema, channelSchema, versionSchema } from "../../../../ingest/contract/release-key.ts";

const deployment = {
  id: "0c13a0e6-6b63-475d-8260-ee42a590e8ff",
  release: {
    app: appIdSchema.parse("till"),
    channel: channelSchema.parse("production"),
    version: versionSchema.parse("1.4.0"),
  },
};
const [STARTED, FINISHED] = ["2026-11-01T10:00:00.5Z", "2026-11-01T10:05:00Z"];
const device = (status: string, more: object = {}) => ({
  id: "3f1c",
  status,
  started: STARTED,
  finished: FINISHED,
  ...more,
});
const told = (entry: Parameters<typeof reportsOf>[0], sinceMs = 0) =>
  reportsOf(entry, deployment, sinceMs).map(
    ({ event, at, reason }) => `${event}@${at ?? "-"}${reason === undefined ? "" : ` ${reason}`}`,
  );
const at = (text: string): number => Date.parse(text);

describe("which event a status is", () => {
  const started = `update_started@${at(STARTED)}`;
  test.each([
    ["success", [started, `confirmed@${at(FINISHED)}`]],
    ["failure", [started, `install_failed@${at(FINISHED)}`]],
    ["already-installed", [`active@${at(FINISHED)}`]],
    ["downloading", [started]],
    ["pause_before_installing", [started]],
    ["installing", [started]],
    ["pause_before_rebooting", [started]],
    ["rebooting", [started]],
    ["pause_before_committing", [started]],
    ["pending", []],
    ["aborted", []],
    ["noartifact", []],
    ["decommissioned", []],
    ["a word of later versions", []],
  ])("%s", (status, events) => {
    expect(told(device(status))).toEqual(events);
  });

  test.each([
    ["Download_Enter_00", "install_failed"],
    ["ArtifactInstall", "install_failed"],
    ["ArtifactInstall_Leave_00", "install_failed"],
    ["ArtifactReboot_Leave_00", "reverted"],
    ["ArtifactVerifyReboot", "reverted"],
    ["ArtifactCommit_Enter_00", "reverted"],
    ["ArtifactRollback", "reverted"],
    ["ArtifactRollbackReboot", "reverted"],
    ["ArtifactVerifyRollbackReboot", "reverted"],
    ["ArtifactFailure", "install_failed"],
    [undefined, "install_failed"],
    [null, "install_failed"],
  ])("a failure at %s is %s", (substate, event) => {
    expect(eventOfFailure(substate)).toBe(event);
    const reason = substate == null ? "" : ` ${substate}`;
    expect(told(device("failure", { substate }))[1]).toBe(`${event}@${at(FINISHED)}${reason}`);
  });
});

describe("times", () => {
  test("without a start nothing is announced: the entry's own `created` is the deployment's", () => {
    const entry = { ...device("rebooting", { started: undefined }), created: STARTED };
    expect(told(entry)).toEqual([]);
    expect(told(device("success", { started: null }))).toEqual([`confirmed@${at(FINISHED)}`]);
  });

  test("an end without a time is told all the same", () => {
    expect(told(device("success", { finished: undefined }))).toEqual([
      `update_started@${at(STARTED)}`,
      "confirmed@-",
    ]);
  });

  test("what is too old is not told, each by its own time, to the millisecond", () => {
    expect(told(device("success"), at(STARTED))).toHaveLength(2);
    expect(told(device("success"), at(STARTED) + 1)).toEqual([`confirmed@${at(FINISHED)}`]);
    expect(told(device("success"), at(FINISHED))).toHaveLength(1);
    expect(told(device("success"), at(FINISHED) + 1)).toEqual([]);
  });
});

describe("what else is in a report", () => {
  test("the release, the device, an id of deployment and event, and the type of device where there is but one", () => {
    const image = { device_types_compatible: ["raspberrypi4"] };
    expect(reportsOf(device("success", { image }), deployment, 0)).toEqual(
      ["update_started", "confirmed"].map((event, index) => ({
        ...deployment.release,
        device: "3f1c",
        event,
        id: `${deployment.id}:${event}`,
        at: at([STARTED, FINISHED][index]!),
        model: "raspberrypi4",
      })),
    );
    const several = { device_types_compatible: ["a", "b"] };
    expect(reportsOf(device("downloading", { image: several }), deployment, 0)[0]).not.toHaveProperty(
      "model",
    );
  });

  test("ingest takes them: foreign text is cut and cleaned", () => {
    const entry = device("failure", {
      id: "d".repeat(DEVICE_ID_CHARS_MAX),
      substate: `a\u0000b${"x".repeat(2 * TEXT_CHARS_MAX)}`,
      image: { device_types_compatible: ["y".repeat(2 * TEXT_CHARS_MAX)] },
    });
    for (const report of reportsOf(entry, deployment, 0))
      expect(deviceReportSchema.safeParse(report).success).toBe(true);
  });
});
