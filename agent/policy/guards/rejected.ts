// A person has looked at this release and said no to its rollback: it is not asked for again, until it is absolved.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const rejected: GuardCheck = ({ rejected: versions, verdict }) => {
  const { version } = verdict.release;
  if (!versions.has(version)) return PASS;
  return {
    kind: "refuse",
    guard: "rejected",
    reason: "rejected_by_operator",
    sentence: `A person said no to rolling ${version} back. To have it judged by what happens from now on: lastgood absolve`,
  };
};
