// The files that Prometheus, Alertmanager and Grafana load when `lastgood start` runs them: those of alerting/ and
// dashboards/, byte for byte, laid out in data_dir as docker-compose.yml lays them out in containers; and the addresses to
// scrape, which Prometheus reads from files beside its configuration. Written anew at each start.
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { hostAndPort, reachedLocally } from "../../runtime/units.ts";
import type { ListenAddress } from "../../runtime/units.ts";
import { packageFolder } from "../../runtime/version.ts";
import type { Observer } from "../config/observability.ts";
import type { Settings } from "../config/schema.ts";

const ALERTING_FOLDER = path.join(packageFolder(), "alerting");
const PROVISIONING_FOLDER = path.join(packageFolder(), "dashboards", "provisioning");
export const DASHBOARDS_FOLDER = path.join(packageFolder(), "dashboards", "json");

/** Those that are started. */
export type PlacesByObserver = Readonly<Partial<Record<Observer, ListenAddress>>>;

/** Leaves the path of prometheus.yml. */
export function writePrometheusFiles({
  folder,
  settings,
  places,
}: {
  readonly folder: string;
  readonly settings: Settings;
  readonly places: PlacesByObserver;
}): string {
  const config = freshFolder(path.join(folder, "config"));
  copy(path.join(ALERTING_FOLDER, "prometheus.yml"), config);
  copy(path.join(ALERTING_FOLDER, "rules"), config);
  const targets = freshFolder(path.join(config, "targets"));
  for (const [job, addresses] of Object.entries(targetsOf(settings, places)))
    writeFileSync(
      path.join(targets, `${job}.json`),
      `${JSON.stringify(addresses.length === 0 ? [] : [{ targets: addresses }])}\n`,
    );
  return path.join(config, "prometheus.yml");
}

/** One file for each `files:` of alerting/prometheus.yml. */
function targetsOf(settings: Settings, places: PlacesByObserver): Record<string, readonly string[]> {
  const target = (at: ListenAddress): string => hostAndPort(reachedLocally(at));
  return {
    "lastgood-ingest": [target(settings.ingest.operationsListen)],
    "lastgood-agent": [target(settings.agent.listen)],
    prometheus: places.prometheus === undefined ? [] : [target(places.prometheus)],
    alertmanager: places.alertmanager === undefined ? [] : [target(places.alertmanager)],
  };
}

/** Leaves the path of alertmanager.yml. */
export function writeAlertmanagerFiles(folder: string): string {
  const config = freshFolder(path.join(folder, "config"));
  copy(path.join(ALERTING_FOLDER, "alertmanager.yml"), config);
  copy(path.join(ALERTING_FOLDER, "templates"), config);
  return path.join(config, "alertmanager.yml");
}

/** Grafana wants a folder for each kind of file, and complains about one that is not there. Leaves their folder. */
export function writeGrafanaFiles(folder: string): string {
  const provisioning = freshFolder(path.join(folder, "provisioning"));
  for (const kind of ["datasources", "dashboards"]) {
    mkdirSync(path.join(provisioning, kind));
    copy(path.join(PROVISIONING_FOLDER, `${kind}.yml`), path.join(provisioning, kind));
  }
  for (const kind of ["alerting", "plugins"]) mkdirSync(path.join(provisioning, kind));
  mkdirSync(path.join(folder, "data", "plugins"), { recursive: true });
  return provisioning;
}

function freshFolder(folder: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** A file or folder, under its own name; one that is not there (no rules yet) is left out. */
function copy(from: string, toFolder: string): void {
  if (existsSync(from)) cpSync(from, path.join(toFolder, path.basename(from)), { recursive: true });
}
