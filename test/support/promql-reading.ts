// What an expression of PromQL is made of, as far as conventions speak of it: each selector with its labels, what function
// and range it stands in, and what aggregates it. Enters: PromQL that Prometheus would take. Leaves: values. Throws
// nothing: an expression that does not parse has `errorAt`.
import { parser } from "@prometheus-io/lezer-promql";
import type { SyntaxNode } from "@lezer/common";

export interface ReadSelector {
  readonly metric: string;
  /** Labels that its matchers name. */
  readonly labels: readonly string[];
  /** The functions around it, innermost first: `["rate", "histogram_quantile"]`. */
  readonly functions: readonly string[];
  /** `5m`; empty where it is no range. */
  readonly range: string;
  /** The innermost aggregation around it: `max`; empty without one. */
  readonly aggregation: string;
}

export interface ReadGrouping {
  readonly clause: "by" | "without" | "on" | "ignoring" | "group";
  readonly labels: readonly string[];
  /** Metrics that are grouped: for `by`, those that no other aggregation stands in front of; else all of them. */
  readonly metrics: readonly string[];
}

export interface ReadExpression {
  /** Where the text stops being PromQL. */
  readonly errorAt: number | null;
  readonly selectors: readonly ReadSelector[];
  readonly groupings: readonly ReadGrouping[];
}

export function readPromql(text: string): ReadExpression {
  let errorAt: number | null = null;
  const selectors: ReadSelector[] = [];
  const groupings: ReadGrouping[] = [];
  const tree = parser.parse(text);
  tree.iterate({
    enter({ type, node, from }) {
      if (type.isError) errorAt ??= from;
      if (node.name === "VectorSelector") selectors.push(readSelector(node, text));
      const grouping = readGrouping(node, text);
      if (grouping !== null) groupings.push(grouping);
    },
  });
  return { errorAt, selectors, groupings };
}

function readSelector(node: SyntaxNode, text: string): ReadSelector {
  const functions: string[] = [];
  let range = "";
  let aggregation = "";
  for (let outer = node.parent; outer !== null; outer = outer.parent) {
    if (outer.name === "MatrixSelector" && range === "")
      range = /\[([^\]]*)\]$/.exec(textOf(outer, text))?.[1] ?? "";
    if (outer.name === "FunctionCall") functions.push(textOf(outer.firstChild!, text));
    if (outer.name === "AggregateExpr" && aggregation === "") aggregation = textOf(outer.firstChild!, text);
  }
  return {
    metric: metricOf(node, text),
    labels: labelsIn(node, text),
    functions,
    range,
    aggregation,
  };
}

function readGrouping(node: SyntaxNode, text: string): ReadGrouping | null {
  if (node.name !== "GroupingLabels") return null;
  const clause = clauseOf(node.prevSibling?.name ?? "");
  const whole = node.parent!.parent!;
  return {
    clause,
    labels: labelsIn(node, text),
    metrics: selectorsUnder(clause === "by" || clause === "without" ? whole : topOf(node), {
      through: clause === "by" || clause === "without" ? "nearest" : "all",
    }).map((each) => metricOf(each, text)),
  };
}

function clauseOf(name: string): ReadGrouping["clause"] {
  switch (name) {
    case "By":
      return "by";
    case "Without":
      return "without";
    case "On":
      return "on";
    case "Ignoring":
      return "ignoring";
    default:
      return "group";
  }
}

function topOf(node: SyntaxNode): SyntaxNode {
  let top = node;
  while (top.parent !== null) top = top.parent;
  return top;
}

/** `nearest`: not those inside of a further aggregation, whose labels its own clause decides. */
function selectorsUnder(
  node: SyntaxNode,
  { through }: { readonly through: "nearest" | "all" },
): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name === "VectorSelector") found.push(child);
    else if (child.name !== "AggregateExpr" || through === "all")
      found.push(...selectorsUnder(child, { through }));
  }
  return found;
}

function metricOf(selector: SyntaxNode, text: string): string {
  const name = selector.getChild("Identifier");
  return name === null ? "" : textOf(name, text);
}

function labelsIn(node: SyntaxNode, text: string): string[] {
  const labels: string[] = [];
  node.cursor().iterate((each) => {
    if (each.name === "LabelName") labels.push(text.slice(each.from, each.to));
  });
  return labels;
}

function textOf({ from, to }: SyntaxNode, text: string): string {
  return text.slice(from, to);
}
