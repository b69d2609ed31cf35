// Tables: a row per thing, a column per query. Enters: the labels that make a row, and the columns. Leaves: the SDK's
// panel, with the queries' answers merged into one table, its columns named, in order, and shown in units of their own.
import {
  TableCellBackgroundDisplayMode,
  TableCellDisplayMode,
  TableSortByFieldStateBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import type {
  DashboardLink,
  DynamicConfigValue,
  Panel,
  ValueMapping,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder } from "@grafana/grafana-foundation-sdk/table";
import { described, instant, overrideAll, thresholds } from "./panels.ts";
import type { Override, PanelSpec, Steps, Unit } from "./panels.ts";
import { COLOURS } from "./colours.ts";

export interface Column {
  readonly name: string;
  readonly expr: string;
  readonly unit: Unit;
  /** The cell's background, from which value on. */
  readonly steps?: Steps;
  readonly mappings?: readonly ValueMapping[];
  readonly width?: number;
}

export interface TableSpec extends Omit<PanelSpec, "links"> {
  /** Labels in the order in which they are shown. Fields keep these names, so that links can use them. */
  readonly labels: readonly string[];
  readonly columns: readonly Column[];
  readonly sortBy: string;
  /** Where a click on a cell leads, by label. */
  readonly labelLinks?: Readonly<Record<string, DashboardLink>>;
  /** Texts in a label's cells with a colour. */
  readonly labelColours?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const REF_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

export function table(spec: TableSpec): Panel {
  const { labels, columns, sortBy, labelLinks = {}, labelColours = {} } = spec;
  // With one query Grafana calls its column "Value", with several "Value #A" and so on.
  const fieldOf = (index: number): string => (columns.length === 1 ? "Value" : `Value #${REF_IDS[index]}`);
  const builder = described(new PanelBuilder(), spec)
    .targets(
      columns.map(({ expr }, index) => instant({ expr, legend: "" }, index).format(PromQueryFormat.Table)),
    )
    .thresholds(thresholds(COLOURS.unknown, []))
    .withTransformation({ id: "merge", options: {} })
    .withTransformation({
      id: "organize",
      options: {
        excludeByName: { Time: true },
        indexByName: Object.fromEntries(
          [...labels, ...columns.map((_, index) => fieldOf(index))].map((field, index) => [field, index]),
        ),
        renameByName: Object.fromEntries(columns.map(({ name }, index) => [fieldOf(index), name])),
      },
    })
    .filterable(true)
    .sortBy([new TableSortByFieldStateBuilder().displayName(sortBy).desc(true)]);
  return overrideAll(builder, [
    ...columns.map(toOverride),
    ...labels.map((label) => labelOverride(label, labelLinks[label], labelColours[label])),
  ]).build();
}

function toOverride({ name, unit, steps, mappings, width }: Column): Override {
  // What stands for an empty table would stand in each empty cell as well.
  const properties: DynamicConfigValue[] = [
    { id: "unit", value: unit },
    { id: "noValue", value: "–" },
  ];
  if (steps !== undefined) {
    const all = [{ value: null, color: "transparent" }, ...steps.map(([value, color]) => ({ value, color }))];
    properties.push({ id: "thresholds", value: { mode: "absolute", steps: all } });
  }
  if (mappings !== undefined) properties.push({ id: "mappings", value: mappings });
  if (steps !== undefined || mappings !== undefined) properties.push(COLOURED_CELL);
  if (width !== undefined) properties.push({ id: "custom.width", value: width });
  return { series: name, properties };
}

const COLOURED_CELL: DynamicConfigValue = {
  id: "custom.cellOptions",
  value: {
    type: TableCellDisplayMode.ColorBackground,
    mode: TableCellBackgroundDisplayMode.Basic,
  },
};

function labelOverride(
  label: string,
  link: DashboardLink | undefined,
  colours: Readonly<Record<string, string>> | undefined,
): Override {
  const properties: DynamicConfigValue[] = [{ id: "unit", value: "string" }];
  if (link !== undefined) properties.push({ id: "links", value: [link] });
  if (colours !== undefined) {
    const options = Object.fromEntries(
      Object.entries(colours).map(([value, color], index) => [value, { text: value, color, index }]),
    );
    properties.push({ id: "mappings", value: [{ type: "value", options }] }, COLOURED_CELL);
  }
  return { series: label, properties };
}
