// What happens on every version alike is no reason to move a channel.
import { expect, it } from "vitest";
import { VERDICT_KIND_OF, VERDICT_REASONS } from "../../../../../agent/judge/verdict.ts";
import { versionAtFault } from "../../../../../agent/policy/guards/version-at-fault.ts";
import { failingVerdict, sampleSituation } from "../../../../support/verdicts.ts";

it.each(VERDICT_REASONS.map((reason) => [reason] as const))("%s", (reason) => {
  const verdict = failingVerdict({ kind: VERDICT_KIND_OF[reason], reason, sentence: `because of ${reason}` });
  expect(versionAtFault(sampleSituation({ verdict }))).toEqual(
    reason === "environment"
      ? {
          kind: "refuse",
          guard: "version_at_fault",
          reason: "environment",
          sentence: "because of environment",
        }
      : { kind: "pass" },
  );
});
