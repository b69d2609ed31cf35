// Says, once per app and process, that an app has more strata than are told apart. Enters: plans that were
// committed. Leaves: a warning when the app's row `other` is new in a shard; nothing later on, for the row stays.
import type { Logger } from "../../runtime/logger.ts";
import type { FoldPlan } from "../health/fold-plan.ts";
import { textWithoutApp } from "../health/shard-tables.ts";
import { STRATUM_OTHER } from "../health/stratum.ts";

export function createOtherWarning(logger: Pick<Logger, "warn">): (plan: Pick<FoldPlan, "newRows">) => void {
  const warned = new Set<string>();
  return ({ newRows }) => {
    for (const text of newRows.strata.keys()) {
      const app = text.slice(0, text.indexOf("|"));
      if (textWithoutApp(text) !== STRATUM_OTHER || warned.has(app)) continue;
      warned.add(app);
      logger.warn(
        { app },
        "more kinds of device than strata.max: new ones are counted as `other` from now on; raise " +
          "strata.max, and take what changes often (native_version) out of strata.by (docs/counting.md)",
      );
    }
  };
}
