// The page on a configuration file that is refused: what it says is not in force, which nobody sees on any channel. Enters:
// a snapshot. Leaves: one page, or none. Pure.
import { makePage } from "./page.ts";
import type { Page } from "./page.ts";
import type { PageSnapshot } from "./page-snapshot.ts";

/** The others are in the log and in the journal. */
const PROBLEMS_SHOWN_MAX = 3;

export function configPages({ refusedConfig }: PageSnapshot): Page[] {
  if (refusedConfig === undefined) return [];
  const { since, problems } = refusedConfig;
  const more = problems.length - PROBLEMS_SHOWN_MAX;
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX).join("; ");
  return [
    makePage({
      alertname: "OtaConfigRefused",
      severity: "warning",
      on: "lastgood",
      description:
        `${shown}${more > 0 ? `; and ${more} more` : ""}. Nothing of the file is in force before it is right, and ` +
        "Lastgood can't be started anew with it: lastgood check-config",
      startsAtMs: Date.parse(since),
    }),
  ];
}
