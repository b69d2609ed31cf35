// Every action that Capgo's backend knows, and those that plugins send besides, each with what it means here. Pure.
// Enters: an action by its name on the wire. Leaves: its meaning; undefined = this version of Lastgood does not know it.
//
// What is a failure of the release, and what is not:
// - A boot failure is `update_fail`; the plugin reverts by itself. `app_launch_timeout` comes right before it, of the same
//   check, and only in the launch that a process began with.
// - What fails before a bundle stands there fails in one of two ways. The download was given up (network, disk, memory of
//   the device): download_failed. The bundle came, and can't be used (checksum, archive, key, paths): install_failed.
// - A crash is one of the process, or of the renderer that says it crashed. Being killed for memory or for using too much,
//   and memory warnings, are as much the device's doing (other apps, old phones); errors of scripts and of resources happen
//   on pages that go on running, and come from third parties as well. They prove that the release runs, and no more.
import type { DeviceEvent } from "../../contract/device-report.ts";

export type ActionMeaning =
  /** The device runs another bundle from now on; it has not booted yet. */
  | { readonly kind: "switch" }
  /** The app went back by its own decision; `version_name` is what runs now. */
  | { readonly kind: "reset" }
  /** The bundle did not come up. */
  | { readonly kind: "revert"; readonly isEndOfRun: boolean }
  /** A download is under way, or complete. */
  | { readonly kind: "download" }
  | { readonly kind: "ready" }
  /** Said by the bundle that runs. */
  | { readonly kind: "running"; readonly isProof: boolean }
  /** Told at the next start, with the bundle of then. */
  | { readonly kind: "exit"; readonly event: Extract<DeviceEvent, "crashed" | "not_responding"> }
  | FailureMeaning
  /** Says nothing about how an update went. */
  | { readonly kind: "ignored" };

export interface FailureMeaning {
  readonly kind: "failure";
  readonly event: Extract<DeviceEvent, "download_failed" | "install_failed">;
  /**
   * `target`: `version_name` is what failed. `mixed`: it is that, or the bundle that runs, by platform and code path
   * (ota-systems 1.5).
   */
  readonly subject: "target" | "mixed";
  /** Of a file of a manifest: the version may be `1.2.3:some/file.js`. */
  readonly namesFile?: boolean;
}

const SWITCH: ActionMeaning = { kind: "switch" };
const DOWNLOAD: ActionMeaning = { kind: "download" };
const RUNNING: ActionMeaning = { kind: "running", isProof: true };
const IGNORED: ActionMeaning = { kind: "ignored" };
const CRASHED: ActionMeaning = { kind: "exit", event: "crashed" };

function failure(
  event: FailureMeaning["event"],
  subject: FailureMeaning["subject"],
  more: Pick<FailureMeaning, "namesFile"> = {},
): FailureMeaning {
  return { kind: "failure", event, subject, ...more };
}

const LIFECYCLE: Readonly<Record<string, ActionMeaning>> = {
  set: SWITCH,
  reset: { kind: "reset" },
  update_fail: { kind: "revert", isEndOfRun: true },
  app_launch_timeout: { kind: "revert", isEndOfRun: false },
  app_launch_ready: { kind: "ready" },
  // It runs; that it comes up is not known yet.
  app_launch_start: { kind: "running", isProof: false },
  ping: RUNNING,
  app_moved_to_foreground: RUNNING,
  app_moved_to_background: RUNNING,
  webview_dom_content_loaded: RUNNING,
  webview_page_loaded: RUNNING,
  os_version_changed: RUNNING,
  native_app_version_changed: RUNNING,
};

const DOWNLOADS: Readonly<Record<string, ActionMeaning>> = Object.fromEntries(
  [
    ...[0, 10, 20, 30, 40, 50, 60, 70, 80, 90].map((percent) => `download_${percent}`),
    "download_complete",
    "download_zip_start",
    "download_zip_complete",
    "download_manifest_start",
    "download_manifest_complete",
  ].map((action) => [action, DOWNLOAD]),
);

const FAILURES: Readonly<Record<string, ActionMeaning>> = {
  // Files of the bundle that was to be switched to are missing.
  set_fail: failure("install_failed", "target"),
  download_fail: failure("download_failed", "mixed"),
  finish_download_fail: failure("download_failed", "mixed"),
  low_mem_fail: failure("download_failed", "mixed"),
  insufficient_disk_space: failure("download_failed", "mixed"),
  unzip_fail: failure("install_failed", "mixed"),
  checksum_fail: failure("install_failed", "mixed"),
  decrypt_fail: failure("install_failed", "mixed"),
  windows_path_fail: failure("install_failed", "mixed"),
  canonical_path_fail: failure("install_failed", "mixed"),
  directory_path_fail: failure("install_failed", "mixed"),
  // Not encrypted or not signed, and this app asks for it.
  checksum_required: failure("install_failed", "mixed"),
  session_key_required: failure("install_failed", "mixed"),
  // By Android's download service, which knows no other bundle than the one it fetches.
  manifest_path_fail: failure("install_failed", "target", { namesFile: true }),
  // One file may be damaged on its way, or its decompressed copy be tried again whole: not yet of the bundle.
  download_manifest_file_fail: failure("download_failed", "target", { namesFile: true }),
  download_manifest_checksum_fail: failure("download_failed", "target", { namesFile: true }),
  download_manifest_brotli_fail: failure("download_failed", "target", { namesFile: true }),
};

const HEALTH: Readonly<Record<string, ActionMeaning>> = {
  app_crash: CRASHED,
  app_crash_native: CRASHED,
  app_initialization_failure: CRASHED,
  // By `did_crash`; else the system took its memory.
  webview_render_process_gone: CRASHED,
  app_anr: { kind: "exit", event: "not_responding" },
  app_killed_low_memory: RUNNING,
  app_killed_excessive_resource_usage: RUNNING,
  app_memory_warning: RUNNING,
  // On iOS that is the memory of an app in the background as a rule, and nothing tells it from a crash.
  webview_content_process_terminated: RUNNING,
  webview_unclean_restart: RUNNING,
  webview_javascript_error: RUNNING,
  webview_unhandled_rejection: RUNNING,
  webview_resource_error: RUNNING,
  webview_security_policy_violation: RUNNING,
};

/** The first are of devices; the others Capgo's own server writes, and no device sends them. */
const NO_OUTCOME: readonly string[] = [
  "set_next",
  "delete",
  "rate_limit_reached",
  // The app is told to load its pages from a development server.
  "blocked_by_server_url",
  "uninstall",
  "get",
  "noNew",
  "needPlanUpgrade",
  "missingBundle",
  "cannotGetBundle",
  "NoChannelOrOverride",
  "setChannel",
  "getChannel",
  "keyMismatch",
  "disablePlatformIos",
  "disablePlatformAndroid",
  "disablePlatformElectron",
  "disableAutoUpdate",
  "disableAutoUpdateToMajor",
  "disableAutoUpdateToMinor",
  "disableAutoUpdateToPatch",
  "disableAutoUpdateMetadata",
  "disableAutoUpdateUnderNative",
  "disableDevBuild",
  "disableProdBuild",
  "disableEmulator",
  "disableDevice",
  "cannotUpdateViaPrivateChannel",
  "channelMisconfigured",
  "rateLimited",
  "InvalidIp",
  "backend_refusal",
  "customIdBlocked",
];

/** A map: an action may be called `constructor`. */
export const ACTIONS: ReadonlyMap<string, ActionMeaning> = new Map([
  ...Object.entries({ ...LIFECYCLE, ...DOWNLOADS, ...FAILURES, ...HEALTH }),
  ...NO_OUTCOME.map((action) => [action, IGNORED] as const),
]);
