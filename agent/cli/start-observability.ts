// Prometheus, Alertmanager and Grafana beside Lastgood, as far as they are installed: which of them `lastgood start` runs,
// where, and with which files. Enters: settings and the PATH. Leaves: processes for the supervisor, what the agent has
// to know of them, and a sentence for each that is not there. The files are those that docker-compose.yml mounts, copied
// into data_dir (observability-files.ts); only the addresses differ. None of the three is needed for anything else.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { endOrphanChild } from "../../runtime/child-process.ts";
import { findProgram, isPortFree, launchProgram } from "../../runtime/foreign-program.ts";
import { openLogFile } from "../../runtime/log-file.ts";
import type { ProcessSpec } from "../../runtime/supervisor.ts";
import { hostAndPort } from "../../runtime/units.ts";
import type { ListenAddress } from "../../runtime/units.ts";
import { ALERTMANAGER_VARIABLE } from "../config/load.ts";
import { OBSERVERS } from "../config/observability.ts";
import type { Observer } from "../config/observability.ts";
import type { Settings } from "../config/schema.ts";
import type { CliContext } from "./cli-context.ts";
import { writeAlertmanagerFiles, writeGrafanaFiles, writePrometheusFiles } from "./observability-files.ts";
import type { PlacesByObserver } from "./observability-files.ts";
import { grafanaHome, grafanaSettings } from "./start-grafana.ts";
import type { StartScreen } from "./start-screen.ts";

/** What Prometheus keeps, whichever is reached first. */
export const METRICS_KEPT_FOR = "15d";
export const METRICS_KEPT_BYTES = "2GB";
/** What Alertmanager remembers of silences and of what it sent. */
export const ALERTS_KEPT_FOR = "120h";

export interface Observability {
  readonly specs: readonly ProcessSpec[];
  /** For the environment of ingest and agent. */
  readonly agentEnv: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
}

export interface ObservabilityOptions {
  readonly settings: Settings;
  readonly screen: Pick<StartScreen, "line" | "onChildLine">;
  readonly context: Pick<CliContext, "env">;
}

/** Names under which the programs are packaged, and what a person does without them. */
const PROGRAMS: Readonly<Record<Observer, { names: readonly string[]; title: string; without: string }>> = {
  prometheus: {
    names: ["prometheus"],
    title: "Prometheus",
    without:
      "metrics are served, nobody keeps them (apt-get install prometheus; https://prometheus.io/download)",
  },
  alertmanager: {
    names: ["prometheus-alertmanager", "alertmanager"],
    title: "Alertmanager",
    without: "alerts reach nobody from here (apt-get install prometheus-alertmanager)",
  },
  grafana: {
    names: ["grafana", "grafana-server"],
    title: "Grafana",
    without: "there are no graphs (https://grafana.com/grafana/download; dashboards/json has the dashboards)",
  },
};

export async function prepareObservability(options: ObservabilityOptions): Promise<Observability> {
  const missing: string[] = [];
  const found: { observer: Observer; command: string; at: ListenAddress }[] = [];
  for (const observer of OBSERVERS) {
    await endOrphan(observer, options);
    const at = options.settings.observability[observer];
    if (at === "off") continue;
    const command = findProgram(PROGRAMS[observer].names, options.context.env["PATH"]);
    const why =
      command === undefined ? `${PROGRAMS[observer].title} is not installed` : await whyNot(observer, at);
    if (command === undefined || why !== undefined)
      missing.push(`${why ?? PROGRAMS[observer].title}: ${PROGRAMS[observer].without}`);
    else found.push({ observer, command, at });
  }
  const places: PlacesByObserver = Object.fromEntries(found.map(({ observer, at }) => [observer, at]));
  return {
    specs: found.map(({ observer, command, at }) => processOf({ observer, command, at, places }, options)),
    agentEnv: alertmanagerForAgent(places, options.settings),
    missing,
  };
}

async function whyNot(observer: Observer, at: ListenAddress): Promise<string | undefined> {
  if (await isPortFree(at)) return undefined;
  const { title } = PROGRAMS[observer];
  return `${title} is not started, for another program has ${at.host}:${at.port} (observability.${observer} names another address, or off)`;
}

/** What the file says of Alertmanager wins (config/load.ts); one that is not ours is not talked to unasked. */
function alertmanagerForAgent(
  { alertmanager }: PlacesByObserver,
  settings: Settings,
): Record<string, string> {
  if (alertmanager === undefined || settings.alertmanager !== undefined) return {};
  return { [ALERTMANAGER_VARIABLE]: httpUrl(alertmanager) };
}

function httpUrl(at: ListenAddress): string {
  return `http://${hostAndPort(at)}`;
}

function pidFileOf(observer: Observer, { settings }: ObservabilityOptions): string {
  return path.join(settings.dataDir, "run", `${observer}.pid`);
}

function endOrphan(observer: Observer, options: ObservabilityOptions): Promise<void> {
  return endOrphanChild({
    pidFile: pidFileOf(observer, options),
    // Part of every one's command line.
    script: path.join(options.settings.dataDir, observer),
    whose: "foreign",
    onFound: () => options.screen.line(`stopping the ${observer} that an earlier run left behind`),
  });
}

interface Start {
  readonly observer: Observer;
  readonly command: string;
  readonly at: ListenAddress;
  readonly places: PlacesByObserver;
}

interface Launch {
  readonly args: readonly string[];
  readonly env: CliContext["env"];
  readonly readyPath: string;
}

const LAUNCHES: Readonly<Record<Observer, (start: Start, options: ObservabilityOptions) => Launch>> = {
  prometheus: launchPrometheus,
  alertmanager: launchAlertmanager,
  grafana: launchGrafana,
};

function processOf(start: Start, options: ObservabilityOptions): ProcessSpec {
  const { observer, command, at } = start;
  const { settings, screen } = options;
  const log = openLogFile(path.join(settings.dataDir, "log", `${observer}.log`));
  const folder = folderOf(observer, options);
  return {
    name: observer,
    kind: "extra",
    pidFile: pidFileOf(observer, options),
    launch: () => {
      const { args, env, readyPath } = LAUNCHES[observer](start, options);
      return launchProgram({
        name: observer,
        command,
        args,
        env,
        folder,
        readyUrl: `${httpUrl(at)}${readyPath}`,
        urls: { http: httpUrl(at) },
        onLine: (line) => {
          log.writeLine(line);
          screen.onChildLine(observer, line);
        },
      });
    },
  };
}

function folderOf(observer: Observer, { settings }: ObservabilityOptions): string {
  const folder = path.join(settings.dataDir, observer);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

function launchPrometheus({ at, places }: Start, options: ObservabilityOptions): Launch {
  const folder = folderOf("prometheus", options);
  const file = writePrometheusFiles({ folder, settings: options.settings, places });
  return {
    args: [
      `--config.file=${file}`,
      `--storage.tsdb.path=${path.join(folder, "data")}`,
      `--storage.tsdb.retention.time=${METRICS_KEPT_FOR}`,
      `--storage.tsdb.retention.size=${METRICS_KEPT_BYTES}`,
      `--web.listen-address=${at.host}:${at.port}`,
      "--log.level=warn",
    ],
    env: options.context.env,
    readyPath: "/-/ready",
  };
}

function launchAlertmanager({ at }: Start, options: ObservabilityOptions): Launch {
  const folder = folderOf("alertmanager", options);
  const file = writeAlertmanagerFiles(folder);
  return {
    args: [
      `--config.file=${file}`,
      `--storage.path=${path.join(folder, "data")}`,
      `--data.retention=${ALERTS_KEPT_FOR}`,
      `--web.listen-address=${at.host}:${at.port}`,
      // Alone: no cluster, and no port for one.
      "--cluster.listen-address=",
      "--log.level=warn",
    ],
    env: options.context.env,
    readyPath: "/-/ready",
  };
}

function launchGrafana({ command, at, places }: Start, options: ObservabilityOptions): Launch {
  const folder = folderOf("grafana", options);
  const provisioning = writeGrafanaFiles(folder);
  const home = grafanaHome(command, options.context.env);
  return {
    // The older program is the server; the newer one has commands. Both look for their own files in a home.
    args: [
      ...(path.basename(command) === "grafana" ? ["server"] : []),
      ...(home === undefined ? [] : [`--homepath=${home}`]),
      // Named here so that the command line tells whose Grafana this is.
      `cfg:default.paths.data=${path.join(folder, "data")}`,
    ],
    env: {
      ...options.context.env,
      ...grafanaSettings({
        at,
        folder,
        provisioning,
        env: options.context.env,
        prometheusUrl: places.prometheus === undefined ? undefined : httpUrl(places.prometheus),
        alertmanagerUrl: places.alertmanager === undefined ? undefined : httpUrl(places.alertmanager),
      }),
    },
    readyPath: "/api/health",
  };
}
