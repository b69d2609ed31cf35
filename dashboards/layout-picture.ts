// A picture of where a dashboard's panels stand, from their places on the grid: overlaps and holes are seen without a
// Grafana. Enters: a dashboard. Leaves: an SVG, readable in light and dark. Sketches show the kind of panel, not data.
import type { Dashboard, Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
import { GRID_COLUMNS } from "./panels.ts";

/** Pixels. */
const COLUMN = 46;
const UNIT = 20;
const GAP = 8;
const MARGIN = 16;
const HEADING = 46;
const TITLE_SIZE = 12;
/** A letter of that size is about as wide. */
const LETTER = 6.6;
const SMALL_LETTER = 5.7;

const STYLE = `
  text { font: ${TITLE_SIZE}px system-ui, sans-serif; fill: #1f2328 }
  .page { fill: #f3f4f6 } .panel { fill: #fff; stroke: #c9ced6 } .row { font-weight: 600 }
  .name { font-size: 17px; font-weight: 600 } .soft { fill: #57606a; font-size: 10.5px }
  .line { fill: none; stroke: #0072b2; stroke-width: 1.6 } .other { fill: none; stroke: #cc79a7; stroke-width: 1.6 }
  .limit { fill: none; stroke: #d55e00; stroke-width: 1.4; stroke-dasharray: 6 4 }
  .around { fill: #56b4e9; fill-opacity: .25 } .area { fill: #56b4e9; fill-opacity: .7 } .under { fill: #cc79a7; fill-opacity: .7 }
  .cell { fill: #d9dee5 } .mark { fill: #009e73; fill-opacity: .3 } .bar { fill: #56b4e9 } .bad { fill: #d55e00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e8eb } .page { fill: #111217 } .panel { fill: #1e2027; stroke: #3a3e48 } .soft { fill: #9da5b1 }
    .line { stroke: #56b4e9 } .cell { fill: #3a3e48 }
  }`;

export function layoutPicture(dashboard: Dashboard): string {
  const panels = dashboard.panels ?? [];
  const bottom = Math.max(...panels.map(({ gridPos }) => gridPos!.y + gridPos!.h));
  const width = GRID_COLUMNS * COLUMN + 2 * MARGIN;
  const height = bottom * UNIT + HEADING + MARGIN;
  const title = escape(dashboard.title ?? "");
  const description = escape(dashboard.description ?? "");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}: where its panels stand">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    `<text class="name" x="${MARGIN + GAP / 2}" y="28">${title}</text>`,
    `<text class="soft" x="${width - MARGIN - GAP / 2}" y="28" text-anchor="end">${description}</text>`,
    ...panels.map((panel) => (isRow(panel) ? drawRow(panel) : drawPanel(panel))),
    "</svg>\n",
  ].join("\n");
}

function isRow(panel: Panel | RowPanel): panel is RowPanel {
  return panel.type === "row";
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function boxOf({ gridPos }: Panel | RowPanel): Box {
  const { x, y, w, h } = gridPos!;
  return {
    x: MARGIN + x * COLUMN + GAP / 2,
    y: HEADING + y * UNIT + GAP / 2,
    width: w * COLUMN - GAP,
    height: h * UNIT - GAP,
  };
}

function drawRow(row: RowPanel): string {
  const { x, y } = boxOf(row);
  return `<text class="row" x="${x}" y="${y + 10}">${escape(row.title ?? "")}</text>`;
}

function drawPanel(panel: Panel): string {
  const { x, y, width, height } = boxOf(panel);
  const inner: Box = { x: x + 10, y: y + 26, width: width - 20, height: height - 34 };
  const title = cut(panel.title ?? "", Math.floor((width - 16) / LETTER));
  return [
    `<g><title>${escape(panel.description ?? "")}</title>`,
    `<rect class="panel" x="${x}" y="${y}" width="${width}" height="${height}" rx="4"/>`,
    `<text x="${x + 8}" y="${y + 17}">${escape(title)}</text>`,
    sketch(panel, inner),
    "</g>",
  ].join("");
}

function sketch(panel: Panel, box: Box): string {
  switch (panel.type) {
    case "timeseries":
      return graphSketch(panel, box);
    case "stat":
      return `<rect class="mark" x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="3"/>`;
    case "table":
      return tableSketch(panel, box);
    case "state-timeline":
      return timelineSketch(box);
    case "bargauge":
      return barsSketch(box);
    case "text":
      return textSketch(panel, box);
    default:
      throw new Error(`No sketch of a panel of type ${panel.type}`);
  }
}

/** Two series, in the form that the panel draws them in; a band, and a limit, where it has one. */
function graphSketch({ fieldConfig }: Panel, box: Box): string {
  const rising = [0.25, 0.3, 0.28, 0.42, 0.55, 0.52, 0.66, 0.7];
  const flat = [0.2, 0.24, 0.22, 0.28, 0.26, 0.31, 0.28, 0.3];
  const { defaults, overrides } = fieldConfig!;
  const custom = defaults.custom as {
    readonly drawStyle?: string;
    readonly stacking?: object;
    readonly thresholdsStyle?: object;
  };
  const drawn = JSON.stringify(overrides);
  const isLimited = custom.thresholdsStyle !== undefined || drawn.includes("custom.lineStyle");
  const limit = isLimited ? `<path class="limit" d="${pathOf([0.82, 0.82], box)}"/>` : "";
  if (custom.drawStyle === "bars") return columnsSketch(box);
  if (custom.stacking !== undefined)
    return `<path class="area" d="${areaOf(rising, flat, box)}"/><path class="under" d="${areaOf(
      flat,
      flat.map(() => 0),
      box,
    )}"/>`;
  const [above, below] = [0.12, -0.12].map((by) => rising.map((at) => at + by));
  const around = drawn.includes("fillBelowTo")
    ? `<path class="around" d="${areaOf(above!, below!, box)}"/>`
    : "";
  return `${around}<path class="line" d="${pathOf(rising, box)}"/><path class="other" d="${pathOf(flat, box)}"/>${limit}`;
}

function pointsOf(heights: readonly number[], { x, y, width, height }: Box): string[] {
  return heights.map((ratio, index) => {
    const at = x + (width * index) / (heights.length - 1);
    return `${at.toFixed(1)} ${(y + height * (1 - ratio)).toFixed(1)}`;
  });
}

function pathOf(heights: readonly number[], box: Box): string {
  return `M${pointsOf(heights, box).join("L")}`;
}

function areaOf(upper: readonly number[], lower: readonly number[], box: Box): string {
  return `M${[...pointsOf(upper, box), ...pointsOf(lower, box).toReversed()].join("L")}Z`;
}

function columnsSketch({ x, y, width, height }: Box): string {
  const ratios = [0, 0.3, 0, 0, 0.6, 0.2, 0, 0.4];
  const each = width / ratios.length;
  return ratios
    .map((ratio, index) => {
      const high = height * ratio;
      return `<rect class="bar" x="${(x + index * each).toFixed(1)}" y="${(y + height - high).toFixed(1)}" width="${(each * 0.6).toFixed(1)}" height="${high.toFixed(1)}"/>`;
    })
    .join("");
}

function tableSketch(panel: Panel, { x, y, width, height }: Box): string {
  const organize = panel.transformations?.find(({ id }) => id === "organize");
  const { indexByName, renameByName } = organize!.options as {
    readonly indexByName: Readonly<Record<string, number>>;
    readonly renameByName: Readonly<Record<string, string>>;
  };
  const columns = Object.keys(indexByName).map((field) => renameByName[field] ?? field);
  const each = width / columns.length;
  const heads = columns.map((name, index) => {
    const shown = cut(name, Math.floor((each - 4) / SMALL_LETTER));
    return `<text class="soft" x="${(x + index * each).toFixed(1)}" y="${y + 10}">${escape(shown)}</text>`;
  });
  const lines = Array.from({ length: Math.floor((height - 18) / 18) }, (_, line) =>
    columns.map(
      (_name, index) =>
        `<rect class="cell" x="${(x + index * each).toFixed(1)}" y="${y + 18 + line * 18}" width="${(each * (index === 0 ? 0.7 : 0.5)).toFixed(1)}" height="7" rx="2"/>`,
    ),
  );
  return [...heads, ...lines.flat()].join("");
}

function timelineSketch({ x, y, width, height }: Box): string {
  return [0.55, 0.8]
    .map((change, index) => {
      const top = y + index * (height / 2);
      const thick = height / 2 - 8;
      const until = width * change;
      return (
        `<rect class="bar" x="${x}" y="${top}" width="${until.toFixed(1)}" height="${thick}"/>` +
        `<rect class="bad" x="${(x + until).toFixed(1)}" y="${top}" width="${(width - until).toFixed(1)}" height="${thick}"/>`
      );
    })
    .join("");
}

function barsSketch({ x, y, width, height }: Box): string {
  const ratios = [0.2, 0.7, 0.95, 0.35, 0.1];
  const each = height / ratios.length;
  return ratios
    .map(
      (ratio, index) =>
        `<rect class="bar" x="${x}" y="${(y + index * each).toFixed(1)}" width="${(width * ratio).toFixed(1)}" height="${(each - 5).toFixed(1)}" rx="2"/>`,
    )
    .join("");
}

/** The first words of each paragraph, as they stand there. */
function textSketch(panel: Panel, { x, y, width, height }: Box): string {
  const { content } = panel.options as { readonly content: string };
  return content
    .split("\n")
    .filter((line) => line !== "")
    .slice(0, Math.floor((height + 6) / 16))
    .map((line, index) => {
      const plain = line
        .replace(/^- /, "• ")
        .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
        .replace(/[*`]/g, "");
      const shown = cut(plain, Math.floor(width / SMALL_LETTER));
      return `<text class="soft" x="${x}" y="${y + 10 + index * 16}">${escape(shown)}</text>`;
    })
    .join("");
}

function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, Math.max(1, chars - 1)).trimEnd()}…`;
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
