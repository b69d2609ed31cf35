// What one event of the Capgo plugin counts as, held against the timeline of its device. Pure. Enters: an event that was
// read, and what is known of when its device switched bundles. Leaves: the draft of a native report, or why there is none.
import type { DeviceEvent } from "../../contract/device-report.ts";
import type { StatsEvent } from "./stats-event.ts";
import { crashedVersion, fetchedVersion, isReturn } from "./timeline.ts";
import type { Moment, Timeline } from "./timeline.ts";

export interface CapgoDraft {
  readonly app: string;
  readonly channel: string;
  readonly device: string;
  readonly version: string;
  readonly event: DeviceEvent;
  readonly at: number;
  readonly from?: string;
  readonly reason?: string;
  readonly crash?: { readonly type: string; readonly message?: string };
  readonly platform?: string;
  readonly os_version?: string;
  readonly native_version?: string;
}

export type Attributed =
  | { readonly kind: "draft"; readonly draft: CapgoDraft }
  | { readonly kind: "nothing"; readonly result: "no_outcome" | "unattributed" };

/** What the event tells of when its device switched; undefined for most. */
export function momentOf({ meaning, version, from, versionBuild, atMs }: StatsEvent): Moment | undefined {
  switch (meaning) {
    case "switched":
      return { kind: "set", atMs, version, from };
    case "reset":
      return { kind: "set", atMs, version: versionBuild, from };
    case "reverted":
      return { kind: "revert", atMs, version };
    case "download_began":
      return { kind: "download", atMs, version };
    case "confirmed":
    case "install_failed":
    case "broken_bundle":
    case "fetch_failed":
    case "in_use":
    case "crashed":
    case "not_responding":
    case "no_outcome":
      return undefined;
    default:
      return meaning satisfies never;
  }
}

export function attribute(event: StatsEvent, timeline: Timeline): Attributed {
  const { meaning, version, from, action } = event;
  switch (meaning) {
    case "download_began":
      return draftOf(event, "update_started", version);
    case "switched":
      // Putting back what ran before is no attempt: nobody waits for how it goes, and it is in use already.
      return isReturn(timeline, event)
        ? draftOf(event, "active", version)
        : draftOf(event, "installed", version, from === undefined || from === "" ? {} : { from });
    case "confirmed":
      return draftOf(event, "confirmed", version);
    case "reverted":
      return draftOf(event, "reverted", version, { reason: action });
    case "install_failed":
      return draftOf(event, "install_failed", version, { reason: action });
    case "broken_bundle":
      return draftOf(event, "install_failed", fetchedVersion(timeline, event), { reason: action });
    case "fetch_failed":
      return draftOf(event, "download_failed", fetchedVersion(timeline, event), { reason: action });
    case "in_use":
      return draftOf(event, "active", version);
    case "crashed":
    case "not_responding":
      return crashOf(event, timeline);
    case "reset":
    case "no_outcome":
      return { kind: "nothing", result: "no_outcome" };
    default:
      return meaning satisfies never;
  }
}

function crashOf(event: StatsEvent, timeline: Timeline): Attributed {
  const { action, message, exitedAtMs, atMs, meaning } = event;
  const crash = { type: action, ...(message === undefined ? {} : { message }) };
  const version = crashedVersion(timeline, event);
  return meaning === "crashed"
    ? draftOf({ ...event, atMs: exitedAtMs ?? atMs }, "crashed", version, { crash })
    : draftOf({ ...event, atMs: exitedAtMs ?? atMs }, "not_responding", version);
}

function draftOf(
  { app, channel, device, platform, osVersion, versionBuild, atMs }: StatsEvent,
  event: DeviceEvent,
  version: string | undefined,
  more: Pick<CapgoDraft, "from" | "reason" | "crash"> = {},
): Attributed {
  if (version === undefined) return { kind: "nothing", result: "unattributed" };
  const draft: CapgoDraft = {
    app: app.app,
    channel,
    device,
    version,
    event,
    at: atMs,
    ...more,
    ...(platform === undefined ? {} : { platform }),
    ...(osVersion === undefined ? {} : { os_version: osVersion }),
    ...(versionBuild === "" ? {} : { native_version: versionBuild }),
  };
  return { kind: "draft", draft };
}
