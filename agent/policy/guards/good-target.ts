// The target must be good: the newest release that the channel had before the accused one, never
// condemned, with no standing evidence against it, and not below the minimum version.
import { compareVersions } from "../../../ingest/contract/release-key.ts";
import type { Version } from "../../../ingest/contract/release-key.ts";
import type { Situation } from "../situation.ts";
import type { GuardAnswer } from "./guard.ts";

export type TargetChoice =
  | { readonly kind: "target"; readonly version: Version }
  | Extract<GuardAnswer, { kind: "refuse" }>;

type MissingTarget = "no_good_target" | "no_proven_target" | "target_below_minimum_version";

export function chooseTarget({
  channel,
  verdict,
  condemned,
  failing,
  healthy,
  policy,
  minimumVersion,
}: Situation): TargetChoice {
  const { version } = verdict.release;
  const releases = channel.kind === "known" ? channel.releases : [];
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
  const isAllowed = (release: { readonly version: Version }): boolean =>
    minimumVersion === undefined || compareVersions(release.version, minimumVersion) >= 0;
  const target = proven.find(isAllowed);
  if (target !== undefined) return { kind: "target", version: target.version };
  return refuse(
    "target_below_minimum_version",
    `Every good release before ${version} (the newest is ${newest.version}) is below the channel's minimum version ${minimumVersion}.`,
  );
}

function describeMissingTarget(version: Version, earlierReleases: number): string {
  if (earlierReleases === 0)
    return `The OTA server lists no release before ${version} that the channel could go back to.`;
  return `Each of the ${earlierReleases} releases before ${version} is condemned or failing itself.`;
}

function refuse(reason: MissingTarget, sentence: string): TargetChoice {
  return { kind: "refuse", guard: "good_target", reason, sentence };
}
