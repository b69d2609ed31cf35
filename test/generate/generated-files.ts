// Everything in the repository that is generated from code: dashboards, pictures of their layout, rules, the tables of
// docs/metrics.md, and the rules once more for Kubernetes. Enters: nothing. Leaves: the files as they should be, by path.
import { alertingFiles } from "../../alerting/generated-files.ts";
import { dashboardFiles } from "../../dashboards/generated-files.ts";
import { METRICS_PAGE, metricsPage } from "../../dashboards/metrics-page.ts";
import { deployFiles } from "./deploy-files.ts";

/** `read`: a file of the repository as it is. */
export function generatedFiles(read: (file: string) => string): Readonly<Record<string, string>> {
  return {
    ...dashboardFiles(),
    ...alertingFiles(),
    ...deployFiles(),
    [METRICS_PAGE]: metricsPage(read(METRICS_PAGE)),
  };
}
