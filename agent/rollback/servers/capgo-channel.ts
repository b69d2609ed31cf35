// What a Capgo channel is in Lastgood's words, as pure functions. A channel has one bundle, and while a progressive rollout
// is under way a second one for a part of the devices: that one is what the channel offers, for it is what is new. Enters:
// a channel and the app's bundles, as Capgo tells them. Leaves: a ChannelState.
import { versionSchema } from "../../../ingest/contract/release-key.ts";
import type { Version } from "../../../ingest/contract/release-key.ts";
import type { ChannelState, Release } from "../ota-server.ts";
import type { CapgoBundle, CapgoChannel } from "./capgo-api.ts";

/** Capgo's names for "no bundle": devices get what the store build has in it, or (by its source) nothing at all. */
const NO_BUNDLE: ReadonlySet<string> = new Set(["builtin", "unknown"]);

export type OfferedNow =
  | { readonly kind: "offered"; readonly versions: readonly Version[]; readonly rollout: Rollout | undefined }
  /** It can't be one of Lastgood's, so that no device can ever report it. */
  | { readonly kind: "unnameable"; readonly name: string };

/** A progressive rollout that is under way, if only on hold. */
export interface Rollout {
  readonly version: Version;
  readonly isPaused: boolean;
}

/** What devices of the channel get, the newest of them first. */
export function offeredNow(channel: CapgoChannel): OfferedNow {
  const bps = channel.rolloutPercentageBps ?? 0;
  const rolledOut = channel.rolloutEnabled === true && bps > 0 ? channel.rollout_version_info : null;
  const names = [rolledOut?.name, channel.version?.name].filter(
    (name): name is string => name !== undefined && !NO_BUNDLE.has(name),
  );
  const versions: Version[] = [];
  for (const name of names) {
    const parsed = versionSchema.safeParse(name);
    if (!parsed.success) return { kind: "unnameable", name };
    if (!versions.includes(parsed.data)) versions.push(parsed.data);
  }
  const isRolledOut = rolledOut !== null && rolledOut !== undefined && !NO_BUNDLE.has(rolledOut.name);
  const isPaused = channel.rolloutPausedAt !== null && channel.rolloutPausedAt !== undefined;
  return {
    kind: "offered",
    versions,
    rollout: isRolledOut ? { version: versions[0]!, isPaused } : undefined,
  };
}

/** A bundle that a channel can be set to: not deleted, with files that devices can fetch. */
export function findBundle(bundles: readonly CapgoBundle[], version: Version): CapgoBundle | undefined {
  return bundles.find((bundle) => bundle.name === version && isUsable(bundle));
}

function isUsable({ name, deleted, external_url, r2_path, manifest_count }: CapgoBundle): boolean {
  if (deleted === true || NO_BUNDLE.has(name)) return false;
  // Devices would be told `no_bundle`. A server that does not show these fields is believed.
  const isEmpty =
    external_url === null && r2_path === null && (manifest_count === null || manifest_count === 0);
  return !isEmpty;
}

export function toState(
  channel: CapgoChannel,
  { versions, rollout }: Extract<OfferedNow, { kind: "offered" }>,
  bundles: readonly CapgoBundle[],
): ChannelState {
  return {
    version: versions[0] ?? null,
    releases: releasesOf(channel, versions, bundles),
    offered: versions,
    pausable: rollout !== undefined,
    // Capgo's own default.
    refusesBelowNativeBuild: channel.disableAutoUpdateUnderNative ?? true,
    ...(rollout === undefined ? {} : { paused: rollout.isPaused }),
  };
}

/** All that the app has: Capgo keeps no history of a channel. Newest first, and what a rollout came over right after it. */
function releasesOf(
  { updated_at }: CapgoChannel,
  [offered, stable]: readonly Version[],
  bundles: readonly CapgoBundle[],
): Release[] {
  const byVersion = new Map<Version, Release>();
  for (const bundle of bundles) {
    const parsed = versionSchema.safeParse(bundle.name);
    if (parsed.success && isUsable(bundle) && !byVersion.has(parsed.data))
      byVersion.set(parsed.data, { version: parsed.data, releasedAt: bundle.created_at });
  }
  const listed = [...byVersion.values()];
  if (offered === undefined) return listed;
  // Deleted at Capgo, or older than all that is looked at; devices get it all the same.
  const current = byVersion.get(offered) ?? {
    version: offered,
    releasedAt: updated_at ?? new Date(0).toISOString(),
  };
  const releases = byVersion.has(offered) ? listed : [current, ...listed];
  const before = stable === undefined ? undefined : byVersion.get(stable);
  if (before === undefined) return releases;
  const others = releases.filter((release) => release !== before);
  const at = others.indexOf(current) + 1;
  return [...others.slice(0, at), before, ...others.slice(at)];
}
