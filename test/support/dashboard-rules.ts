// The conventions of dashboards as rules, each with why it is there and with spoiled dashboards that it must catch: a rule
// that cannot fail is none. What an expression may be is in dashboard-query-rules.ts. Enters: a dashboard's JSON. Leaves:
// what is wrong with it, in words.
import { ThresholdsMode, VariableRefresh, VariableType } from "@grafana/grafana-foundation-sdk/dashboard";
import type {
  Dashboard,
  DashboardLink,
  Panel,
  RowPanel,
  VariableModel,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { COLOURS } from "../../dashboards/colours.ts";
import { DASHBOARDS, TAG } from "../../dashboards/links.ts";
import { GRID_COLUMNS } from "../../dashboards/panels.ts";

export interface DashboardRule {
  readonly name: string;
  readonly reason: string;
  readonly find: (dashboard: Dashboard) => readonly string[];
  /** Each changes a good dashboard so that this rule, at least, must speak. */
  readonly spoilt: readonly (readonly [what: string, spoil: (dashboard: Dashboard) => void])[];
}

export interface AskedTarget {
  readonly refId?: string;
  readonly expr: string;
  readonly legendFormat?: string;
  readonly instant?: boolean;
  readonly format?: string;
  readonly datasource?: { readonly uid?: string };
}

export function panelsOf({ panels = [] }: Dashboard): Panel[] {
  return panels.filter((panel): panel is Panel => panel.type !== "row");
}

export function targetsOf({ targets = [] }: Panel): AskedTarget[] {
  return targets as unknown as AskedTarget[];
}

export function variablesOf({ templating }: Dashboard): readonly VariableModel[] {
  return templating.list ?? [];
}

/** The graph, in the sample of a good dashboard. */
export function graphOf(dashboard: Dashboard): Panel {
  return panelsOf(dashboard).find(({ type }) => type === "timeseries")!;
}

const DATA_SOURCE = "${datasource}";
/** Panels that ask nothing. */
const ASKS_NOTHING = ["text"];

export const DASHBOARD_RULES: readonly DashboardRule[] = [
  {
    name: "identity-is-stable",
    reason: "bookmarks and alerts name the uid, and an id of one Grafana means another dashboard in the next",
    find: ({ uid, id, editable, tags, schemaVersion, title }) => [
      ...(Object.values(DASHBOARDS).some((known) => known.uid === uid && known.title === title)
        ? []
        : [`${uid} "${title}" is not in the catalogue of links.ts`]),
      ...(id === undefined ? [] : [`has the id ${id}`]),
      ...(editable === false ? [] : ["can be edited, and what is edited is lost"]),
      ...(tags?.includes(TAG) === true ? [] : [`lacks the tag ${TAG}`]),
      ...(schemaVersion >= 36 ? [] : [`has the schema of another time: ${schemaVersion}`]),
    ],
    spoilt: [
      ["another uid", (dashboard) => void (dashboard.uid = "other")],
      ["an id", (dashboard) => void (dashboard.id = 7)],
      ["may be edited", (dashboard) => void (dashboard.editable = true)],
      ["no tag", (dashboard) => void (dashboard.tags = [])],
      ["an old schema", (dashboard) => void (dashboard.schemaVersion = 16)],
    ],
  },
  {
    name: "one-data-source-is-chosen-above",
    reason: "whoever has two Prometheus servers chooses one, and every panel has to follow",
    find: (dashboard) => {
      const variables = variablesOf(dashboard);
      const isOther = (ref: { readonly uid?: string } | undefined): boolean => ref?.uid !== DATA_SOURCE;
      return [
        ...(variables.some(
          ({ type, name, query }) =>
            type === VariableType.Datasource && name === "datasource" && query === "prometheus",
        )
          ? []
          : ["has no variable datasource of type prometheus"]),
        ...variables
          .filter(({ type, datasource }) => type === VariableType.Query && isOther(datasource))
          .map(({ name }) => `variable ${name} asks another data source`),
        ...panelsOf(dashboard)
          .filter(({ type }) => !ASKS_NOTHING.includes(type))
          .flatMap((panel) => [
            ...(isOther(panel.datasource) ? [`panel ${panel.title} has another data source`] : []),
            ...targetsOf(panel)
              .filter(({ datasource }) => isOther(datasource))
              .map(({ refId }) => `query ${refId} of ${panel.title} asks another data source`),
          ]),
        ...(dashboard.annotations.list ?? [])
          .filter(({ datasource }) => isOther(datasource))
          .map(({ name }) => `annotation ${name} asks another data source`),
      ];
    },
    spoilt: [
      ["no variable", (dashboard) => void dashboard.templating.list!.shift()],
      ["a fixed data source of a panel", (dashboard) => void (graphOf(dashboard).datasource = { uid: "x" })],
      [
        "one of a query",
        (dashboard) => void Object.assign(graphOf(dashboard).targets![0]!, { datasource: { uid: "x" } }),
      ],
      ["one of a variable", (dashboard) => void (dashboard.templating.list![1]!.datasource = { uid: "x" })],
      [
        "one of an annotation",
        (dashboard) => void (dashboard.annotations.list![0]!.datasource = { uid: "x" }),
      ],
    ],
  },
  {
    name: "panels-say-what-they-answer",
    reason:
      "no panel without a question: whoever is woken must learn from it what good looks like, and in which unit",
    find: (dashboard) =>
      panelsOf(dashboard).flatMap(({ title = "", description = "", type, fieldConfig }) => [
        ...(title === "" ? ["a panel has no title"] : []),
        ...(description.includes("?") || /\bGood is\b/.test(description)
          ? []
          : [`${title} does not ask a question: "${description}"`]),
        ...(ASKS_NOTHING.includes(type) || (fieldConfig?.defaults.unit ?? "") !== ""
          ? []
          : [`${title} has no unit`]),
        ...(ASKS_NOTHING.includes(type) || (fieldConfig?.defaults.noValue ?? "") !== ""
          ? []
          : [`${title} does not say what it means that there is nothing`]),
      ]),
    spoilt: [
      ["no title", (dashboard) => void (graphOf(dashboard).title = "")],
      ["no question", (dashboard) => void (graphOf(dashboard).description = "Requests per second.")],
      ["no unit", (dashboard) => void delete graphOf(dashboard).fieldConfig!.defaults.unit],
      ["nothing for no data", (dashboard) => void delete graphOf(dashboard).fieldConfig!.defaults.noValue],
    ],
  },
  {
    name: "panels-have-names-of-their-own",
    reason: "a link names a panel by its number, and people by its title",
    find: (dashboard) => [
      ...twice((dashboard.panels ?? []).map(({ id }) => String(id))).map(
        (id) => `two panels have the id ${id}`,
      ),
      ...twice((dashboard.panels ?? []).map(({ title = "" }) => title)).map(
        (title) => `two panels are called "${title}"`,
      ),
      ...panelsOf(dashboard).flatMap((panel) =>
        twice(targetsOf(panel).map(({ refId = "" }) => refId)).map(
          (refId) => `two queries of ${panel.title} are ${refId || "without refId"}`,
        ),
      ),
    ],
    spoilt: [
      ["one id twice", (dashboard) => void (graphOf(dashboard).id = dashboard.panels![0]!.id!)],
      ["one title twice", (dashboard) => void (graphOf(dashboard).title = dashboard.panels![0]!.title!)],
      [
        "one refId twice",
        (dashboard) => void graphOf(dashboard).targets!.push(graphOf(dashboard).targets![0]!),
      ],
    ],
  },
  {
    name: "the-grid-is-full",
    reason: "panels that overlap hide each other, and a hole looks as if something did not load",
    find: (dashboard) => faultsOfGrid(dashboard.panels ?? []),
    spoilt: [
      ["an overlap", (dashboard) => void (graphOf(dashboard).gridPos!.y -= 1)],
      ["a hole beside", (dashboard) => void (graphOf(dashboard).gridPos!.w -= 1)],
      ["a hole below", (dashboard) => void (graphOf(dashboard).gridPos!.h -= 1)],
      ["too wide", (dashboard) => void (graphOf(dashboard).gridPos!.w += 1)],
      ["no place", (dashboard) => void delete graphOf(dashboard).gridPos],
      ["a narrow row", (dashboard) => void (dashboard.panels![0]!.gridPos!.w = 12)],
    ],
  },
  {
    name: "legends-are-shown",
    reason: "the SDK hides legends unless told otherwise, and lines without names say nothing",
    find: (dashboard) =>
      panelsOf(dashboard)
        .filter(({ type }) => type === "timeseries" || type === "state-timeline")
        .flatMap((panel) => [
          ...((panel.options as { legend?: { showLegend?: boolean } }).legend?.showLegend === true
            ? []
            : [`${panel.title} hides its legend`]),
          ...targetsOf(panel)
            .filter(({ legendFormat = "" }) => legendFormat === "")
            .map(({ refId }) => `query ${refId} of ${panel.title} has no legend`),
        ]),
    spoilt: [
      [
        "a hidden legend",
        (dashboard) => void (graphOf(dashboard).options = { legend: { showLegend: false } }),
      ],
      [
        "a query without one",
        (dashboard) => void Object.assign(graphOf(dashboard).targets![0]!, { legendFormat: "" }),
      ],
    ],
  },
  {
    name: "colours-mean-something",
    reason:
      "the same thing looks the same on every dashboard, to everybody: colours come from one list that people with any colour vision can tell apart",
    find: (dashboard) =>
      coloursIn(dashboard)
        .filter((colour) => !KNOWN_COLOURS.has(colour))
        .map((colour) => `uses the colour ${colour}`),
    spoilt: [
      [
        "a colour of its own",
        (dashboard) =>
          void (graphOf(dashboard).fieldConfig!.defaults.thresholds = {
            mode: ThresholdsMode.Absolute,
            steps: [{ value: null, color: "red" }],
          }),
      ],
      ["one of an annotation", (dashboard) => void (dashboard.annotations.list![0]!.iconColor = "#ff0000")],
    ],
  },
  {
    name: "variables-follow-the-time-range",
    reason: "an app that reported last week must be there when somebody looks at last week",
    find: (dashboard) =>
      variablesOf(dashboard)
        .filter(
          ({ type, refresh }) =>
            type === VariableType.Query && refresh !== VariableRefresh.OnTimeRangeChanged,
        )
        .map(({ name }) => `variable ${name} is not asked for anew`),
    spoilt: [
      [
        "asked for once",
        (dashboard) => void (dashboard.templating.list![1]!.refresh = VariableRefresh.OnDashboardLoad),
      ],
    ],
  },
  {
    name: "variables-are-declared-and-used",
    reason: "an undeclared one is asked for as it stands, and an unused one makes people choose for nothing",
    find: (dashboard) => {
      const declared = variablesOf(dashboard).map(({ name }) => name);
      const used = new Set(namesIn(JSON.stringify(dashboard)));
      const chosen = new Set(
        namesIn(JSON.stringify([dashboard.panels, dashboard.annotations, dashboard.links])),
      );
      return [
        ...[...used].filter((name) => !declared.includes(name)).map((name) => `$${name} is not declared`),
        ...declared.filter((name) => !chosen.has(name)).map((name) => `$${name} is not used`),
      ];
    },
    spoilt: [
      [
        "one that is not declared",
        (dashboard) =>
          void (dashboard.templating.list = variablesOf(dashboard).filter(({ name }) => name !== "app")),
      ],
      [
        "one that is not used",
        (dashboard) =>
          void dashboard.templating.list!.push({ ...dashboard.templating.list![1]!, name: "more" }),
      ],
    ],
  },
  {
    name: "links-lead-somewhere",
    reason: "a link to a uid that is nowhere is found out at three in the morning",
    find: (dashboard) => {
      const text = JSON.stringify(dashboard);
      const buttons = dashboard.links ?? [];
      const uids: readonly string[] = Object.values(DASHBOARDS).map(({ uid }) => uid);
      const linked = Array.from(text.matchAll(/\/d\/([\w-]+)/g), ([, uid]) => uid!);
      return [
        ...linked.filter((uid) => !uids.includes(uid)).map((uid) => `leads to ${uid}, which is no dashboard`),
        ...uids
          .filter((uid) => uid !== dashboard.uid && !buttons.some(({ url }) => url === `/d/${uid}`))
          .map((uid) => `has no button to ${uid}`),
        ...faultsOfLinks(buttons, text),
      ];
    },
    spoilt: [
      ["a link to nowhere", (dashboard) => void (dashboard.links![0]!.url = "/d/lastgood-flet")],
      ["one that forgets the time", (dashboard) => void (dashboard.links![0]!.keepTime = false)],
      ["one that forgets what is chosen", (dashboard) => void (dashboard.links![0]!.includeVars = false)],
      [
        "one in a text that forgets the time",
        (dashboard) => void (graphOf(dashboard).title = "(/d/lastgood-fleet?x)"),
      ],
      ["none to another dashboard", (dashboard) => void (dashboard.links = [])],
    ],
  },
];

const KNOWN_COLOURS: ReadonlySet<string> = new Set([...Object.values(COLOURS), "transparent"]);

function twice(values: readonly string[]): string[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))];
}

function coloursIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(coloursIn);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    ["color", "fixedColor", "iconColor"].includes(key) && typeof inner === "string"
      ? [inner]
      : coloursIn(inner),
  );
}

/** Names of variables: not Grafana's own, which begin with two underscores. */
export function namesIn(text: string): string[] {
  return Array.from(text.matchAll(/\$\{?(\w+)/g), ([, name]) => name!).filter(
    (name) => !name.startsWith("__"),
  );
}

function faultsOfLinks(buttons: readonly DashboardLink[], text: string): string[] {
  const inText = Array.from(text.matchAll(/\/d\/[\w-]+\?([^)"\\]*)/g), ([, query]) => query!);
  return [
    ...buttons
      .filter(({ url = "", keepTime, includeVars }) => url.startsWith("/d/") && !(keepTime && includeVars))
      .map(({ title }) => `the button "${title}" forgets what is chosen, or the time`),
    ...inText
      .filter((query) => !query.includes("${__url_time_range}"))
      .map((query) => `a link forgets the time: ${query}`),
  ];
}

function faultsOfGrid(panels: readonly (Panel | RowPanel)[]): string[] {
  const faults: string[] = [];
  const taken = new Map<string, string>();
  let bottom = 0;
  for (const { title = "", gridPos, type } of panels) {
    if (gridPos === undefined) {
      faults.push(`${title} has no place`);
      continue;
    }
    const { x, y, w, h } = gridPos;
    if (type === "row" && w !== GRID_COLUMNS) faults.push(`the row ${title} is ${w} wide`);
    if (x + w > GRID_COLUMNS) faults.push(`${title} reaches over the edge`);
    bottom = Math.max(bottom, y + h);
    for (let row = y; row < y + h; row += 1)
      for (let column = x; column < x + w; column += 1) {
        const there = taken.get(`${row},${column}`);
        if (there !== undefined && !faults.includes(`${title} lies on ${there}`))
          faults.push(`${title} lies on ${there}`);
        taken.set(`${row},${column}`, title);
      }
  }
  const holes = bottom * GRID_COLUMNS - taken.size;
  return holes > 0 && faults.length === 0 ? [`${holes} places are empty`] : faults;
}
