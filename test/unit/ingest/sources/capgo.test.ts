// What the Capgo plugin's events mean, and of which bundle they speak: each trap of the shared reference
// (ota-systems.md, 1.5) by name. No Redis: what is known of a device is a list of moments.
import { describe, expect, it, test } from "vitest";
import { KNOWN_ACTIONS, meaningOf, needsTimeline } from "../../../../ingest/sources/capgo/actions.ts";
import { attribute, momentOf } from "../../../../ingest/sources/capgo/attribute.ts";
import type { Attributed } from "../../../../ingest/sources/capgo/attribute.ts";
import { createCapgoApps } from "../../../../ingest/sources/capgo/capgo-apps.ts";
import { readStatsEvent } from "../../../../ingest/sources/capgo/stats-event.ts";
import type { StatsEvent } from "../../../../ingest/sources/capgo/stats-event.ts";
import { CRASH_TOLD_MS_MAX, inOrder } from "../../../../ingest/sources/capgo/timeline.ts";
import type { Moment } from "../../../../ingest/sources/capgo/timeline.ts";
import type { AppId } from "../../../../ingest/contract/release-key.ts";
import { appWithSources } from "../../../support/source-app.ts";

const AT_MS = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;

function appsWith(capgo: Record<string, unknown> = {}) {
  return createCapgoApps(
    new Map([
      [
        "com.acme.till" as AppId,
        appWithSources({ capgo: { channel: "production", ...capgo } }, ["production", "beta"]),
      ],
    ]),
  );
}

function sent(action: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    platform: "android",
    device_id: "3B0F6A52-91C7-4C55-A0F1-2F7F4D1F9B10",
    app_id: "com.acme.till",
    version_build: "4.2.0",
    version_os: "15",
    version_name: "4.2.7",
    old_version_name: "",
    is_emulator: false,
    is_prod: true,
    action,
    timestamp: AT_MS,
    ...fields,
  };
}

function read(action: string, fields: Record<string, unknown> = {}): StatsEvent {
  const result = readStatsEvent(sent(action, fields), appsWith(), AT_MS);
  if (result.kind !== "event") throw new Error(`${action}: ${result.result}`);
  return result.event;
}

function resultOf(value: unknown, capgo: Record<string, unknown> = {}): string {
  const result = readStatsEvent(value, appsWith(capgo), AT_MS);
  return result.kind === "event" ? "event" : result.result;
}

function timelineOf(...events: readonly StatsEvent[]): readonly Moment[] {
  return inOrder(events.flatMap((event) => momentOf(event) ?? []));
}

function told(attributed: Attributed): string {
  return attributed.kind === "draft"
    ? `${attributed.draft.event} ${attributed.draft.version}`
    : attributed.result;
}

describe("actions", () => {
  test("are at least the 91 that the backend of 2026-07 knows, each with one meaning", () => {
    expect(new Set(KNOWN_ACTIONS).size).toBe(KNOWN_ACTIONS.length);
    expect(KNOWN_ACTIONS.length).toBeGreaterThanOrEqual(91);
  });

  test.each([
    ["set", "installed 4.2.7"],
    ["app_launch_ready", "confirmed 4.2.7"],
    ["update_fail", "reverted 4.2.7"],
    ["set_fail", "install_failed 4.2.7"],
    ["download_0", "update_started 4.2.7"],
    ["app_moved_to_foreground", "active 4.2.7"],
    ["app_crash", "crashed 4.2.7"],
    ["app_anr", "not_responding 4.2.7"],
  ])("%s is %s", (action, expected) => {
    expect(told(attribute(read(action), []))).toBe(expected);
  });

  test.each([
    "app_launch_timeout",
    "download_50",
    "app_killed_low_memory",
    "webview_javascript_error",
    "webview_render_process_gone",
    "set_next",
    "noNew",
  ])("%s says nothing of the release", (action) => {
    expect(resultOf(sent(action))).toBe("no_outcome");
  });

  test("a render process counts where it is said to have crashed", () => {
    expect(resultOf(sent("webview_render_process_gone", { metadata: { did_crash: "true" } }))).toBe("event");
    expect(resultOf(sent("webview_render_process_gone", { metadata: { did_crash: "false" } }))).toBe(
      "no_outcome",
    );
  });

  test("an unknown one is counted as such, also the names that objects inherit", () => {
    for (const action of ["app_moonwalk", "constructor", "__proto__"])
      expect(resultOf(sent(action))).toBe("unknown_kind");
  });

  test("a device that only says that it is in use needs no timeline", () => {
    expect(needsTimeline(meaningOf("app_moved_to_foreground")!)).toBe(false);
    expect(needsTimeline(meaningOf("set")!)).toBe(true);
  });
});

describe("an event", () => {
  test("names device, channel and strata in one form", () => {
    expect(attribute(read("app_launch_ready", { defaultChannel: "beta" }), [])).toEqual({
      kind: "draft",
      draft: {
        app: "com.acme.till",
        channel: "beta",
        device: "3b0f6a52-91c7-4c55-a0f1-2f7f4d1f9b10",
        version: "4.2.7",
        event: "confirmed",
        at: AT_MS,
        platform: "android",
        os_version: "15",
        native_version: "4.2.0",
      },
    });
  });

  test("of the store build is about its native version", () => {
    for (const version_name of ["builtin", "unknown", ""])
      expect(read("app_moved_to_foreground", { version_name }).version).toBe("4.2.0");
  });

  test("of a single file of a manifest is about its bundle", () => {
    expect(read("download_manifest_file_fail", { version_name: "4.2.8:assets/a.js" }).version).toBe("4.2.8");
  });

  test.each([
    ["an emulator", { is_emulator: true }, "excluded"],
    ["a development build", { is_prod: false }, "excluded"],
    ["another app", { app_id: "com.acme.other" }, "unknown_app"],
    ["no device", { device_id: undefined }, "invalid"],
    ["a device of 129 characters", { device_id: "x".repeat(129) }, "invalid"],
    ["a version that is none", { version_name: "4 2 7" }, "invalid"],
    ["an action that is no text", { action: 7 }, "invalid"],
  ])("of %s: %o is %s", (_name, fields, result) => {
    expect(resultOf(sent("set", fields))).toBe(result);
  });

  test("of an emulator counts where that is asked for; an old plugin says neither", () => {
    expect(resultOf(sent("set", { is_emulator: true }), { include_emulators: true })).toBe("event");
    expect(resultOf(sent("set", { is_prod: false }), { include_development: true })).toBe("event");
    expect(resultOf(sent("set", { is_emulator: undefined, is_prod: undefined }))).toBe("event");
  });

  test("with odd fields beside what matters counts all the same", () => {
    expect(
      resultOf(
        sent("set", {
          metadata: [1],
          platform: 5,
          timestamp: "soon",
          defaultChannel: {},
          plugin_version: null,
        }),
      ),
    ).toBe("event");
  });
});

describe("a bundle that does not boot", () => {
  const at = (offsetMs: number): { timestamp: number } => ({ timestamp: AT_MS + offsetMs });
  const bad = { version_name: "4.2.8", old_version_name: "4.2.7" };
  const tried = read("set", { ...bad, ...at(0) });
  const failed = read("update_fail", { version_name: "4.2.8", ...at(10_000) });
  const back = read("set", { version_name: "4.2.7", old_version_name: "4.2.0", ...at(10_001) });
  const healed = timelineOf(tried, failed, back);

  it("is reverted, and putting the old one back is no attempt of it", () => {
    expect([tried, failed, back].map((event) => told(attribute(event, healed)))).toEqual([
      "installed 4.2.8",
      "reverted 4.2.8",
      "active 4.2.7",
    ]);
  });

  it("does not make the good one fail: the healed device can't fetch *something else*", () => {
    const blamed = read("download_fail", { version_name: "4.2.7", ...at(5 * MINUTE_MS) });
    expect(told(attribute(blamed, healed))).toBe("unattributed");
  });

  it("nor where it fell back to the store build, which no `set` tells", () => {
    const first = read("set", { version_name: "4.2.8", old_version_name: "builtin", ...at(0) });
    const timeline = timelineOf(first, failed);
    const blamed = read("download_fail", { version_name: "builtin", ...at(5 * MINUTE_MS) });
    expect(told(attribute(blamed, timeline))).toBe("unattributed");
  });

  it("is attributed the same when the batch comes again, or later moments are known by then", () => {
    const later = read("set", { version_name: "4.2.9", old_version_name: "4.2.7", ...at(60 * MINUTE_MS) });
    const timeline = timelineOf(later, back, failed, tried, later, tried);
    expect([tried, failed, back].map((event) => told(attribute(event, timeline)))).toEqual([
      "installed 4.2.8",
      "reverted 4.2.8",
      "active 4.2.7",
    ]);
  });

  it("tried again by a rollback that offers the old bundle anew is an attempt like any other", () => {
    const offered = read("set", { version_name: "4.2.6", old_version_name: "4.2.7", ...at(60 * MINUTE_MS) });
    expect(told(attribute(offered, timelineOf(tried, failed, back, offered)))).toBe("installed 4.2.6");
  });
});

describe("a failed download", () => {
  const fails = read("download_fail", { version_name: "4.2.8" });

  it("blames a bundle that the device does not run", () => {
    const runs = read("set", { version_name: "4.2.7", timestamp: AT_MS - MINUTE_MS });
    expect(told(attribute(fails, timelineOf(runs)))).toBe("download_failed 4.2.8");
  });

  it("blames a bundle that it had begun to fetch", () => {
    const began = read("download_0", { version_name: "4.2.8", timestamp: AT_MS - 1 });
    expect(told(attribute(fails, timelineOf(began)))).toBe("download_failed 4.2.8");
  });

  it("blames nobody where nothing is known: an outage of the server would look like a bad release", () => {
    expect(told(attribute(fails, []))).toBe("unattributed");
    const other = read("download_0", { version_name: "4.2.9", timestamp: AT_MS - 1 });
    expect(told(attribute(fails, timelineOf(other)))).toBe("unattributed");
  });

  it("of a broken bundle is a failure of the release, by the same rule", () => {
    const broken = read("checksum_fail", { version_name: "4.2.8" });
    const began = read("download_0", { version_name: "4.2.8", timestamp: AT_MS - 1 });
    expect(told(attribute(broken, timelineOf(began)))).toBe("install_failed 4.2.8");
    expect(told(attribute(broken, []))).toBe("unattributed");
  });
});

describe("a crash, which is told at the next start", () => {
  const exitedMs = AT_MS - 30 * MINUTE_MS;
  const crash = (fields: Record<string, unknown> = {}): StatsEvent =>
    read("app_crash", { version_name: "4.2.8", metadata: { exit_timestamp: String(exitedMs) }, ...fields });
  const switchAt = (timestamp: number): StatsEvent =>
    read("set", { version_name: "4.2.8", old_version_name: "4.2.7", timestamp });

  it("is the bundle's that runs now, where the device has not switched since", () => {
    expect(told(attribute(crash(), []))).toBe("crashed 4.2.8");
    expect(told(attribute(crash(), timelineOf(switchAt(exitedMs - 1))))).toBe("crashed 4.2.8");
  });

  it("is the earlier bundle's where it was switched between the crash and the start", () => {
    expect(told(attribute(crash(), timelineOf(switchAt(exitedMs + 1))))).toBe("crashed 4.2.7");
  });

  it("happened when the process ended, not when it was told", () => {
    const attributed = attribute(crash(), []);
    expect(attributed.kind === "draft" && attributed.draft.at).toBe(exitedMs);
  });

  it("is nobody's where the switch does not say what ran before", () => {
    const unknown = read("set", {
      version_name: "4.2.8",
      old_version_name: undefined,
      timestamp: exitedMs + 1,
    });
    expect(told(attribute(crash(), timelineOf(unknown)))).toBe("unattributed");
  });

  it("without a time is nobody's after a switch of the last hour", () => {
    const untimed = crash({ metadata: {} });
    expect(told(attribute(untimed, timelineOf(switchAt(AT_MS - CRASH_TOLD_MS_MAX + 1))))).toBe(
      "unattributed",
    );
    expect(told(attribute(untimed, timelineOf(switchAt(AT_MS - CRASH_TOLD_MS_MAX))))).toBe("crashed 4.2.8");
  });

  it("on iOS belongs to the session that did not end", () => {
    const metadata = { exit_source: "ios_session_marker", session_started_at: String(exitedMs) };
    expect(told(attribute(crash({ metadata }), timelineOf(switchAt(exitedMs + 1))))).toBe("crashed 4.2.7");
  });

  it("ahead of its own report is a clock that jumped: then it has no time", () => {
    expect(crash({ metadata: { exit_timestamp: String(AT_MS + 1) } }).exitedAtMs).toBeUndefined();
    expect(crash({ metadata: { exit_timestamp: String(AT_MS) } }).exitedAtMs).toBe(AT_MS);
    expect(crash({ metadata: { exit_timestamp: "yesterday" } }).exitedAtMs).toBeUndefined();
  });
});
