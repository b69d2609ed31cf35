// What speaks against moving a channel to a version by hand: the same guards that hold Lastgood back, as warnings that an
// admin may override with a reason. Pure.
import { compareVersions } from "../../../ingest/contract/release-key.ts";
import type { Version } from "../../../ingest/contract/release-key.ts";
import type { DecisionReason, Guard } from "../../policy/decision.ts";
import { cooldown } from "../../policy/guards/cooldown.ts";
import { freezeWindow } from "../../policy/guards/freeze-window.ts";
import { frozen } from "../../policy/guards/frozen.ts";
import { killSwitch } from "../../policy/guards/kill-switch.ts";
import type { Situation } from "../../policy/situation.ts";

export interface Objection {
  readonly guard: Guard;
  readonly reason: DecisionReason;
  readonly sentence: string;
}

export interface TargetFacts extends Pick<
  Situation,
  "channelKey" | "policy" | "minimumVersion" | "condemned" | "failing" | "pastRollbacks" | "freezes" | "nowMs"
> {
  readonly target: Version;
}

export function objectionsTo(facts: TargetFacts): Objection[] {
  const answers = [killSwitch(facts), frozen(facts), freezeWindow(facts), cooldown(facts)];
  const ofGuards = answers.flatMap((answer) =>
    answer.kind === "pass" ? [] : [{ guard: answer.guard, reason: answer.reason, sentence: answer.sentence }],
  );
  return [...objectionsToVersion(facts), ...ofGuards];
}

/** What speaks against the version itself, whenever it is. */
export function objectionsToVersion({
  target,
  condemned,
  failing,
  minimumVersion,
}: Pick<TargetFacts, "target" | "condemned" | "failing" | "minimumVersion">): Objection[] {
  const bad = condemned.has(target) ? "was condemned" : failing.has(target) ? "is failing" : undefined;
  const isBelow = minimumVersion !== undefined && compareVersions(target, minimumVersion) < 0;
  return [
    ...(bad === undefined ? [] : [objection("no_good_target", `${target} ${bad} itself on this channel.`)]),
    ...(isBelow
      ? [
          objection(
            "target_below_minimum_version",
            `${target} is below the channel's minimum version ${minimumVersion}.`,
          ),
        ]
      : []),
  ];
}

function objection(reason: DecisionReason, sentence: string): Objection {
  return { guard: "good_target", reason, sentence };
}
