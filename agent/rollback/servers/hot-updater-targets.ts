// What a hot-updater channel offers, what it can go back to, and which bundles must be disabled for that. Pure.
// Enters: the bundles of one channel and platform, newest first. Leaves: the channel's state, or a plan.
//
// The server takes no command "go back to X". A device whose bundle is disabled gets the newest bundle below it that is
// enabled and fits its app version or fingerprint, whatever that bundle's cohorts are; at its next check it is held to the
// cohorts, and may fall further, to the JavaScript in the store binary at last. So a bundle is a target only where every
// device that is moved stays on it:
// - it is enabled, rolled out to all, and allows by name each named cohort that a disabled bundle allows by name (devices
//   of such a cohort take nothing else, also not a bundle for all);
// - it fits every device that a disabled bundle fits: the same fingerprint, and the same app versions as text, or a semver
//   range around them. A bundle for another app version would leave its devices on the built-in JavaScript;
// - all that is enabled between it and the bad one, and fits some device of that one, is disabled before. Bundles in between
//   for other app versions stay as they are.
import semver from "semver";
import { versionSchema } from "../../../ingest/contract/release-key.ts";
import type { Version } from "../../../ingest/contract/release-key.ts";
import type { ChannelState, Release } from "../ota-server.ts";
import type { HotUpdaterBundle } from "./hot-updater-api.ts";

/** `rolloutCohortCount` of a bundle for all devices. */
export const ALL_COHORTS = 1_000;

/** A bundle by the name that Lastgood calls it: its id in lower case. */
export interface KnownBundle extends HotUpdaterBundle {
  readonly version: Version;
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isBundleId(id: string): boolean {
  return UUID_V7.test(id.toLowerCase());
}

/** Newest first, as the server chooses: by id, which begins with the time. Other ids are none of its own making. */
export function knownOf(bundles: readonly HotUpdaterBundle[]): readonly KnownBundle[] {
  const known = bundles
    .filter(({ id }) => isBundleId(id))
    .map((bundle) => ({ ...bundle, version: versionSchema.parse(bundle.id.toLowerCase()) }));
  return known.toSorted((left, right) => (left.version < right.version ? 1 : -1));
}

/**
 * The newest that some device is offered. A bundle that is halted (no cohorts left, none named) is offered to nobody.
 * Bundles for other app versions live side by side, and a channel of Lastgood has one release at a time: it is that of
 * the devices which the newest bundle is for, also when it was disabled, and of no others while these are offered any.
 */
export function offeredOf(bundles: readonly KnownBundle[]): KnownBundle | undefined {
  const live = bundles.filter(
    (bundle) => bundle.enabled && (cohortsOf(bundle) > 0 || (bundle.targetCohorts ?? []).length > 0),
  );
  if (live.length === 0) return undefined;
  const asked = new Set<string>();
  for (const newest of bundles) {
    const line = lineOf(newest);
    if (asked.has(line)) continue;
    asked.add(line);
    const offered = live.find((bundle) => bundle === newest || fitsSomeOf(bundle, newest));
    if (offered !== undefined) return offered;
  }
  return undefined;
}

export function toState(bundles: readonly KnownBundle[]): ChannelState {
  const offered = offeredOf(bundles);
  if (offered === undefined) return { version: null, releases: [] };
  const told = [offered];
  for (const bundle of below(bundles, offered)) {
    // Each content once, by its newest name.
    if (told.some((other) => isSameContent(other, bundle))) continue;
    if (hindranceOf(bundles, offered, bundle) === undefined) told.push(bundle);
  }
  return { version: offered.version, releases: told.map((bundle) => toRelease(bundle, bundles)) };
}

function toRelease(bundle: KnownBundle, bundles: readonly KnownBundle[]): Release {
  // Also disabled ones: content that was condemned and disabled, and is published again, is that content.
  const sameAs = below(bundles, bundle)
    .filter((older) => isSameContent(older, bundle))
    .map(({ version }) => version);
  return {
    version: bundle.version,
    releasedAt: new Date(Number.parseInt(bundle.version.replace("-", "").slice(0, 12), 16)).toISOString(),
    ...(sameAs.length === 0 ? {} : { sameAs }),
  };
}

/** What is to be disabled so that the channel goes from one bundle to another: in this order, the bad one last. */
export function planOf(
  bundles: readonly KnownBundle[],
  bad: KnownBundle,
  target: KnownBundle,
): readonly KnownBundle[] {
  // The oldest first: a device on one of these then goes to the target, not to the next of these.
  return [...between(bundles, bad, target).toReversed(), bad];
}

/** Why the channel can't go back from one bundle to another; undefined = it can. */
export function hindranceOf(
  bundles: readonly KnownBundle[],
  bad: KnownBundle,
  target: KnownBundle,
): string | undefined {
  if (!target.enabled) return `${target.version} is disabled: enable it first`;
  const disabled = planOf(bundles, bad, target);
  const misfit = disabled.find((bundle) => !fitsAllOf(target, bundle));
  if (misfit !== undefined)
    return `${target.version} is for ${lineOf(target)}, and ${misfit.version}, which would be disabled, for ${lineOf(misfit)}: devices that it does not fit would go back to something else`;
  if (cohortsOf(target) < ALL_COHORTS)
    return `${target.version} is rolled out to ${cohortsOf(target)} of ${ALL_COHORTS} cohorts: the others would fall through it at their next check; roll it out to all first`;
  const named = disabled.flatMap(namedCohortsOf).find((cohort) => !namedCohortsOf(target).includes(cohort));
  if (named !== undefined)
    return `${target.version} does not name the cohort ${named} in targetCohorts: its devices would fall through it at their next check`;
  return undefined;
}

function below(bundles: readonly KnownBundle[], { version }: KnownBundle): readonly KnownBundle[] {
  return bundles.filter((bundle) => bundle.version < version);
}

/** Enabled ones that would catch devices of the bad bundle on their way, halted ones too. Newest first. */
function between(
  bundles: readonly KnownBundle[],
  bad: KnownBundle,
  target: KnownBundle,
): readonly KnownBundle[] {
  return below(bundles, bad).filter(
    (bundle) => bundle.enabled && bundle.version > target.version && fitsSomeOf(bundle, bad),
  );
}

function isSameContent(left: KnownBundle, right: KnownBundle): boolean {
  return left.fileHash != null && left.fileHash !== "" && left.fileHash === right.fileHash;
}

/** The server's reading: none given is all. */
function cohortsOf({ rolloutCohortCount }: HotUpdaterBundle): number {
  return rolloutCohortCount ?? ALL_COHORTS;
}

/** Other than `"1"` to `"1000"`, which a bundle for all is for. */
function namedCohortsOf({ targetCohorts }: HotUpdaterBundle): readonly string[] {
  return (targetCohorts ?? [])
    .map((cohort) => cohort.trim().toLowerCase())
    .filter((cohort) => !/^\d+$/.test(cohort));
}

// ---- app versions and fingerprints ------------------------------------------------------------------------

function textOf(value: string | null | undefined): string | undefined {
  const text = value?.trim();
  return text === "" ? undefined : text;
}

function lineOf({ targetAppVersion, fingerprintHash }: HotUpdaterBundle): string {
  const range = textOf(targetAppVersion);
  const fingerprint = textOf(fingerprintHash);
  const parts = [
    ...(range === undefined ? [] : [`app version ${range}`]),
    ...(fingerprint === undefined ? [] : [`fingerprint ${fingerprint}`]),
  ];
  return parts.join(" and ") || "no app version";
}

/** Whether every device that `inner` fits, by whichever of the two it asks, is one that `outer` fits. */
function fitsAllOf(outer: HotUpdaterBundle, inner: HotUpdaterBundle): boolean {
  const fingerprint = textOf(inner.fingerprintHash);
  if (fingerprint !== undefined && fingerprint !== textOf(outer.fingerprintHash)) return false;
  const range = textOf(inner.targetAppVersion);
  return range === undefined || isWithin(range, textOf(outer.targetAppVersion));
}

function fitsSomeOf(left: HotUpdaterBundle, right: HotUpdaterBundle): boolean {
  const fingerprint = textOf(left.fingerprintHash);
  if (fingerprint !== undefined && fingerprint === textOf(right.fingerprintHash)) return true;
  return overlap(textOf(left.targetAppVersion), textOf(right.targetAppVersion));
}

function isWithin(inner: string, outer: string | undefined): boolean {
  if (outer === undefined) return false;
  if (inner === outer) return true;
  return areRanges(inner, outer) && semver.subset(inner, outer);
}

function overlap(left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  if (left === right) return true;
  return areRanges(left, right) && semver.intersects(left, right);
}

/** What is no range fits no device: the server compares by semver. */
function areRanges(...texts: readonly string[]): boolean {
  return texts.every((text) => semver.validRange(text) !== null);
}
