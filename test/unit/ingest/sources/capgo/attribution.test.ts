// What each action of Capgo's plugin means, and whose a failure or a crash is: by the timeline of the device.
import { describe, expect, test } from "vitest";
import type { ReportDraft } from "../../../../../ingest/sources/foreign-event.ts";
import { ACTIONS } from "../../../../../ingest/sources/capgo/actions.ts";
import {
  RUNNING_FRESH_MS_MAX,
  momentOf,
  needsTimeline,
  readKnownEvent,
  toKnownEvent,
} from "../../../../../ingest/sources/capgo/attribution.ts";
import type { KnownEvent } from "../../../../../ingest/sources/capgo/attribution.ts";
import { readStatsEvent } from "../../../../../ingest/sources/capgo/stats-event.ts";
import { TIMELINE_MS_MAX } from "../../../../../ingest/sources/capgo/timeline-store.ts";
import type { Moment, MomentKind } from "../../../../../ingest/sources/capgo/timeline.ts";
import { CAPGO_AT_MS, CAPGO_DEVICE, capgoEvent } from "../../../../support/capgo-events.ts";

const AT = CAPGO_AT_MS;
const SECOND = 1_000;
const HOUR = 3_600_000;
const OLD = "4.2.6";
const NEW = "4.2.7";

const moment = (kind: MomentKind, version: string, atMs: number): Moment => ({ kind, version, atMs });

function known(fields: Record<string, unknown>): KnownEvent {
  const event = readStatsEvent(capgoEvent(fields));
  const found = event === undefined ? undefined : toKnownEvent(event, AT + SECOND);
  if (found === undefined) throw new Error("not an event that is known");
  return found;
}

/** The one draft that it gives, or why there is none. */
function tells(fields: Record<string, unknown>, moments: readonly Moment[] = []): ReportDraft | string {
  const event = readKnownEvent(known(fields), moments, "production");
  return event.kind === "drafts" ? event.drafts[0]! : event.result;
}

function inShort(fields: Record<string, unknown>, moments: readonly Moment[] = []): string {
  const told = tells(fields, moments);
  return typeof told === "string" ? told : `${told.event} ${told.version}`;
}

const group = (outcome: string, actions: string): [string, string][] =>
  actions
    .trim()
    .split(/\s+/)
    .map((action) => [action, outcome]);

/** All of the backend's list (ota-systems 1.3), and what the plugin sends besides. Told of NEW while OLD runs. */
const EVERY_ACTION: readonly [action: string, outcome: string][] = [
  ...group(`installed ${NEW}`, "set"),
  ...group(`confirmed ${NEW}`, "app_launch_ready"),
  ...group(`reverted ${NEW}`, "update_fail app_launch_timeout"),
  ...group(
    `update_started ${NEW}`,
    `download_0 download_10 download_20 download_30 download_40 download_50 download_60 download_70 download_80
     download_90 download_complete download_zip_start download_zip_complete download_manifest_start
     download_manifest_complete`,
  ),
  ...group(
    `download_failed ${NEW}`,
    `download_fail finish_download_fail low_mem_fail insufficient_disk_space download_manifest_file_fail
     download_manifest_checksum_fail download_manifest_brotli_fail`,
  ),
  ...group(
    `install_failed ${NEW}`,
    `set_fail unzip_fail checksum_fail decrypt_fail windows_path_fail canonical_path_fail directory_path_fail
     manifest_path_fail checksum_required session_key_required`,
  ),
  ...group(`crashed ${NEW}`, "app_crash app_crash_native app_initialization_failure"),
  ...group(`not_responding ${NEW}`, "app_anr"),
  ...group(
    `active ${NEW}`,
    `reset ping app_moved_to_foreground app_moved_to_background webview_dom_content_loaded webview_page_loaded
     os_version_changed native_app_version_changed app_killed_low_memory app_killed_excessive_resource_usage
     app_memory_warning webview_javascript_error webview_unhandled_rejection webview_resource_error
     webview_security_policy_violation webview_unclean_restart webview_render_process_gone
     webview_content_process_terminated`,
  ),
  ...group(
    "no_outcome",
    `app_launch_start set_next delete uninstall get rate_limit_reached blocked_by_server_url noNew needPlanUpgrade
     missingBundle cannotGetBundle NoChannelOrOverride setChannel getChannel keyMismatch disablePlatformIos
     disablePlatformAndroid disablePlatformElectron disableAutoUpdate disableAutoUpdateToMajor
     disableAutoUpdateToMinor disableAutoUpdateToPatch disableAutoUpdateMetadata disableAutoUpdateUnderNative
     disableDevBuild disableProdBuild disableEmulator disableDevice cannotUpdateViaPrivateChannel
     channelMisconfigured rateLimited InvalidIp backend_refusal customIdBlocked`,
  ),
];

describe("every action", () => {
  test("is in the table, and none besides", () => {
    expect([...ACTIONS.keys()].toSorted()).toEqual(EVERY_ACTION.map(([action]) => action).toSorted());
    expect(ACTIONS.size).toBeGreaterThanOrEqual(91);
  });

  test.each(EVERY_ACTION)("%s: %s", (action, outcome) => {
    // A crash a moment ago, of what ran then; everything else while OLD was seen to run.
    const isExit = outcome.startsWith("crashed") || outcome.startsWith("not_responding");
    const runs = [moment("runs", isExit ? NEW : OLD, AT - SECOND)];
    const metadata = isExit ? { exit_timestamp: String(AT - 1) } : {};
    expect(inShort({ action, metadata }, runs)).toBe(outcome);
  });

  test.each(["constructor", "__proto__", "toString", "set ", "SET", "brand_new_action"])(
    "%j is unknown",
    (action) => {
      expect(toKnownEvent(readStatsEvent(capgoEvent({ action }))!, AT)).toBeUndefined();
    },
  );

  test("what a device says all day needs no look at Redis", () => {
    const needless = EVERY_ACTION.filter(([action]) => !needsTimeline(ACTIONS.get(action)!)).map(
      ([action]) => action,
    );
    expect(needless).toContain("app_moved_to_foreground");
    expect(needless).toContain("app_launch_ready");
    expect(needless).toContain("webview_page_loaded");
    expect(needless).not.toContain("set");
  });
});

describe("a report", () => {
  test("has what the protocol gives", () => {
    expect(tells({ action: "set", old_version_name: OLD })).toEqual({
      channel: "production",
      device: CAPGO_DEVICE,
      version: NEW,
      event: "installed",
      at: AT,
      from: OLD,
      platform: "android",
      os_version: "15",
      native_version: "4.2.0",
    });
    expect(tells({ action: "update_fail" })).toMatchObject({ event: "reverted", reason: "update_fail" });
    expect(tells({ action: "update_fail", timestamp: undefined })).toMatchObject({ at: undefined });
  });

  test.each([
    ["builtin", "4.2.0"],
    ["unknown", "4.2.0"],
    ["", "4.2.0"],
    [undefined, "4.2.0"],
    ["4.2.7:assets/a.js", "4.2.7:assets/a.js"],
  ])("of the bundle %j is about %j", (version_name, version) => {
    expect(tells({ version_name })).toMatchObject({ version });
  });

  test.each(["download_manifest_file_fail", "download_manifest_checksum_fail", "manifest_path_fail"])(
    "%s names a file of the bundle",
    (action) => {
      expect(tells({ action, version_name: `${NEW}:assets/a:b.js` })).toMatchObject({
        version: NEW,
        reason: action,
      });
    },
  );

  test("the store build is where an update came from by its version", () => {
    expect(tells({ action: "set", old_version_name: "builtin" })).toMatchObject({ from: "4.2.0" });
    expect(tells({ action: "set", old_version_name: "builtin", version_build: "" })).toMatchObject({
      from: undefined,
    });
  });

  test("a device id is the same in any case", () => {
    expect(tells({ device_id: CAPGO_DEVICE.toUpperCase() })).toMatchObject({ device: CAPGO_DEVICE });
  });
});

describe("a download that failed", () => {
  const fail = { action: "download_fail", version_name: OLD };
  const healed = [
    moment("set", NEW, AT - HOUR),
    moment("revert", NEW, AT - HOUR + 10 * SECOND),
    moment("set", OLD, AT - HOUR + 10 * SECOND),
  ];

  test("of the bundle that runs, is nobody's: something else could not be fetched", () => {
    expect(tells(fail, healed)).toBe("unattributed");
    expect(tells({ ...fail, timestamp: AT + 30 * 24 * HOUR }, healed)).toBe("unattributed");
    for (const action of [
      "finish_download_fail",
      "checksum_fail",
      "unzip_fail",
      "canonical_path_fail",
      "low_mem_fail",
    ])
      expect(tells({ ...fail, action }, healed)).toBe("unattributed");
  });

  test("of a bundle of which nothing is known, is nobody's", () => {
    expect(tells(fail)).toBe("unattributed");
    expect(tells(fail, [moment("revert", NEW, AT - HOUR)])).toBe("unattributed");
    expect(tells(fail, [moment("download", NEW, AT - SECOND)])).toBe("unattributed");
  });

  test("of one that it was fetching, is that one's", () => {
    expect(inShort({ ...fail, version_name: NEW }, [moment("download", NEW, AT - SECOND)])).toBe(
      `download_failed ${NEW}`,
    );
    expect(tells({ ...fail, version_name: NEW }, [moment("download", NEW, AT + 1)])).toBe("unattributed");
  });

  test("of one that Android's service was fetching just now, is that one's", () => {
    const fetch = moment("fetch", NEW, AT + SECOND);
    expect(momentOf(known({ action: "download_zip_start", timestamp: undefined }))).toEqual(fetch);
    expect(inShort({ ...fail, version_name: NEW, timestamp: 5 }, [fetch])).toBe(`download_failed ${NEW}`);
    expect(tells({ ...fail, timestamp: 5 }, [fetch])).toBe("unattributed");
  });

  test("that it was fetched once is no evidence when it has run since", () => {
    const lost = [
      moment("download", OLD, AT - 9 * HOUR),
      moment("set", OLD, AT - 8 * HOUR),
      moment("revert", NEW, AT - HOUR),
    ];
    expect(tells(fail, lost)).toBe("unattributed");
  });

  test("of another one than was seen to run just now, is that one's; not by what ran long ago", () => {
    const ranAt = (agoMs: number) => [moment("runs", OLD, AT - agoMs)];
    const other = { ...fail, version_name: NEW };
    expect(inShort(other, ranAt(RUNNING_FRESH_MS_MAX))).toBe(`download_failed ${NEW}`);
    expect(tells(other, ranAt(RUNNING_FRESH_MS_MAX + 1))).toBe("unattributed");
  });

  test("told by the download service, is the target's also at first contact", () => {
    expect(
      inShort({ action: "download_manifest_file_fail", version_name: "4.2.7:a.js", timestamp: undefined }),
    ).toBe(`download_failed ${NEW}`);
  });

  test.each([
    ["7.17.0", `download_failed ${NEW}`],
    ["7.16.9", "no_outcome"],
    ["6.14.25", `download_failed ${NEW}`],
    ["6.14.24", "no_outcome"],
    ["5.99.0", "no_outcome"],
    ["8.0.0", `download_failed ${NEW}`],
    ["", "no_outcome"],
    [undefined, "no_outcome"],
  ])("by plugin %j: %s", (plugin_version, outcome) => {
    const evidence = [moment("download", NEW, AT - SECOND)];
    expect(inShort({ action: "download_fail", plugin_version }, evidence)).toBe(outcome);
  });
});

describe("a way back", () => {
  const set = { action: "set", version_name: OLD, old_version_name: "4.2.0" };

  test("is no attempt", () => {
    expect(tells(set, [moment("revert", NEW, AT)])).toMatchObject({ event: "active", version: OLD });
    expect(inShort(set, [moment("revert", NEW, AT - 10 * SECOND)])).toBe(`active ${OLD}`);
  });

  test("is over after 10 s, or when something else was set or fetched", () => {
    expect(inShort(set, [moment("revert", NEW, AT - 10 * SECOND - 1)])).toBe(`installed ${OLD}`);
    expect(inShort(set, [moment("revert", NEW, AT - 9), moment("set", "4.2.5", AT - 5)])).toBe(
      `installed ${OLD}`,
    );
    expect(inShort(set, [moment("revert", NEW, AT - 9), moment("download", OLD, AT - 5)])).toBe(
      `installed ${OLD}`,
    );
    expect(inShort(set, [moment("revert", OLD, AT - 9)])).toBe(`installed ${OLD}`);
    expect(inShort(set, [moment("revert", NEW, AT + 9)])).toBe(`installed ${OLD}`);
  });
});

describe("a crash", () => {
  const crash = (exitAtMs: number | undefined, fields: Record<string, unknown> = {}) => ({
    action: "app_crash",
    metadata:
      exitAtMs === undefined
        ? {}
        : { exit_timestamp: String(exitAtMs), pid: "4711", exit_description: "boom" },
    ...fields,
  });

  test("is of what ran when the process ended, at that time", () => {
    const moments = [moment("set", OLD, AT - 9 * HOUR), moment("set", NEW, AT - HOUR)];
    expect(tells(crash(AT - 2 * HOUR), moments)).toMatchObject({
      event: "crashed",
      version: OLD,
      at: AT - 2 * HOUR,
      crash: { type: "app_crash", message: "boom" },
    });
    expect(inShort(crash(AT - HOUR), moments)).toBe(`crashed ${NEW}`);
    expect(inShort(crash(AT - HOUR - 1), moments)).toBe(`crashed ${OLD}`);
  });

  test("of a moment that nothing is known of, is of the bundle it is stamped with, if none was switched to since", () => {
    expect(inShort(crash(AT - HOUR))).toBe(`crashed ${NEW}`);
    expect(inShort(crash(AT - HOUR), [moment("set", NEW, AT - 2)])).toBe("unattributed");
    expect(inShort(crash(AT - HOUR), [moment("revert", "4.2.8", AT - 2)])).toBe("unattributed");
    expect(inShort(crash(AT - HOUR), [moment("set", NEW, AT + 2)])).toBe(`crashed ${NEW}`);
    expect(inShort(crash(AT - TIMELINE_MS_MAX))).toBe(`crashed ${NEW}`);
    expect(inShort(crash(AT - TIMELINE_MS_MAX - 1))).toBe("unattributed");
  });

  test("of a moment before all that is known, is of what the first switch after it came from", () => {
    const set = { ...moment("set", NEW, AT - 2), from: OLD };
    expect(inShort(crash(AT - HOUR), [set])).toBe(`crashed ${OLD}`);
    expect(inShort(crash(AT - TIMELINE_MS_MAX - 1), [set])).toBe("unattributed");
    // A way back says that it came from the store build.
    const back = { ...moment("set", OLD, AT - 2), from: "4.2.0" };
    expect(inShort(crash(AT - HOUR), [moment("revert", "4.2.8", AT - 2), back])).toBe("unattributed");
    expect(inShort(crash(AT - HOUR), [set, { ...moment("set", "4.2.8", AT - 2), from: "4.2.5" }])).toBe(
      "unattributed",
    );
    expect(momentOf(known({ action: "set", old_version_name: OLD }))).toMatchObject({
      kind: "set",
      from: OLD,
    });
    expect(momentOf(known({ action: "set", old_version_name: "a b" }))).not.toHaveProperty("from");
  });

  test("is nobody's when the device switched without a word, or its clock was set back", () => {
    expect(inShort(crash(AT - HOUR), [moment("set", OLD, AT - 9 * HOUR)])).toBe("unattributed");
    expect(inShort(crash(AT + 1))).toBe("unattributed");
  });

  test("told without the time it happened, is of its bundle only if nothing was switched of late", () => {
    expect(inShort(crash(undefined))).toBe(`crashed ${NEW}`);
    expect(inShort(crash(undefined), [moment("set", NEW, AT - HOUR)])).toBe("unattributed");
    expect(tells(crash(undefined))).toMatchObject({ id: undefined, at: AT });
  });

  test("on iOS is known by the session that never ended", () => {
    const metadata = { session_started_at: String(AT - HOUR), previous_session_id: "s1" };
    const told = tells({ ...crash(undefined), metadata, platform: "ios" }, [
      moment("set", NEW, AT - 9 * HOUR),
    ]);
    expect(told).toMatchObject({ event: "crashed", version: NEW, at: AT });
    expect(inShort({ ...crash(undefined), metadata }, [moment("set", NEW, AT - HOUR + 1)])).toBe(
      "unattributed",
    );
  });

  test("has an id of the exit, not of the telling", () => {
    const idOf = (fields: Record<string, unknown>): unknown => (tells(fields) as ReportDraft).id;
    const id = idOf(crash(AT - HOUR));
    expect(id).toMatch(/^[\w-]{43}$/);
    expect(idOf(crash(AT - HOUR, { timestamp: AT + HOUR }))).toBe(id);
    expect(idOf(crash(AT - HOUR, { device_id: CAPGO_DEVICE.toUpperCase() }))).toBe(id);
    expect(idOf(crash(AT - HOUR + 1))).not.toBe(id);
    expect(idOf(crash(AT - HOUR, { action: "app_crash_native" }))).not.toBe(id);
    expect(idOf({ ...crash(undefined), metadata: { exit_timestamp: String(AT - HOUR), pid: "1" } })).not.toBe(
      id,
    );
  });

  test("of another process of the package is none", () => {
    const metadata = { exit_timestamp: String(AT - 1), process_name: "com.acme.till:push" };
    expect(tells({ ...crash(undefined), metadata })).toBe("no_outcome");
    expect(inShort({ ...crash(undefined), metadata: { ...metadata, process_name: "com.acme.till" } })).toBe(
      `crashed ${NEW}`,
    );
  });

  test.each([
    ["true", `crashed ${NEW}`],
    ["false", `active ${NEW}`],
    [undefined, `active ${NEW}`],
  ])("of the renderer: did_crash %j", (did_crash, outcome) => {
    const metadata = { timestamp: String(AT - 1), ...(did_crash === undefined ? {} : { did_crash }) };
    expect(inShort({ action: "webview_render_process_gone", metadata })).toBe(outcome);
  });
});

test.each([
  ["set", "set"],
  ["reset", "set"],
  ["update_fail", "revert"],
  ["app_launch_timeout", undefined],
  ["download_10", "download"],
  ["app_moved_to_foreground", "runs"],
  ["app_launch_start", "runs"],
  ["app_crash", "runs"],
  ["download_fail", undefined],
  ["set_next", undefined],
] as const)("%s tells of the timeline: %s", (action, kind) => {
  expect(momentOf(known({ action }))?.kind).toBe(kind);
});
