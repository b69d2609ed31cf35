// What speaks against moving a channel to a version by hand: the same guards that hold Lastgood back, as warnings that an
// admin may override with a reason. Pure.
import { compareVersions } from "../../../ingest/contract/release-key.ts";
import type { Version } from "../../../ingest/contract/release-key.ts";
import { Problem } from "../../../runtime/problem.ts";
import type { Caller } from "../authenticate.ts";
import { ADMIN_PROBLEMS } from "../problems.ts";
import type { GuardAnswer } from "../../policy/guards/guard.ts";
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
  return [...objectionsToVersion(facts), ...handsOff(facts), ...refusals([cooldown(facts)])];
}

/** What keeps Lastgood's hands off just now. */
export function handsOff(facts: Omit<TargetFacts, "target">): Objection[] {
  return refusals([killSwitch(facts), frozen(facts), freezeWindow(facts)]);
}

function refusals(answers: readonly GuardAnswer[]): Objection[] {
  return answers.flatMap((answer) =>
    answer.kind === "pass" ? [] : [{ guard: answer.guard, reason: answer.reason, sentence: answer.sentence }],
  );
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

/** Guards are warnings to a person: whoever may overrule them has to say so. */
export function overrule(caller: Caller, objections: readonly Objection[], isOverride: boolean): void {
  if (objections.length === 0 || (isOverride && caller.role === "admin")) return;
  const said = objections.map(({ sentence }) => sentence).join(" ");
  if (isOverride)
    throw new Problem(ADMIN_PROBLEMS.role_not_enough, {
      detail: `Guards object, and only an admin may override them: ${said}`,
      members: { warnings: objections },
    });
  throw new Problem(ADMIN_PROBLEMS.guards_object, {
    detail: `${said} An admin can override this with a reason (override: true).`,
    members: { warnings: objections },
  });
}
