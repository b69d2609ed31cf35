// What the configuration says on counting: as data, which can be sent to another process, and as the functions that
// folding asks. Enters: Settings. Leaves: a CountingTable, and CountingRules with the defaults where an app or a channel
// is not configured: reports that were taken in before it left the file are still counted. Pure.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import { DEFAULT_COUNTING_RULES } from "../health/counting-rules.ts";
import type { CountingRules } from "../health/counting-rules.ts";
import { silenceDeadlineMsOf } from "../policy/silence-deadline.ts";
import type { Settings, StrataSettings } from "./schema.ts";

export interface CountingTable {
  /** By app. */
  readonly strata: ReadonlyMap<string, StrataSettings>;
  /** In milliseconds, by channel key. */
  readonly silenceDeadlinesMs: ReadonlyMap<string, number>;
}

export function countingTableOf({ apps, policies }: Pick<Settings, "apps" | "policies">): CountingTable {
  const silenceDeadlinesMs = new Map<string, number>();
  for (const [app, { channels }] of apps)
    for (const [channel, { policyName }] of channels) {
      const policy = policies.get(policyName);
      if (policy !== undefined)
        silenceDeadlinesMs.set(formatChannelKey({ app, channel }), silenceDeadlineMsOf(policy));
    }
  return { strata: new Map([...apps].map(([app, { strata }]) => [app, strata])), silenceDeadlinesMs };
}

export function rulesOf({ strata, silenceDeadlinesMs }: CountingTable): CountingRules {
  return {
    strataOf: (app) => strata.get(app)?.by ?? DEFAULT_COUNTING_RULES.strataOf(app),
    strataMaxOf: (app) => strata.get(app)?.max ?? DEFAULT_COUNTING_RULES.strataMaxOf(app),
    silenceDeadlineMsOf: (key) =>
      silenceDeadlinesMs.get(formatChannelKey(key)) ?? DEFAULT_COUNTING_RULES.silenceDeadlineMsOf(key),
  };
}

export function countingRulesOf(settings: Pick<Settings, "apps" | "policies">): CountingRules {
  return rulesOf(countingTableOf(settings));
}

/** The same while what they are made of changes: each question is answered by what is in force then. */
export function liveCountingRules<From>(
  now: () => From,
  rulesFrom: (from: From) => CountingRules,
): CountingRules {
  let of: From | undefined;
  let rules = DEFAULT_COUNTING_RULES;
  const current = (): CountingRules => {
    const from = now();
    if (from !== of) [of, rules] = [from, rulesFrom(from)];
    return rules;
  };
  return {
    strataOf: (app) => current().strataOf(app),
    strataMaxOf: (app) => current().strataMaxOf(app),
    silenceDeadlineMsOf: (key) => current().silenceDeadlineMsOf(key),
  };
}
