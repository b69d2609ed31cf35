// How long a device must have said nothing for a policy to count it as silent. Pure. Enters: a policy. Leaves: milliseconds.
import { SILENCE_DEADLINE_MS_DEFAULT } from "../health/counting-rules.ts";
import type { Policy } from "./policy.ts";

/** Silence is counted under every policy, also where no rule asks for it: people look at it, too. */
export function silenceDeadlineMsOf({ rules }: Pick<Policy, "rules">): number {
  const deadlines = rules.flatMap((rule) => (rule.form === "plain" ? [] : [rule.deadlineMs]));
  return deadlines.find((deadlineMs) => deadlineMs !== undefined) ?? SILENCE_DEADLINE_MS_DEFAULT;
}
