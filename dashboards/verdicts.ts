// Verdicts as numbers, for timelines and tables: Grafana colours values, and Prometheus has one series per verdict.
// Enters: which releases, and which labels stay. Leaves: an expression whose value says the verdict, and the mappings
// that show it.
import { MappingType } from "@grafana/grafana-foundation-sdk/dashboard";
import type { ValueMapping } from "@grafana/grafana-foundation-sdk/dashboard";
import { VERDICTS } from "./colours.ts";
import { agreed } from "./queries.ts";
import type { Selection } from "./queries.ts";

type Verdict = keyof typeof VERDICTS;

/** The sum of the codes: exactly one of the verdicts is 1, the others 0. */
export function verdictCode({ by = [], where = {} }: Selection<"ota_release_condemned"> = {}): string {
  return (Object.keys(VERDICTS) as Verdict[])
    .map((verdict) => {
      const holds = agreed("ota_release_verdict", { by, where: { ...where, verdict: `="${verdict}"` } });
      return `${VERDICTS[verdict].code} * ${holds}`;
    })
    .join(" + ");
}

export const VERDICT_MAPPINGS: readonly ValueMapping[] = [
  {
    type: MappingType.ValueToText,
    options: Object.fromEntries(
      Object.entries(VERDICTS).map(([text, { code, colour }]) => [
        String(code),
        { text, color: colour, index: code },
      ]),
    ),
  },
];

/** Numbers that stand for words. */
export function words(
  meaning: Readonly<Record<number, { readonly text: string; readonly colour: string }>>,
): ValueMapping[] {
  return [
    {
      type: MappingType.ValueToText,
      options: Object.fromEntries(
        Object.entries(meaning).map(([value, { text, colour }], index) => [
          value,
          { text, color: colour, index },
        ]),
      ),
    },
  ];
}
