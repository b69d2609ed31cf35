// Which bundle an event of Capgo's plugin is about, and what it then says. Pure. Enters: an event, and the timeline of its
// device. Leaves: a draft of a native report, or why there is none. Where nobody can say whose a failure is, it is nobody's:
// a good release that is blamed by mistake is rolled back, a failure that is not counted is counted at the next device.
import { hash } from "node:crypto";
import { isVersion } from "../../contract/release-key.ts";
import { drafts, nothing } from "../foreign-event.ts";
import type { ForeignEvent, ReportDraft } from "../foreign-event.ts";
import { ACTIONS } from "./actions.ts";
import type { ActionMeaning, FailureMeaning } from "./actions.ts";
import { bundleName, tellsDownloadFailuresRight, withoutFile } from "./stats-event.ts";
import type { CapgoEvent } from "./stats-event.ts";
import { isReturn, ranBeforeSwitch, runningAt, switchedBetween, wasFetching } from "./timeline.ts";
import type { Moment } from "./timeline.ts";
import { TIMELINE_MS_MAX } from "./timeline-store.ts";

/**
 * What ran longer ago may have been replaced without a word: older plugins lose what they had not sent when the app is
 * killed, and they switch when it goes to the background. Updates are checked for when an app comes to the foreground, so
 * what it told then is younger. In milliseconds.
 */
export const RUNNING_FRESH_MS_MAX = 600_000;

/** An event that is known, with whose it says to be. */
export interface KnownEvent {
  readonly event: CapgoEvent;
  readonly meaning: ActionMeaning;
  /** As it is stamped; "" = nobody can say. */
  readonly version: string;
  /** By the device's clock; by ours where it tells none. */
  readonly atMs: number;
  readonly receivedAtMs: number;
}

/** Undefined = the action is not known. */
export function toKnownEvent(event: CapgoEvent, receivedAtMs: number): KnownEvent | undefined {
  const meaning = ACTIONS.get(event.action);
  if (meaning === undefined) return undefined;
  const namesFile = meaning.kind === "failure" && meaning.namesFile === true;
  const name = namesFile ? withoutFile(event.versionName) : event.versionName;
  return { event, meaning, version: bundleName(name, event), atMs: event.atMs ?? receivedAtMs, receivedAtMs };
}

/** What the event tells of the device's timeline. */
export function momentOf({ event, meaning, version, atMs }: KnownEvent): Moment | undefined {
  switch (meaning.kind) {
    case "switch":
    case "reset": {
      const from = fromOf(event);
      return { kind: "set", atMs, version, ...(isVersion(from) ? { from } : {}) };
    }
    case "revert":
      return meaning.isEndOfRun ? { kind: "revert", atMs, version } : undefined;
    case "download":
      return { kind: event.atMs === undefined ? "fetch" : "download", atMs, version };
    case "ready":
    case "running":
    case "exit":
      return { kind: "runs", atMs, version };
    case "failure":
    case "ignored":
      return undefined;
  }
}

/** Whether what is remembered of the device is needed, or must learn of it. A device in use tells mostly what needs none. */
export function needsTimeline({ kind }: ActionMeaning): boolean {
  switch (kind) {
    case "switch":
    case "reset":
    case "revert":
    case "download":
    case "failure":
    case "exit":
      return true;
    case "ready":
    case "running":
    case "ignored":
      return false;
  }
}

/** `moments`: of the device, remembered and told by the same request. */
export function readKnownEvent(known: KnownEvent, moments: readonly Moment[], channel: string): ForeignEvent {
  const { event, meaning, version, atMs } = known;
  const draft = (name: ReportDraft["event"], more: Partial<ReportDraft> = {}): ForeignEvent =>
    drafts({ ...baseOf(event, channel), version, event: name, at: event.atMs, ...more });
  switch (meaning.kind) {
    case "switch":
      // The way back is no attempt: nobody would confirm it, and it would count as silence.
      return isReturn(moments, { atMs, version })
        ? draft("active")
        : draft("installed", { from: fromOf(event) });
    case "reset":
      return draft("active");
    case "revert":
      return draft("reverted", { reason: event.action });
    case "download":
      return draft("update_started");
    case "ready":
      return draft("confirmed");
    case "running":
      return meaning.isProof ? draft("active") : nothing("no_outcome");
    case "failure":
      return readFailure(known, meaning, moments, draft);
    case "exit":
      return readExit(known, meaning.event, moments, draft);
    case "ignored":
      return nothing("no_outcome");
  }
}

type Draft = (name: ReportDraft["event"], more?: Partial<ReportDraft>) => ForeignEvent;

function baseOf(event: CapgoEvent, channel: string): Omit<ReportDraft, "version" | "event"> {
  return {
    channel,
    device: event.device,
    platform: event.platform,
    os_version: event.osVersion,
    native_version: event.nativeVersion,
  };
}

function fromOf(event: CapgoEvent): string | undefined {
  if (event.oldVersionName === "") return undefined;
  const from = bundleName(event.oldVersionName, event);
  return from === "" ? undefined : from;
}

function readFailure(
  { event, version, atMs, receivedAtMs }: KnownEvent,
  { event: name, subject }: FailureMeaning,
  moments: readonly Moment[],
  draft: Draft,
): ForeignEvent {
  if (event.action === "download_fail" && !tellsDownloadFailuresRight(event.pluginVersion))
    return nothing("no_outcome");
  const running = runningAt(moments, atMs);
  // It could not fetch something else, or the server refused it: a device that has healed says so whenever it is used.
  if (running?.version === version) return nothing("unattributed");
  const isTarget =
    subject === "target" ||
    wasFetching(moments, version, { atMs, receivedAtMs }) ||
    (running !== undefined && atMs - running.sinceMs <= RUNNING_FRESH_MS_MAX);
  return isTarget ? draft(name, { reason: event.action }) : nothing("unattributed");
}

function readExit(
  known: KnownEvent,
  name: "crashed" | "not_responding",
  moments: readonly Moment[],
  draft: Draft,
): ForeignEvent {
  const { event } = known;
  const { metadata } = event;
  if (event.action === "webview_render_process_gone" && metadata.didCrash !== true) return draft("active");
  // Another process of the package, such as `com.acme.till:push`: no bundle runs there.
  if (metadata.processName?.includes(":") === true) return nothing("no_outcome");
  const version = versionAtExit(known, moments);
  if (version === undefined) return nothing("unattributed");
  return draft(name, {
    version,
    // The same when the system's records are read once more. When a session on iOS ended nobody knows.
    at: metadata.exitAtMs ?? event.atMs,
    id: exitId(event),
    crash: { type: event.action, message: metadata.exitDescription },
  });
}

/** It is told at the next start, and stamped with what runs then. */
function versionAtExit({ event, version, atMs }: KnownEvent, moments: readonly Moment[]): string | undefined {
  const { exitAtMs, sessionStartedAtMs } = event.metadata;
  const fromMs = exitAtMs ?? sessionStartedAtMs ?? atMs - TIMELINE_MS_MAX;
  // The clock was set back meanwhile: what it said before is not comparable.
  if (fromMs > atMs) return undefined;
  const before = runningAt(moments, fromMs)?.version;
  if (switchedBetween(moments, fromMs, atMs)) {
    if (exitAtMs === undefined) return undefined;
    const isKnownTime = atMs - fromMs <= TIMELINE_MS_MAX;
    return before ?? (isKnownTime ? ranBeforeSwitch(moments, fromMs) : undefined);
  }
  // Nothing is known of so long ago.
  if (before === undefined) return atMs - fromMs <= TIMELINE_MS_MAX ? version : undefined;
  // Else it switched without a word, before or after.
  return before === version ? version : undefined;
}

/** The same for the same exit, whenever it is told. */
function exitId({ device, action, metadata }: CapgoEvent): string | undefined {
  const { exitAtMs, sessionStartedAtMs, sessionId, pid } = metadata;
  const moment = exitAtMs ?? sessionStartedAtMs;
  if (moment === undefined) return undefined;
  return hash("sha256", JSON.stringify([device, action, moment, pid ?? sessionId ?? ""]), "base64url");
}
