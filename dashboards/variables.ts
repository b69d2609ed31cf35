// The variables at the top of a dashboard. Enters: which of them. Leaves: variables as Grafana takes them, each asked
// for anew when the time range changes, each list narrowed by what is chosen to its left.
import {
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  TextBoxVariableBuilder,
  VariableHide,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import type { VariableModel } from "@grafana/grafana-foundation-sdk/dashboard";
import type { DataSourceRef } from "@grafana/grafana-foundation-sdk/common";
import { select } from "./queries.ts";

/** What every panel and query asks: whichever Prometheus is chosen above the dashboard. */
export const DATA_SOURCE: DataSourceRef = { type: "prometheus", uid: "${datasource}" };

/** "All" is no list of what there is now, which would leave out what comes next, and grow the query with the fleet. */
const EVERYTHING = ".*";

export const AGENT_URL = "http://127.0.0.1:8082";
/** Where `docs/runbooks` can be read; see docs/dashboards.md. */
export const RUNBOOKS_URL = `${AGENT_URL}/runbooks`;

export type Choice = "one" | "several";

export function dataSourceVariable(): VariableModel {
  return new DatasourceVariableBuilder("datasource")
    .label("Prometheus")
    .description("The Prometheus that scrapes Lastgood")
    .type("prometheus")
    .current({ text: "Prometheus", value: "prometheus" })
    .build();
}

/**
 * Where several can be chosen, queries match by `=~"$app"`, and Grafana escapes the values. Where one can, by `="$app"`:
 * Grafana then escapes nothing, and the `+` of a version 1.4.0+b7 would mean something else in a regular expression.
 */
export function appVariable(choice: Choice): VariableModel {
  return listed("app", "App", `label_values(${select("ota_running_devices")}, app)`, choice);
}

export function channelVariable(choice: Choice): VariableModel {
  const where = { app: choice === "one" ? ('="$app"' as const) : ('=~"$app"' as const) };
  return listed(
    "channel",
    "Channel",
    `label_values(${select("ota_running_devices", where)}, channel)`,
    choice,
  );
}

/** The versions that are judged: not `other`, in which those stand together that a channel has too many of. */
export function candidateVariable(): VariableModel {
  const judged = select("ota_release_devices", { app: '="$app"', channel: '="$channel"' });
  return listed("version", "Version", `label_values(${judged}, version)`, "one");
}

/** Of a decision: what it was made about. */
export function versionVariable(): VariableModel {
  const known = select("ota_running_devices", { app: '=~"$app"', channel: '=~"$channel"' });
  return listed("version", "Version", `label_values(${known}, version)`, "several");
}

/** All others of the channel unless somebody chooses; `other` is among them. */
export function baselineVariable(): VariableModel {
  const beside = select("ota_running_devices", {
    app: '="$app"',
    channel: '="$channel"',
    version: '!="$version"',
  });
  return listed("baseline", "Beside", `label_values(${beside}, version)`, "several");
}

/** What went wrong: the band of an interval can be drawn for one at a time. */
export function signalVariable(): VariableModel {
  const judged = select("ota_release_failure_ratio", {
    app: '="$app"',
    channel: '="$channel"',
    version: '="$version"',
  });
  return listed("signal", "Signal", `label_values(${judged}, signal)`, "one");
}

function listed(name: string, label: string, query: string, choice: Choice): VariableModel {
  const builder = new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATA_SOURCE)
    .query({ query, refId: name, qryType: 1 })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .allowCustomValue(false);
  if (choice === "several")
    builder
      .multi(true)
      .includeAll(true)
      .allValue(EVERYTHING)
      .current({ text: ["All"], value: ["$__all"] });
  return { ...builder.build(), sort: VariableSort.NaturalDesc };
}

/** Where links lead: no query, hidden in the controls until somebody must change them. */
export function addressVariables(): VariableModel[] {
  return [
    address(
      "agent_url",
      "Agent",
      AGENT_URL,
      "Where people reach the agent (`external_url` in its configuration)",
    ),
    address("runbooks", "Runbooks", RUNBOOKS_URL, "Where docs/runbooks of Lastgood can be read"),
  ];
}

function address(name: string, label: string, url: string, description: string): VariableModel {
  return new TextBoxVariableBuilder(name)
    .label(label)
    .description(description)
    .defaultValue(url)
    .current({ text: url, value: url })
    .hide(VariableHide.HideVariable)
    .build();
}
