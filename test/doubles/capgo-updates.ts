// What a Capgo device is told when it asks for an update (shared reference, ota-systems.md 1.7, 1.10, 1.11): a new
// version, or 200 with an error and its kind, in the order of Capgo's own checks. Which devices a rollout chooses is a hash
// here, where Capgo draws lots and keeps the draw; both stay the same for a device. Pure. Enters: rows, a request.
// Leaves: status and body.
import { createHash } from "node:crypto";
import semver from "semver";
import { z } from "zod";
import type { CapgoAppRows, CapgoBundleRow, CapgoChannelRow } from "./capgo-state.ts";

const BPS_ALL = 10_000;

export const updateRequestSchema = z.object({
  app_id: z.string().min(1),
  device_id: z.string().min(1),
  version_name: z.string().min(1),
  version_build: z.string().min(1),
  is_emulator: z.boolean(),
  is_prod: z.boolean(),
  platform: z.enum(["ios", "android", "electron"]),
  plugin_version: z.string().regex(/^\d+\.\d+\.\d+/),
  defaultChannel: z.string().optional(),
});
export type UpdateRequest = z.infer<typeof updateRequestSchema>;

export interface UpdateAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

function told(kind: "up_to_date" | "blocked" | "failed", error: string, more: object = {}): UpdateAnswer {
  return { status: 200, body: { error, message: error.replaceAll("_", " "), kind, ...more } };
}

export function answerUpdate(app: CapgoAppRows | undefined, request: UpdateRequest): UpdateAnswer {
  if (app === undefined)
    return { status: 429, body: { error: "on_premise_app", message: "On-premise app detected" } };
  const channel = app.channels.find((each) =>
    request.defaultChannel === undefined ? each.public : each.name === request.defaultChannel,
  );
  if (channel === undefined) return told("failed", "no_channel");
  const { version_name: running, version_build: build } = request;
  const offered = chooseBundle(app, channel, request);
  if (offered === undefined)
    return running === "builtin" || running === build
      ? told("up_to_date", "already_on_builtin")
      : told("up_to_date", "already_on_builtin", { version: "builtin" });
  if (offered.deleted) return told("failed", "no_bundle");
  const { name } = offered;
  if (name === running) return told("up_to_date", "no_new_version_available");
  const blocked = whyBlocked(channel, request, name);
  if (blocked !== undefined)
    return told(blocked === "semver_error" ? "failed" : "blocked", blocked, { version: name, old: running });
  if (offered.r2Path === null) return told("failed", "no_bundle_url");
  return {
    status: 200,
    body: {
      version: name,
      url: `https://storage.example/${offered.r2Path}`,
      session_key: "",
      checksum: `sha-of-${name}`,
    },
  };
}

function chooseBundle(
  { bundles }: CapgoAppRows,
  channel: CapgoChannelRow,
  { device_id, version_name }: UpdateRequest,
): CapgoBundleRow | undefined {
  const byId = (id: number | null): CapgoBundleRow | undefined => bundles.find((each) => each.id === id);
  const rollout =
    channel.rolloutEnabled && channel.rolloutBps > 0 ? byId(channel.rolloutVersionId) : undefined;
  if (rollout === undefined) return byId(channel.versionId);
  const isOnIt = version_name === rollout.name;
  const isChosen =
    isOnIt ||
    (channel.rolloutPausedAtMs === null && lotOf(device_id, channel.rolloutId) < channel.rolloutBps);
  return isChosen ? rollout : byId(channel.versionId);
}

function lotOf(deviceId: string, rolloutId: number): number {
  return createHash("sha256").update(`${deviceId} ${rolloutId}`).digest().readUInt32BE(0) % BPS_ALL;
}

/** Undefined = nothing is in the way. In the order of the real checks; `private` and `key` are not in this double. */
function whyBlocked(
  channel: CapgoChannelRow,
  { platform, version_build, is_prod, is_emulator }: UpdateRequest,
  target: string,
): string | undefined {
  if (!channel[platform]) return `disabled_platform_${platform}`;
  const build = semver.coerce(version_build);
  const wanted = semver.parse(target);
  if (build === null || wanted === null) return "semver_error";
  const { disableAutoUpdate: rule } = channel;
  const isAbove = (part: "major" | "minor" | "patch"): boolean => wanted[part] > build[part];
  if (rule === "major" && isAbove("major")) return "disable_auto_update_to_major";
  const isOtherMinor = wanted.major !== build.major || isAbove("minor");
  if (rule === "minor" && isOtherMinor) return "disable_auto_update_to_minor";
  if (rule === "patch" && (wanted.major !== build.major || wanted.minor !== build.minor || isAbove("patch")))
    return "disable_auto_update_to_patch";
  if (channel.underNative && semver.lt(wanted, build)) return "disable_auto_update_under_native";
  if (is_prod && !channel.allowProd) return "disable_prod_build";
  if (!is_prod && !channel.allowDev) return "disable_dev_build";
  if (!is_emulator && !channel.allowDevice) return "disable_device";
  if (is_emulator && !channel.allowEmulator) return "disable_emulator";
  return undefined;
}
