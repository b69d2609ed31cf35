// Rules for PromQL in alerts, recording rules and runbooks, with what each must catch and let through. Enters: an expression.
// Leaves: what is wrong with it, each in a few words. Pure.
import { parser } from "@prometheus-io/lezer-promql";
import { METRICS } from "../../ingest/contract/metric-names.ts";

/** Series of Prometheus itself, and of any process, that may be used. */
const OF_OTHERS = new Set(["up", "ALERTS", "process_start_time_seconds"]);
/** Labels that a scrape adds. */
const OF_SCRAPE = ["job", "instance"];
/** A range needs four samples to get over a failed scrape; the scrape interval is 15 s. */
export const RANGE_SECONDS_LEAST = 4 * 15;
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const COUNTER_FUNCTIONS = ["rate", "irate", "increase"];

interface Node {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly parent: Node | null;
  getChild(name: string): Node | null;
}

export function faultsOfPromql(expr: string, recorded: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  const textOf = ({ from, to }: Node): string => expr.slice(from, to);
  parser.parse(expr).iterate({
    enter: ({ node }) => {
      const one = node as unknown as Node;
      if (node.type.isError) faults.push(`does not parse at ${one.from}`);
      if (one.name === "VectorSelector") faults.push(...faultsOfSelector(one, textOf, recorded));
      if (one.name === "AggregateExpr") faults.push(...faultsOfAverage(one, textOf));
      if (one.name === "MatrixSelector" || one.name === "SubqueryExpr")
        faults.push(...faultsOfRange(textOf(one)));
    },
  });
  return faults;
}

function faultsOfSelector(
  node: Node,
  textOf: (node: Node) => string,
  recorded: ReadonlySet<string>,
): string[] {
  const [name = "", matchers = ""] = textOf(node).split(/(?=\{)/);
  const called = functionAround(node, textOf);
  if (recorded.has(name) || OF_OTHERS.has(name)) {
    return called !== undefined && COUNTER_FUNCTIONS.includes(called) ? [`${called} of ${name}`] : [];
  }
  const base = name.replace(/_(?:bucket|count|sum)$/, "");
  const known = METRICS as Readonly<Record<string, { type: string; labels: readonly string[] }>>;
  const described = known[name] ?? (known[base]?.type === "histogram" ? known[base] : undefined);
  if (described === undefined) return [`there is no metric ${name}`];
  const faults: string[] = [];
  const labels = new Set([...described.labels, ...OF_SCRAPE, ...(name.endsWith("_bucket") ? ["le"] : [])]);
  for (const [, label] of matchers.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g))
    if (!labels.has(label!)) faults.push(`${name} has no label ${label!}`);
  const isCounter = described.type !== "gauge";
  if (!isCounter && called !== undefined && COUNTER_FUNCTIONS.includes(called))
    faults.push(`${called} of the gauge ${name}`);
  return faults;
}

function functionAround(node: Node, textOf: (node: Node) => string): string | undefined {
  const matrix = node.parent;
  if (matrix?.name !== "MatrixSelector") return undefined;
  const call = matrix.parent?.parent;
  const identifier = call?.getChild("FunctionIdentifier");
  return identifier === null || identifier === undefined ? undefined : textOf(identifier);
}

/** The average of ratios is not the ratio: a quiet instance would count as much as a busy one. */
function faultsOfAverage(node: Node, textOf: (node: Node) => string): string[] {
  const text = textOf(node);
  return text.startsWith("avg") && (text.includes("/") || text.includes("ratio"))
    ? ["an average of ratios"]
    : [];
}

function faultsOfRange(text: string): string[] {
  const range = /\[(\d+)([smhdw])(?::[^\]]*)?\]/.exec(text);
  if (range === null) return ["a range that is not one number and one unit"];
  const seconds = Number(range[1]) * UNIT_SECONDS[range[2]!]!;
  return seconds < RANGE_SECONDS_LEAST ? [`a range of ${range[1]!}${range[2]!}`] : [];
}
