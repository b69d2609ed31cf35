// Which release a CodePush server offers to a device that asks, as code-push-server decides it (api/script/utils/acquisition.ts
// as told by the shared reference, ota-systems.md 4.2). Enters: a deployment's history, oldest first, and what the device
// asked with, in which a missing value is the text "undefined". Leaves: `update_info` in either spelling. Pure.
import semver from "semver";
import { isSelectedForRollout } from "./codepush-rollout.ts";
import type { CodePushPackage } from "./codepush.ts";

export interface AskingDevice {
  /** A whole version: see `toWholeVersion`. */
  readonly appVersion: string;
  readonly packageHash: string;
  readonly label: string;
  readonly clientUniqueId: string;
  readonly isCompanion: boolean;
}

const NO_UPDATE = {
  download_url: "",
  description: "",
  is_available: false,
  is_mandatory: false,
  target_binary_range: "",
  app_version: "",
  package_hash: "",
  label: "",
  package_size: 0,
  update_app_version: false,
  should_run_binary_version: false,
};
export type UpdateInfo = typeof NO_UPDATE;

/** `1` and `1.2-rc` are taken, filled up with zeros; null for what is no version then. */
export function toWholeVersion(text: string): string | null {
  const [, numbers, rest] = /^(\d+(?:\.\d+)?)([-+].*)?$/.exec(text) ?? [];
  if (numbers === undefined) return semver.valid(text);
  // A lone number is taken without anything after it.
  if (!numbers.includes(".")) return rest === undefined ? `${numbers}.0.0` : null;
  return semver.valid(`${numbers}.0${rest ?? ""}`);
}

export function updateFor(history: readonly CodePushPackage[], device: AskingDevice): UpdateInfo {
  const [info, rollout] = pick(history, device);
  if (info.is_available && isPartial(rollout)) {
    const isSelected = isSelectedForRollout(device.clientUniqueId, rollout, info.label || info.package_hash);
    if (!isSelected)
      return pick(
        history.filter((each) => !isPartial(each.rollout)),
        device,
      )[0];
  }
  return info;
}

function isPartial(rollout: number | null): rollout is number {
  return rollout !== null && rollout !== 0 && rollout !== 100;
}

function pick(
  history: readonly CodePushPackage[],
  device: AskingDevice,
): readonly [info: UpdateInfo, rollout: number | null] {
  const newestFirst = history.toReversed();
  const fits = (each: CodePushPackage): boolean =>
    !each.isDisabled && (device.isCompanion || semver.satisfies(device.appVersion, each.appVersion));
  const newest = newestFirst.find(({ isDisabled }) => !isDisabled);
  const offered = newestFirst.find(fits);
  if (newest === undefined) return [{ ...NO_UPDATE, should_run_binary_version: true }, null];
  if (offered === undefined || offered.packageHash === device.packageHash)
    return [
      { ...NO_UPDATE, should_run_binary_version: offered === undefined, ...storeHint(newest, device) },
      null,
    ];
  // A device that leaves its label out never finds itself ("undefined"): any older mandatory release then counts. One that
  // sends it empty is found by its hash, and so is who runs a disabled release.
  const own = newestFirst.findIndex((each) =>
    device.label === "" ? each.packageHash === device.packageHash : each.label === device.label,
  );
  const since = own === -1 ? newestFirst : newestFirst.slice(0, own);
  const info = {
    ...NO_UPDATE,
    download_url: offered.blobUrl,
    description: offered.description,
    is_available: true,
    is_mandatory: offered.isMandatory || since.some((each) => fits(each) && each.isMandatory),
    // Both echo the version that the device asked with.
    target_binary_range: device.appVersion,
    app_version: device.appVersion,
    package_hash: offered.packageHash,
    label: offered.label,
    package_size: offered.size,
  };
  return [info, offered.rollout];
}

/** There is a release for another store binary: a newer one is to be fetched, an older one is only named. */
function storeHint(
  { appVersion: range }: CodePushPackage,
  { appVersion }: AskingDevice,
): Partial<UpdateInfo> {
  if (semver.satisfies(appVersion, range)) return {};
  const isOlder = !semver.gtr(appVersion, range);
  return { app_version: range, target_binary_range: range, update_app_version: isOlder };
}

/** As the old SDK is answered. `target_binary_range` has no other spelling. */
export function toCamelCase(info: UpdateInfo): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(info).map(([name, value]) => [CAMEL_NAMES[name as keyof UpdateInfo], value]),
  );
}

const CAMEL_NAMES: Readonly<Record<keyof UpdateInfo, string>> = {
  download_url: "downloadURL",
  description: "description",
  is_available: "isAvailable",
  is_mandatory: "isMandatory",
  target_binary_range: "target_binary_range",
  app_version: "appVersion",
  package_hash: "packageHash",
  label: "label",
  package_size: "packageSize",
  update_app_version: "updateAppVersion",
  should_run_binary_version: "shouldRunBinaryVersion",
};
