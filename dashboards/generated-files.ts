// Everything that is generated here, by its path in the repository: the dashboards' JSON as Grafana loads it, and a picture
// of each one's layout. `npm run generate` writes it, and a test compares. Enters: nothing. Leaves: the texts.
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { fleetDashboard } from "./fleet.ts";
import { layoutPicture } from "./layout-picture.ts";
import { DASHBOARDS } from "./links.ts";
import type { DashboardName } from "./links.ts";
import { pipelineDashboard } from "./pipeline.ts";
import { releaseDashboard } from "./release.ts";
import { rollbacksDashboard } from "./rollbacks.ts";

const BUILDERS: Readonly<Record<DashboardName, () => Dashboard>> = {
  fleet: fleetDashboard,
  release: releaseDashboard,
  rollbacks: rollbacksDashboard,
  pipeline: pipelineDashboard,
};

/** Built anew, by name. */
export function dashboards(): Readonly<Record<DashboardName, Dashboard>> {
  return Object.fromEntries(
    (Object.keys(DASHBOARDS) as DashboardName[]).map((name) => [name, BUILDERS[name]()]),
  ) as Record<DashboardName, Dashboard>;
}

export function dashboardFiles(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(dashboards()).flatMap(([name, dashboard]) => [
      [`dashboards/json/${name}.json`, `${JSON.stringify(dashboard, null, 2)}\n`],
      [`docs/dashboards/${name}.svg`, layoutPicture(dashboard)],
    ]),
  );
}
