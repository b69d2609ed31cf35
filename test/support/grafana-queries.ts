// What Grafana would ask Prometheus for a dashboard: every query of its panels, variables and annotations, with
// variables and macros filled in as Grafana's Prometheus data source does it, so that a test can ask the same without
// Grafana. Enters: a dashboard's JSON. Leaves: expressions that Prometheus takes as they are.

/** How Grafana asks: at one time, over the dashboard's range in steps, or for the values of a label. */
export type GrafanaQuery =
  | { readonly where: string; readonly expr: string; readonly kind: "instant" | "range" }
  /** `expr` is the selector: `GET /api/v1/label/<label>/values?match[]=<expr>`. */
  | {
      readonly where: string;
      readonly expr: string;
      readonly kind: "label_values";
      readonly label: string;
    };

/** Filled in for `$__rate_interval` where the caller names no scrape interval: `timeInterval` in datasources.yml. */
export const SCRAPE_INTERVAL_SECONDS = 15;

/**
 * What is chosen in a variable: a text where one can be chosen, a list where several can (Grafana escapes these for use in a
 * regular expression, even a single one), or `raw` for what "All" stands for (`allValue`), which Grafana leaves as it is.
 */
export type VariableValue = string | readonly string[] | { readonly raw: string };

export interface QueryTimes {
  /** Seconds between two points of the graph. */
  readonly intervalSeconds: number;
  /** Seconds from the left of the dashboard to its right. */
  readonly rangeSeconds: number;
  readonly scrapeIntervalSeconds?: number;
}

/** As much of the dashboard's JSON as has queries in it. */
export interface DashboardQueries {
  readonly panels?: readonly PanelQueries[];
  readonly templating?: {
    readonly list?: readonly { readonly type: string; readonly name: string; readonly query?: unknown }[];
  };
  readonly annotations?: {
    readonly list?: readonly {
      readonly name: string;
      readonly expr?: string;
      readonly target?: { readonly expr?: string };
    }[];
  };
}

interface PanelQueries {
  readonly title?: string;
  readonly targets?: readonly {
    readonly refId?: string;
    readonly expr?: string;
    readonly instant?: boolean;
    readonly range?: boolean;
  }[];
  /** Those of a folded row. */
  readonly panels?: readonly PanelQueries[];
}

/** All of them, in the order of the JSON; `where` says which panel, variable or annotation. */
export function queriesOf(dashboard: DashboardQueries): GrafanaQuery[] {
  const variables = (dashboard.templating?.list ?? []).filter(({ type }) => type === "query");
  return [
    ...variables.map(({ name, query }) => readVariable(name, query)),
    ...(dashboard.annotations?.list ?? []).flatMap(({ name, expr, target }) => {
      const asked = expr ?? target?.expr;
      return asked === undefined
        ? []
        : [{ where: `annotation ${name}`, expr: asked, kind: "range" as const }];
    }),
    ...(dashboard.panels ?? []).flatMap(readPanel),
  ];
}

function readPanel({ title = "", targets = [], panels = [] }: PanelQueries): GrafanaQuery[] {
  const own = targets.flatMap(({ refId = "", expr, instant, range }): GrafanaQuery[] => {
    if (expr === undefined) return [];
    const where = `panel ${title}, ${refId}`;
    const asked: ("instant" | "range")[] = instant === true ? ["instant"] : ["range"];
    if (instant === true && range === true) asked.push("range");
    return asked.map((kind) => ({ where, expr, kind }));
  });
  return [...own, ...panels.flatMap(readPanel)];
}

/** `label_values(selector, label)`, the one kind of variable query that our dashboards have. */
function readVariable(name: string, query: unknown): GrafanaQuery {
  const text = typeof query === "object" && query !== null && "query" in query ? query.query : query;
  const found = typeof text === "string" ? /^label_values\((.+),\s*(\w+)\)$/.exec(text) : null;
  if (found === null)
    throw new Error(`Variable ${name} does not ask for label_values(selector, label): ${String(text)}`);
  return { where: `variable ${name}`, expr: found[1]!, kind: "label_values", label: found[2]! };
}

const VARIABLE = /\$\{(\w+)(?::(\w+))?\}|\$(\w+)/g;

/** Throws for a variable without a value and for a format that is not known here: neither may pass unseen in a test. */
export function fillIn(
  expr: string,
  variables: Readonly<Record<string, VariableValue>>,
  times: QueryTimes,
): string {
  const values = { ...variables, ...macros(times) };
  return expr.replace(
    VARIABLE,
    (_, braced: string | undefined, format: string | undefined, bare: string | undefined) => {
      const name = braced ?? bare!;
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      if (value === undefined) throw new Error(`No value for $${name} in ${expr}`);
      return formatValue(value, format);
    },
  );
}

function macros({
  intervalSeconds,
  rangeSeconds,
  scrapeIntervalSeconds = SCRAPE_INTERVAL_SECONDS,
}: QueryTimes): Readonly<Record<string, VariableValue>> {
  const rateSeconds = Math.max(intervalSeconds + scrapeIntervalSeconds, 4 * scrapeIntervalSeconds);
  const raw = Object.entries({
    __rate_interval: `${rateSeconds}s`,
    __interval: `${intervalSeconds}s`,
    __interval_ms: String(intervalSeconds * 1000),
    __range: `${rangeSeconds}s`,
    __range_s: String(rangeSeconds),
    __range_ms: String(rangeSeconds * 1000),
  }).map(([name, text]) => [name, { raw: text }] as const);
  return Object.fromEntries(raw);
}

function formatValue(value: VariableValue, format: string | undefined): string {
  if (typeof value === "object" && "raw" in value) return value.raw;
  const list = typeof value === "string" ? [value] : value;
  switch (format) {
    case undefined:
      return typeof value === "string" ? escapeText(value) : alternatives(list.map(escapeInQuotes));
    case "regex":
      return alternatives(list.map(escapeRegex));
    case "pipe":
      return list.join("|");
    case "csv":
    case "raw":
      return list.join(",");
    default:
      throw new Error(`Format "${format}" of a variable is not known to test/support/grafana-queries.ts`);
  }
}

function alternatives(values: readonly string[]): string {
  return values.length === 1 ? values[0]! : `(${values.join("|")})`;
}

/** Where one value can be chosen, Grafana cares for the quotes around it and not for a regular expression. */
function escapeText(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("'", "\\\\'");
}

/** Where several can: for a regular expression inside of a quoted string, so each backslash is there twice. */
function escapeInQuotes(value: string): string {
  return value.replaceAll("\\", "\\\\\\\\").replace(/[$^*{}[\]+?.()|]/g, "\\\\$&");
}

/** `${name:regex}` knows of no quotes. */
function escapeRegex(value: string): string {
  return value.replace(/[\\^$*+?.()|[\]{}/]/g, "\\$&");
}
