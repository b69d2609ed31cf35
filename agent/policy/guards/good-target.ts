// The target must be good: the newest release that the channel had before the accused one, never
// condemned, with no standing evidence against it, not below the minimum version, and not below the native build of
// every device that would have to take it.
import { compareVersions } from "../../../ingest/contract/release-key.ts";
import type { Version } from "../../../ingest/contract/release-key.ts";
import type { Situation } from "../situation.ts";
import type { GuardAnswer } from "./guard.ts";

export type TargetChoice =
  | { readonly kind: "target"; readonly version: Version }
  | Extract<GuardAnswer, { kind: "refuse" }>;

type MissingTarget =
  | "no_good_target"
  | "no_proven_target"
  | "target_below_minimum_version"
  | "target_below_native_build";

export function chooseTarget({
  channel,
  verdict,
  condemned,
  failing,
  healthy,
  policy,
  minimumVersion,
  lowestNativeBuild,
}: Situation): TargetChoice {
  const { version } = verdict.release;
  const releases = ownReleases(channel);
  const accusedAt = releases.findIndex((release) => release.version === version);
  const before = accusedAt < 0 ? [] : releases.slice(accusedAt + 1);
  const good = before.filter(
    (release) =>
      release.version !== version &&
      // Whatever it is called now: content that was condemned under another name is no better under this one.
      ![release.version, ...(release.sameAs ?? [])].some((name) => condemned.has(name) || failing.has(name)),
  );
  const proven = policy.target === "proven" ? good.filter((release) => healthy.has(release.version)) : good;
  if (good.length > 0 && proven.length === 0)
    return refuse(
      "no_proven_target",
      `None of the ${good.length} releases before ${version} that the channel could go back to is proven healthy, as target: proven asks for.`,
    );
  const newest = proven[0];
  if (newest === undefined) return refuse("no_good_target", describeMissingTarget(version, before.length));
  const isAtLeast = (least: string | undefined) => (release: { readonly version: Version }) =>
    least === undefined || compareVersions(release.version, least) >= 0;
  const allowed = proven.filter(isAtLeast(minimumVersion));
  if (allowed.length === 0)
    return refuse(
      "target_below_minimum_version",
      `Every good release before ${version} (the newest is ${newest.version}) is below the channel's minimum version ${minimumVersion}.`,
    );
  const target = allowed.find(isAtLeast(lowestNativeBuild));
  if (target !== undefined) return { kind: "target", version: target.version };
  return refuse(
    "target_below_native_build",
    `Every good release before ${version} (the newest is ${allowed[0]?.version}) is below ${lowestNativeBuild}, the lowest native build of the devices that took ${version} up, and the OTA server gives no device a release below its own: none would get it. Publish a repaired release.`,
  );
}

/** An OTA server may list what was only ever on other channels, such as a beta: that is nothing to go back to. */
function ownReleases(channel: Situation["channel"]) {
  if (channel.kind !== "known") return [];
  const { had, releases } = channel;
  if (had === undefined) return releases;
  const byVersion = new Map(releases.map((release) => [release.version, release]));
  return had.flatMap((version) => byVersion.get(version) ?? []);
}

function describeMissingTarget(version: Version, earlierReleases: number): string {
  if (earlierReleases === 0)
    return `The OTA server lists no release before ${version} that the channel could go back to.`;
  return `Each of the ${earlierReleases} releases before ${version} is condemned or failing itself.`;
}

function refuse(reason: MissingTarget, sentence: string): TargetChoice {
  return { kind: "refuse", guard: "good_target", reason, sentence };
}
