// What the configuration says on counting, as the functions that folding asks. Enters: Settings. Leaves:
// CountingRules, with the defaults where an app or a channel is not configured: reports that were taken in
// before it left the file are still counted. Pure.
import type { AppId } from "../../ingest/contract/release-key.ts";
import { DEFAULT_COUNTING_RULES } from "../health/counting-rules.ts";
import type { CountingRules } from "../health/counting-rules.ts";
import { silenceDeadlineMsOf } from "../policy/silence-deadline.ts";
import type { Settings } from "./schema.ts";

export function countingRulesOf({ apps, policies }: Pick<Settings, "apps" | "policies">): CountingRules {
  const deadlines = new Map([...policies].map(([name, policy]) => [name, silenceDeadlineMsOf(policy)]));
  return {
    strataOf: (app) => apps.get(app as AppId)?.strata.by ?? DEFAULT_COUNTING_RULES.strataOf(app),
    strataMaxOf: (app) => apps.get(app as AppId)?.strata.max ?? DEFAULT_COUNTING_RULES.strataMaxOf(app),
    silenceDeadlineMsOf: (key) => {
      const channel = apps.get(key.app)?.channels.get(key.channel);
      const deadlineMs = channel === undefined ? undefined : deadlines.get(channel.policyName);
      return deadlineMs ?? DEFAULT_COUNTING_RULES.silenceDeadlineMsOf(key);
    },
  };
}

/** The same while the configuration changes: each question is answered by what is in force then. */
export function liveCountingRules(settings: () => Pick<Settings, "apps" | "policies">): CountingRules {
  let of: Pick<Settings, "apps" | "policies"> | undefined;
  let rules = DEFAULT_COUNTING_RULES;
  const current = (): CountingRules => {
    const now = settings();
    if (now !== of) [of, rules] = [now, countingRulesOf(now)];
    return rules;
  };
  return {
    strataOf: (app) => current().strataOf(app),
    strataMaxOf: (app) => current().strataMaxOf(app),
    silenceDeadlineMsOf: (key) => current().silenceDeadlineMsOf(key),
  };
}
