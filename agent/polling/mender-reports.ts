// What one entry of Mender's list of a deployment's devices says, as reports. Pure. Enters: the entry, and which release
// the deployment brings. Leaves: reports whose time and id follow from the entry alone: read twice, they are the same.
import { TEXT_CHARS_MAX } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { MenderDevice } from "../rollback/servers/mender-api.ts";

export interface ReadDeployment {
  readonly id: string;
  readonly release: ReleaseKey;
}

/** Statuses of a device that is at it. */
export const MENDER_ACTIVE_STATUSES = [
  "downloading",
  "pause_before_installing",
  "installing",
  "pause_before_rebooting",
  "rebooting",
  "pause_before_committing",
] as const;
/** Statuses that end it with a word about the release; `aborted`, `noartifact` and `decommissioned` have none. */
export const MENDER_ENDED_STATUSES = ["failure", "success", "already-installed"] as const;

/**
 * `sinceMs`: what happened before is not told: it would be taken for something that happened a week ago (see
 * `clampReportTime`). The entry's `created` is the deployment's own and says nothing of the device.
 */
export function reportsOf(
  device: MenderDevice,
  deployment: ReadDeployment,
  sinceMs: number,
): readonly DeviceReport[] {
  const startedMs = timeOf(device.started);
  const endedMs = timeOf(device.finished);
  const told = (event: DeviceEvent, atMs: number | undefined, reason?: string): DeviceReport[] =>
    atMs !== undefined && atMs < sinceMs ? [] : [toReport({ device, deployment, event, atMs, reason })];
  // Without the time at which it began nothing is announced: a made-up one would make it silent too early, or never.
  const started = startedMs === undefined ? [] : told("update_started", startedMs);
  switch (device.status) {
    case "success":
      return [...started, ...told("confirmed", endedMs)];
    case "failure":
      return [...started, ...told(eventOfFailure(device.substate), endedMs, device.substate ?? undefined)];
    case "already-installed":
      // It ran it before it was asked to: no attempt, and no proof that installing works.
      return told("active", endedMs);
    case "downloading":
    case "pause_before_installing":
    case "installing":
    case "pause_before_rebooting":
    case "rebooting":
    case "pause_before_committing":
      return started;
    default:
      return [];
  }
}

/**
 * `failure` is all that the server says, whether the device rolled back well or is broken and alive. Where it stopped
 * tells whether the new artifact had been booted. A failed download is final here, and so a failed installation.
 */
export function eventOfFailure(substate: string | null | undefined): "install_failed" | "reverted" {
  return /^Artifact(VerifyReboot|Reboot|Commit|Rollback|VerifyRollback)/.test(substate ?? "")
    ? "reverted"
    : "install_failed";
}

function toReport({
  device,
  deployment,
  event,
  atMs,
  reason,
}: {
  readonly device: MenderDevice;
  readonly deployment: ReadDeployment;
  readonly event: DeviceEvent;
  readonly atMs: number | undefined;
  readonly reason: string | undefined;
}): DeviceReport {
  // One artifact is for one or more types of device; only of one is it known which this device is.
  const types = device.image?.device_types_compatible ?? [];
  const model = types.length === 1 ? types[0] : undefined;
  return {
    ...deployment.release,
    device: device.id,
    event,
    id: `${deployment.id}:${event}`,
    ...(atMs === undefined ? {} : { at: atMs }),
    ...(reason === undefined ? {} : { reason: asText(reason) }),
    ...(model === undefined ? {} : { model: asText(model) }),
  };
}

function asText(foreign: string): string {
  return foreign.replaceAll(/\p{Cc}/gu, " ").slice(0, TEXT_CHARS_MAX);
}

function timeOf(text: string | null | undefined): number | undefined {
  return text === null || text === undefined ? undefined : Date.parse(text);
}
