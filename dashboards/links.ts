// Where one gets to from a dashboard: the other dashboards by their uid, the runbooks, the agent's page. Enters:
// nothing. Leaves: links and addresses with what is chosen and the time range in them.
import { DashboardLinkBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import type { DashboardLink } from "@grafana/grafana-foundation-sdk/dashboard";

/** The uids are in people's bookmarks and in alerts: they never change. */
export const DASHBOARDS = {
  fleet: { uid: "lastgood-fleet", title: "Lastgood: fleet overview" },
  release: { uid: "lastgood-release", title: "Lastgood: release comparison" },
  rollbacks: { uid: "lastgood-rollbacks", title: "Lastgood: rollback journal" },
  pipeline: { uid: "lastgood-pipeline", title: "Lastgood: pipeline" },
} as const;
export type DashboardName = keyof typeof DASHBOARDS;

/** Every dashboard has it, and links find the others by it. */
export const TAG = "lastgood";

/** Variables that every dashboard has and that go along with each link. */
const CARRIED = "${datasource:queryparam}&${agent_url:queryparam}&${runbooks:queryparam}";

/** Whose labels fill the address: a series of a graph, or a row of a table. */
type LinkedFrom = "series" | "row";

/** From a release in a graph or table to its comparison, with the time range. */
export function releaseLink(from: LinkedFrom): DashboardLink {
  const value = (label: string): string =>
    `\${${from === "series" ? "__field.labels" : "__data.fields"}.${label}:percentencode}`;
  const chosen = ["app", "channel", "version"].map((label) => `var-${label}=${value(label)}`).join("&");
  return new DashboardLinkBuilder(
    "Compare ${" + (from === "series" ? "__field.labels" : "__data.fields") + ".version}",
  )
    .url(`/d/${DASHBOARDS.release.uid}?${chosen}&${CARRIED}&\${__url_time_range}`)
    .build();
}

/** The buttons above each dashboard: the other dashboards, the agent's page, the runbooks. */
export function buttonsOf(name: DashboardName): DashboardLink[] {
  const others = (Object.keys(DASHBOARDS) as DashboardName[]).filter((other) => other !== name);
  return [
    ...others.map((other) => {
      const { uid, title } = DASHBOARDS[other];
      return button(title.replace("Lastgood: ", ""), `/d/${uid}`)
        .icon("dashboard")
        .includeVars(true)
        .keepTime(true);
    }),
    button(
      "agent's page",
      name === "release" ? agentPage("${app:percentencode}", "${channel:percentencode}") : "${agent_url}/",
    )
      .icon("external link")
      .tooltip("What runs where, what was done and why; freeze, approve, roll back")
      .targetBlank(true),
    button("runbooks", runbook("README"))
      .icon("doc")
      .tooltip("What each alert means, how to check it, what to do")
      .targetBlank(true),
  ].map((link) => shown(link.build()));
}

function button(title: string, url: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(title).url(url);
}

/** The SDK hides links in a menu by default. */
function shown(link: DashboardLink): DashboardLink {
  const above = { ...link };
  delete above.placement;
  return above;
}

/** As the agent links to itself in its alerts (agent/paging/alertmanager.ts). */
export function agentPage(app: string, channel: string): string {
  return `\${agent_url}/#/${app}/${channel}`;
}

/** From a row of a table to the channel on the agent's page. */
export function agentLink(): DashboardLink {
  const value = (label: string): string => `\${__data.fields.${label}:percentencode}`;
  return new DashboardLinkBuilder("${__data.fields.channel} on the agent's page")
    .url(agentPage(value("app"), value("channel")))
    .targetBlank(true)
    .build();
}

/** The pages of docs/runbooks that are linked to; a test looks whether they are there. */
export type RunbookPage =
  | "README"
  | "OtaAgentDown"
  | "OtaDeadLettersWaiting"
  | "OtaEnvironmentIncident"
  | "OtaFoldLagHigh"
  | "OtaIngestDown"
  | "OtaRedisDown"
  | "OtaRedisMemoryHigh"
  | "OtaReleaseFailingNotRolledBack"
  | "OtaReportsRefused"
  | "OtaRollbacksFailing"
  | "OtaSpoolFilling"
  | "OtaStreamBacklogHigh";

export function runbook(page: RunbookPage): string {
  return `\${runbooks}/${page}.md`;
}
