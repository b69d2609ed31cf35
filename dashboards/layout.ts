// Where panels stand. Enters: rows of panels of one height, whose widths fill the grid. Leaves: the dashboard, with a place
// and a number for each panel. It throws where a row is not full: a hole is a mistake of whoever wrote the dashboard.
import {
  DashboardBuilder,
  DashboardCursorSync,
  RowBuilder,
  TimePickerBuilder,
} from "@grafana/grafana-foundation-sdk/dashboard";
import type {
  AnnotationQuery,
  Dashboard,
  Panel,
  RowPanel,
  VariableModel,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DASHBOARDS, TAG, buttonsOf } from "./links.ts";
import type { DashboardName } from "./links.ts";
import { GRID_COLUMNS } from "./panels.ts";

/** Panels beside each other, all as high as the line. */
export interface Line {
  readonly height: number;
  readonly panels: readonly Panel[];
}

/** What belongs together under one heading: state, symptom, cause, resources. */
export interface Section {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface DashboardSpec {
  readonly name: DashboardName;
  readonly description: string;
  readonly variables: readonly VariableModel[];
  readonly annotations: readonly AnnotationQuery[];
  readonly sections: readonly Section[];
  /** How far back one looks at first: `now-6h`. */
  readonly from: string;
}

const REFRESH = "30s";

export function arrange({
  name,
  description,
  variables,
  annotations,
  sections,
  from,
}: DashboardSpec): Dashboard {
  const { uid, title } = DASHBOARDS[name];
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from, to: "now" })
    .timepicker(new TimePickerBuilder().refreshIntervals(["15s", "30s", "1m", "5m", "30m"]))
    .refresh(REFRESH)
    .variables(variables.map(built))
    .annotations(annotations.map(shown).map(built))
    .links(buttonsOf(name).map(built));
  return { ...builder.build(), panels: place(sections) };
}

/** The SDK's builders take builders; what is built already is its own. */
function built<T>(value: T): { build(): T } {
  return { build: () => value };
}

/** The SDK puts the switch of an annotation into a menu; it belongs above the dashboard. */
function shown(annotation: AnnotationQuery): AnnotationQuery {
  const above = { ...annotation };
  delete above.placement;
  return above;
}

export function place(sections: readonly Section[]): (Panel | RowPanel)[] {
  const placed: (Panel | RowPanel)[] = [];
  let y = 0;
  for (const { title, lines } of sections) {
    const row = new RowBuilder(title).gridPos({ x: 0, y, w: GRID_COLUMNS, h: 1 }).id(placed.length + 1);
    placed.push(row.build());
    y += 1;
    for (const { height, panels } of lines) {
      let x = 0;
      for (const panel of panels) {
        const width = panel.gridPos?.w ?? 0;
        placed.push({ ...panel, id: placed.length + 1, gridPos: { x, y, w: width, h: height } });
        x += width;
      }
      if (x !== GRID_COLUMNS)
        throw new Error(
          `A line of "${title}" is ${x} columns wide, not ${GRID_COLUMNS}: ${panels.map((panel) => panel.title).join(", ")}`,
        );
      y += height;
    }
  }
  return placed;
}
