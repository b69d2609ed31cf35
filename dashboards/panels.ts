// The few shapes of panel there are, so that all dashboards look and read alike: graph, number, table, timeline, bars,
// text. Enters: the question a panel answers, what it asks, in which unit, and how wide it is. Leaves: the SDK's panels,
// without a place: layout.ts puts them there.
import { PanelBuilder as BarGaugeBuilder } from "@grafana/grafana-foundation-sdk/bargauge";
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import {
  FieldColorBuilder,
  FieldColorModeId,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from "@grafana/grafana-foundation-sdk/dashboard";
import type {
  DashboardLink,
  DynamicConfigValue,
  Panel,
  Threshold,
  ValueMapping,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimelineBuilder } from "@grafana/grafana-foundation-sdk/statetimeline";
import { PanelBuilder as TextBuilder, TextMode } from "@grafana/grafana-foundation-sdk/text";
import { PanelBuilder as GraphBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { COLOURS } from "./colours.ts";
import { DATA_SOURCE } from "./variables.ts";

/** Units as Grafana names them. Ratios are 0 to 1, and are shown as percent. */
export const UNITS = {
  count: "short",
  ratio: "percentunit",
  seconds: "s",
  /** 3 h 4 min */
  age: "dtdurations",
  bytes: "bytes",
  perSecond: "cps",
  requestsPerSecond: "reqps",
  time: "dateTimeAsIso",
  times: "suffix:times",
  log10: "suffix:log10",
  verdict: "none",
  text: "string",
} as const;
export type Unit = (typeof UNITS)[keyof typeof UNITS];

/** Columns of the grid. */
export const GRID_COLUMNS = 24;

export interface PanelSpec {
  readonly title: string;
  /** What the panel answers, and what good looks like; shown when somebody points at its title. */
  readonly question: string;
  readonly width: number;
  readonly unit: Unit;
  /** What stands there when there is nothing: an answer, not an error. */
  readonly noData: string;
  readonly links?: readonly DashboardLink[];
}

export interface Query {
  readonly expr: string;
  readonly legend: string;
}

export type Steps = readonly (readonly [number, string])[];

export interface GraphSpec extends PanelSpec {
  readonly queries: readonly Query[];
  /** Colour by the series' name. */
  readonly colours?: Readonly<Record<string, string>>;
  readonly overrides?: readonly Override[];
  /** A dashed line at a value, in a colour. */
  readonly limit?: readonly [number, string];
  readonly form?: "lines" | "stacked" | "bars" | "steps";
  /** Where the axis begins; `free` for numbers below 0. */
  readonly floor?: "zero" | "free";
}

export interface Override {
  /** Name of a series, or a regular expression between slashes. */
  readonly series: string;
  readonly properties: readonly DynamicConfigValue[];
}

export function graph(spec: GraphSpec): Panel {
  const { queries, colours = {}, overrides = [], limit, form = "lines", floor = "zero" } = spec;
  const builder = described(new GraphBuilder(), spec)
    .targets(queries.map(ranged))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName))
    .lineWidth(form === "bars" ? 0 : 2)
    .fillOpacity(form === "lines" || form === "steps" ? 0 : 60)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .calcs(["lastNotNull", "max"])
        // What there is comes first; results that never occurred stand at the end.
        .sortBy("Max")
        .sortDesc(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  if (floor === "zero") builder.min(0);
  if (form === "steps") builder.lineInterpolation(LineInterpolation.StepAfter);
  if (form === "stacked" || form === "bars")
    builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group("all"));
  // Of whole things: what Prometheus reckons between two scrapes is a little more or less than one.
  if (form === "bars") builder.drawStyle(GraphDrawStyle.Bars).decimals(0);
  if (limit !== undefined) {
    builder.thresholds(thresholds("transparent", [limit]));
    builder.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
  }
  return overrideAll(builder, [...colourOverrides(colours), ...overrides]).build();
}

/** A band between two series of a graph, which are no lines of their own. */
export function band(low: string, high: string, colour: string): Override[] {
  const line: DynamicConfigValue[] = [fixed(colour), { id: "custom.lineWidth", value: 0 }];
  return [
    { series: low, properties: line },
    {
      series: high,
      properties: [
        ...line,
        { id: "custom.fillBelowTo", value: low },
        { id: "custom.fillOpacity", value: 25 },
      ],
    },
  ];
}

/** A line that others are held against. */
export function dashed(series: string, colour: string): Override {
  return {
    series,
    properties: [fixed(colour), { id: "custom.lineStyle", value: { fill: "dash", dash: [10, 6] } }],
  };
}

export function coloured(series: string, colour: string): Override {
  return { series, properties: [fixed(colour)] };
}

export interface NumberSpec extends PanelSpec {
  readonly expr: string;
  readonly legend?: string;
  /** From which value on it has another colour; green below the first, unless told otherwise. */
  readonly steps?: Steps;
  readonly base?: string;
  readonly mappings?: readonly ValueMapping[];
  readonly decimals?: number;
}

export function number(spec: NumberSpec): Panel {
  const { expr, legend = "", steps = [], base = COLOURS.good, mappings = [], decimals } = spec;
  const builder = described(new StatBuilder(), spec)
    .targets([instant({ expr, legend }, 0)])
    .thresholds(thresholds(base, steps))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .mappings([...mappings])
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Background)
    .reduceOptions(lastValue());
  if (decimals !== undefined) builder.decimals(decimals);
  return builder.build();
}

export interface TimelineSpec extends PanelSpec {
  readonly queries: readonly Query[];
  readonly mappings: readonly ValueMapping[];
}

export function timeline(spec: TimelineSpec): Panel {
  return described(new TimelineBuilder(), spec)
    .targets(spec.queries.map(ranged))
    .mappings([...spec.mappings])
    .thresholds(thresholds(COLOURS.unknown, []))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .fillOpacity(85)
    .showValue(VisibilityMode.Auto)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs([]),
    )
    .build();
}

export interface BarsSpec extends PanelSpec {
  readonly query: Query;
  /** `heatmap`: the query's cumulative buckets become one bar each. */
  readonly format: "series" | "heatmap";
  readonly colour: string;
}

export function bars(spec: BarsSpec): Panel {
  const query = instant(spec.query, 0);
  if (spec.format === "heatmap") query.format(PromQueryFormat.Heatmap);
  return described(new BarGaugeBuilder(), spec)
    .targets([query])
    .min(0)
    .thresholds(thresholds(spec.colour, []))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(spec.colour))
    .displayMode(BarGaugeDisplayMode.Basic)
    .orientation(VizOrientation.Horizontal)
    .reduceOptions(lastValue())
    .build();
}

/** Its question is its title; links in it lead on. */
export function text({
  title,
  question,
  width,
  markdown,
}: Pick<PanelSpec, "title" | "question" | "width"> & { readonly markdown: string }): Panel {
  return new TextBuilder()
    .title(title)
    .description(question)
    .span(width)
    .mode(TextMode.Markdown)
    .content(markdown.trim())
    .build();
}

/** What every kind of panel's builder can do. */
interface AnyBuilder extends Builder<Panel> {
  title(title: string): this;
  description(description: string): this;
  datasource(ref: typeof DATA_SOURCE): this;
  span(width: number): this;
  unit(unit: string): this;
  noValue(text: string): this;
  thresholds(steps: ReturnType<typeof thresholds>): this;
  dataLinks(links: Builder<DashboardLink>[]): this;
  withOverride(override: {
    matcher: { id: string; options: string };
    properties: DynamicConfigValue[];
  }): this;
}

export function described<B extends AnyBuilder>(builder: B, spec: PanelSpec): B {
  const { title, question, width, unit, noData, links = [] } = spec;
  builder.title(title).description(question).datasource(DATA_SOURCE).span(width).unit(unit).noValue(noData);
  if (links.length > 0) builder.dataLinks(links.map((link) => ({ build: () => link })));
  return builder;
}

export function overrideAll<B extends AnyBuilder>(builder: B, overrides: readonly Override[]): B {
  for (const { series, properties } of overrides)
    builder.withOverride({
      matcher: { id: series.startsWith("/") ? "byRegexp" : "byName", options: series },
      properties: [...properties],
    });
  return builder;
}

function colourOverrides(colours: Readonly<Record<string, string>>): Override[] {
  return Object.entries(colours).map(([series, colour]) => coloured(series, colour));
}

export function fixed(colour: string): DynamicConfigValue {
  return { id: "color", value: { mode: FieldColorModeId.Fixed, fixedColor: colour } };
}

export function thresholds(base: string, steps: Steps): ThresholdsConfigBuilder {
  const all: Threshold[] = [
    { value: null, color: base },
    ...steps.map(([value, color]) => ({ value, color })),
  ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(all);
}

function lastValue(): ReduceDataOptionsBuilder {
  return new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false);
}

const REF_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

function query({ expr, legend }: Query, index: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(REF_IDS[index]!)
    .datasource(DATA_SOURCE)
    .expr(expr)
    .legendFormat(legend);
}

function ranged(asked: Query, index: number): Builder<Dataquery> {
  return query(asked, index).range();
}

export function instant(asked: Query, index: number): DataqueryBuilder {
  return query(asked, index).instant();
}
