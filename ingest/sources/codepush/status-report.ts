// What one status report of a CodePush client says, and what its server would refuse of it. Pure. Names come in camel or
// in snake case on every path. Enters: any JSON value. Leaves: the deployment key with the event, or the words to refuse
// it with: a client keeps one refused report at most, so nothing is refused that its server would take.
//
// The protocol tells no time: a report happened when it came in. One that is sent again moves no device to another place;
// it may add an hour of use.
import { z } from "zod";
import { nothing, drafts, invalid } from "../foreign-event.ts";
import type { ForeignEvent } from "../foreign-event.ts";

export type StatusReport =
  /** 400 with these words. */
  | { readonly kind: "refused"; readonly message: string }
  | {
      readonly kind: "read";
      readonly deploymentKey: string;
      /** On the channel of the deployment key. */
      readonly toEvent: (channel: string) => ForeignEvent;
    };

/** A text that is missing, empty or no text is not there: as the server has it. */
const text = z.string().min(1).optional().catch(undefined);
const bodySchema = z.looseObject({
  appVersion: text,
  app_version: text,
  clientUniqueId: text,
  client_unique_id: text,
  deploymentKey: text,
  deployment_key: text,
  label: text,
  previousDeploymentKey: text,
  previous_deployment_key: text,
  previousLabelOrAppVersion: text,
  previous_label_or_app_version: text,
  status: text,
});

interface Fields {
  readonly appVersion: string | undefined;
  readonly clientUniqueId: string | undefined;
  readonly deploymentKey: string | undefined;
  readonly label: string | undefined;
  readonly previousDeploymentKey: string | undefined;
  readonly previousLabelOrAppVersion: string | undefined;
  readonly status: string | undefined;
}

/** Camel case first, as the server does. */
function readFields(value: unknown): Fields | undefined {
  const parsed = bodySchema.safeParse(value);
  if (!parsed.success) return undefined;
  const body = parsed.data;
  return {
    appVersion: body.appVersion ?? body.app_version,
    clientUniqueId: body.clientUniqueId ?? body.client_unique_id,
    deploymentKey: body.deploymentKey ?? body.deployment_key,
    label: body.label,
    previousDeploymentKey: body.previousDeploymentKey ?? body.previous_deployment_key,
    previousLabelOrAppVersion: body.previousLabelOrAppVersion ?? body.previous_label_or_app_version,
    status: body.status,
  };
}

const NOT_JSON = "The body must be a JSON object.";
/** Characters of what a client sent that an answer quotes. */
const QUOTED_CHARS_MAX = 64;

/** `isModern`: the SDK names itself, 1.5.2-beta or later; older ones are refused without an id. */
export function readDeployReport(value: unknown, { isModern }: { isModern: boolean }): StatusReport {
  const fields = readFields(value);
  if (fields === undefined) return refused(NOT_JSON);
  const { appVersion, clientUniqueId, deploymentKey, label, status } = fields;
  if (deploymentKey === undefined || appVersion === undefined)
    return refused("A deploy status report must contain a valid appVersion and deploymentKey.");
  if (label !== undefined) {
    if (status === undefined)
      return refused("A deploy status report for a labelled package must contain a valid status.");
    if (!STATUSES.includes(status)) return refused(`Invalid status: ${status.slice(0, QUOTED_CHARS_MAX)}`);
  }
  if (clientUniqueId === undefined && !isModern)
    return refused(
      "A deploy status report must contain a valid appVersion, clientUniqueId and deploymentKey.",
    );
  return { kind: "read", deploymentKey, toEvent: (channel) => deployEvent(fields, channel) };
}

const STATUSES: readonly string[] = ["DeploymentSucceeded", "DeploymentFailed", "Downloaded"];

export function readDownloadReport(value: unknown): StatusReport {
  const fields = readFields(value);
  if (fields === undefined) return refused(NOT_JSON);
  const { clientUniqueId, deploymentKey, label } = fields;
  if (deploymentKey === undefined || label === undefined)
    return refused("A download status report must contain a valid deploymentKey and package label.");
  return {
    kind: "read",
    deploymentKey,
    toEvent: (channel) =>
      clientUniqueId === undefined
        ? NO_DEVICE
        : drafts({ channel, device: clientUniqueId, version: label, event: "update_started" }),
  };
}

function refused(message: string): StatusReport {
  return { kind: "refused", message };
}

const NO_DEVICE = invalid("client_unique_id is missing: without it a device cannot be counted once.");

/** How the server names releases. */
const LABEL = /^v\d+$/;
/** A store version, and no range of them (`1.2.x`, `^1.2.0`), which forks may put there. */
const PLAIN_VERSION = /^\d+(\.\d+){0,3}([-+][0-9A-Za-z.+-]+)?$/;

function deployEvent(fields: Fields, channel: string): ForeignEvent {
  const { appVersion = "", clientUniqueId, deploymentKey, label, status } = fields;
  // The store binary runs, newly installed or in place of a release: it is none of the server's releases.
  if (label === undefined) return nothing("no_outcome");
  if (clientUniqueId === undefined) return NO_DEVICE;
  const base = {
    channel,
    device: clientUniqueId,
    version: label,
    ...(PLAIN_VERSION.test(appVersion) ? { native_version: appVersion } : {}),
  };
  // Started once and not confirmed by its next start; what runs now is not told.
  if (status === "DeploymentFailed") return drafts({ ...base, event: "reverted" });
  if (status === "Downloaded") return drafts({ ...base, event: "update_started" });
  // A label says which release only together with its deployment.
  const { previousDeploymentKey = deploymentKey, previousLabelOrAppVersion: previous = "" } = fields;
  const isRelease = previousDeploymentKey === deploymentKey && LABEL.test(previous);
  return drafts({ ...base, event: "confirmed", ...(isRelease ? { from: previous } : {}) });
}
