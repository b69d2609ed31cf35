// What Grafana is told at its start: where it finds its own files, where it listens, what it loads, and that it asks nobody
// on the internet for anything. Enters: addresses and folders. Leaves: environment variables. Anyone on this machine may
// look; nobody may change anything, because what is shown is code. With GF_SECURITY_ADMIN_PASSWORD in the environment
// there is an administrator.
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import type { ListenAddress } from "../../runtime/units.ts";
import type { CliContext } from "./cli-context.ts";
import { DASHBOARDS_FOLDER } from "./observability-files.ts";

/** Where packages put what Grafana calls its home; others are found beside the program. */
const PACKAGED_HOMES = [
  "/usr/share/grafana",
  "/opt/homebrew/opt/grafana/share/grafana",
  "/usr/local/opt/grafana/share/grafana",
];

/** The folder with conf/defaults.ini; undefined = Grafana looks for it itself. */
export function grafanaHome(command: string, env: CliContext["env"]): string | undefined {
  const folder = path.dirname(realpathSync(command));
  const besides = [path.join(folder, ".."), path.join(folder, "..", "share", "grafana")];
  const named = env["GF_PATHS_HOME"];
  return [...(named === undefined ? [] : [named]), ...besides, ...PACKAGED_HOMES].find((home) =>
    existsSync(path.join(home, "conf", "defaults.ini")),
  );
}

export interface GrafanaStart {
  readonly at: ListenAddress;
  /** Its folder in data_dir. */
  readonly folder: string;
  readonly provisioning: string;
  readonly env: CliContext["env"];
  /** Undefined where none is started; Grafana then shows that the data source does not answer. */
  readonly prometheusUrl: string | undefined;
  readonly alertmanagerUrl: string | undefined;
}

const NOBODY = "http://127.0.0.1:9";

export function grafanaSettings(start: GrafanaStart): Record<string, string> {
  return {
    GF_SERVER_HTTP_ADDR: start.at.host,
    GF_SERVER_HTTP_PORT: String(start.at.port),
    GF_PATHS_DATA: path.join(start.folder, "data"),
    GF_PATHS_LOGS: path.join(start.folder, "data", "log"),
    GF_PATHS_PLUGINS: path.join(start.folder, "data", "plugins"),
    GF_PATHS_PROVISIONING: start.provisioning,
    GF_LOG_MODE: "console",
    GF_LOG_LEVEL: "warn",
    GF_AUTH_ANONYMOUS_ENABLED: "true",
    GF_AUTH_ANONYMOUS_ORG_ROLE: "Viewer",
    ...(start.env["GF_SECURITY_ADMIN_PASSWORD"] === undefined
      ? { GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: "true" }
      : {}),
    GF_ANALYTICS_REPORTING_ENABLED: "false",
    GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
    GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: "false",
    GF_NEWS_NEWS_FEED_ENABLED: "false",
    GF_PLUGINS_PREINSTALL_DISABLED: "true",
    LASTGOOD_PROMETHEUS_URL: start.prometheusUrl ?? NOBODY,
    LASTGOOD_ALERTMANAGER_URL: start.alertmanagerUrl ?? NOBODY,
    LASTGOOD_DASHBOARDS: DASHBOARDS_FOLDER,
  };
}
