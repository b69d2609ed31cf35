// A kind of device as the API names it, and the order of such texts. Pure.
import { STRATUM_FIELDS, parseStratum } from "../health/stratum.ts";

export function byText(left: string, right: string): number {
  return left < right ? -1 : 1;
}

/** What was told of the fields, by name; `unknown` and `other` as they are. */
export function viewStratum(text: string): Record<string, string> | string {
  if (!text.startsWith("[")) return text;
  const told = parseStratum(text).flatMap((value, index): [string, string][] =>
    value === "" ? [] : [[STRATUM_FIELDS[index] ?? String(index), value]],
  );
  return Object.fromEntries(told);
}
