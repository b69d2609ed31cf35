// What each action of the Capgo plugin says of an update (Cap-go/capgo, plugin_runtime/plugins/stats_actions.ts; sent by
// Cap-go/capacitor-updater 8.51). A table, so that a new action is a line. What stands here under no heading is unknown,
// which is no mistake: plugins are newer than servers.

export type ActionMeaning =
  /** Says nothing of how an update went, or what it says is told again by another action. */
  | "no_outcome"
  /** A download of the named bundle began. */
  | "download_began"
  /** The app was switched to the named bundle, which has not booted yet. */
  | "switched"
  /** The app went back to the store build by its own code. */
  | "reset"
  /** The named bundle is up. */
  | "confirmed"
  /** The named bundle did not boot, and the device went back by itself. */
  | "reverted"
  /** The named bundle could not be switched to. */
  | "install_failed"
  /** A bundle was broken or could not be unpacked: the named one, or another while the named one ran. */
  | "broken_bundle"
  /** Something could not be fetched: the named bundle, or another while the named one ran. */
  | "fetch_failed"
  /** The app is in use, with the named bundle. */
  | "in_use"
  /** The app crashed before this start; the named bundle is the one that runs now. */
  | "crashed"
  | "not_responding";

const BY_MEANING = {
  download_began: ["download_0", "download_zip_start", "download_manifest_start"],
  switched: ["set"],
  reset: ["reset"],
  confirmed: ["app_launch_ready"],
  reverted: ["update_fail"],
  install_failed: ["set_fail"],
  broken_bundle: [
    "unzip_fail",
    "checksum_fail",
    "decrypt_fail",
    "windows_path_fail",
    "canonical_path_fail",
    "directory_path_fail",
    "manifest_path_fail",
    "download_manifest_checksum_fail",
    "download_manifest_brotli_fail",
    "checksum_required",
    "session_key_required",
  ],
  fetch_failed: [
    "download_fail",
    "finish_download_fail",
    "download_manifest_file_fail",
    "low_mem_fail",
    "insufficient_disk_space",
    "blocked_by_server_url",
  ],
  in_use: [
    "ping",
    "app_moved_to_foreground",
    "app_moved_to_background",
    "webview_dom_content_loaded",
    "webview_page_loaded",
  ],
  // Of the render process only where the event says that it did crash; `mappedAction` looks.
  crashed: [
    "app_crash",
    "app_crash_native",
    "app_initialization_failure",
    "app_killed_excessive_resource_usage",
    "webview_render_process_gone",
  ],
  not_responding: ["app_anr"],
  no_outcome: [
    // Progress, and what the server derives or tells of itself.
    ..."10 20 30 40 50 60 70 80 90 complete zip_complete manifest_complete"
      .split(" ")
      .map((step) => `download_${step}`),
    "set_next", // the `set` at the next start says it
    "delete",
    "uninstall",
    "get",
    "app_launch_start",
    // A slow start. Where the plugin went back, `update_fail` follows; where it did not, nothing has failed.
    "app_launch_timeout",
    // The system took the memory, or the page: not the release's doing as far as anybody can tell.
    "app_killed_low_memory",
    "app_memory_warning",
    "webview_content_process_terminated",
    // Said again by what caused it.
    "webview_unclean_restart",
    // An error that the app survived.
    "webview_javascript_error",
    "webview_unhandled_rejection",
    "webview_resource_error",
    "webview_security_policy_violation",
    "os_version_changed",
    "native_app_version_changed",
    "rate_limit_reached",
    ...[
      "noNew needPlanUpgrade missingBundle cannotGetBundle NoChannelOrOverride setChannel getChannel keyMismatch",
      "disablePlatformIos disablePlatformAndroid disablePlatformElectron disableAutoUpdate disableAutoUpdateToMajor",
      "disableAutoUpdateToMinor disableAutoUpdateToPatch disableAutoUpdateMetadata disableAutoUpdateUnderNative",
      "disableDevBuild disableProdBuild disableEmulator disableDevice cannotUpdateViaPrivateChannel",
      "channelMisconfigured rateLimited InvalidIp backend_refusal customIdBlocked",
    ].flatMap((line) => line.split(" ")),
  ],
} as const satisfies Record<ActionMeaning, readonly string[]>;

const MEANING_OF: ReadonlyMap<string, ActionMeaning> = new Map(
  Object.entries(BY_MEANING).flatMap(([meaning, actions]) =>
    actions.map((action) => [action, meaning as ActionMeaning] as const),
  ),
);

export const KNOWN_ACTIONS: readonly string[] = [...MEANING_OF.keys()];

/** Undefined for an action that nobody here has heard of. */
export function meaningOf(action: string): ActionMeaning | undefined {
  return MEANING_OF.get(action);
}

/** Those that are about a bundle which the event does not surely name, or that say what ran when. */
const WITH_TIMELINE: ReadonlySet<ActionMeaning> = new Set([
  "download_began",
  "switched",
  "reset",
  "reverted",
  "broken_bundle",
  "fetch_failed",
  "crashed",
  "not_responding",
]);

export function needsTimeline(meaning: ActionMeaning): boolean {
  return WITH_TIMELINE.has(meaning);
}
