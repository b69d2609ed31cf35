// A Stratum is a kind of device: the values of up to four fields that it told of itself. Counts are split by
// it, so that a mix of devices that changes during a rollout is not taken for a change of the release.
// Enters: fields of reports. Leaves: one text, a JSON array of four values; "" = not told, or not asked for.
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";

/** Fields of a report that can split counts, in the order in which a stratum's text has them: append only. */
export const STRATUM_FIELDS = ["platform", "model", "os_version", "native_version"] as const;
export type StratumField = (typeof STRATUM_FIELDS)[number];

/** Text of the stratum of devices that told nothing of themselves. */
export const STRATUM_UNKNOWN = "unknown";
/** Text of all strata together, where somebody asked for their sum; never stored. */
export const STRATUM_ALL = "all";
/** Text of what is beyond the cap: of strata, and of reasons of failure. */
export const STRATUM_OTHER = "other";

/** Values in the order of STRATUM_FIELDS. */
export type Stratum = readonly string[];

export const NO_STRATUM: Stratum = STRATUM_FIELDS.map(() => "");

/**
 * The stratum with what a report tells added: of each field the first value by its text stays, whichever
 * came first. The same object when nothing changes.
 */
export function mergeStratum(
  known: Stratum,
  report: AcceptedReport,
  fields: readonly StratumField[],
): Stratum {
  let merged: string[] | undefined;
  for (const field of fields) {
    const value = report[field];
    if (value === undefined || value === "") continue;
    const index = STRATUM_FIELDS.indexOf(field);
    const before = known[index]!;
    if (before !== "" && before <= value) continue;
    merged ??= [...known];
    merged[index] = value;
  }
  return merged ?? known;
}

export function formatStratum(stratum: Stratum): string {
  return JSON.stringify(stratum);
}

export function parseStratum(text: string): Stratum {
  return JSON.parse(text) as string[];
}
