// What `lastgood start` shows on the terminal: progress, where everything is, a curl to try, and the end.
// Enters: events of the supervisor and log lines of its children. Leaves: text. No secret that came from
// the environment is ever printed: the curl names the variable instead.
import { humanLogLine, isAtLeast } from "../../runtime/log-line.ts";
import type { LogLevel } from "../../runtime/log-line.ts";
import type { SupervisorEvent } from "../../runtime/supervisor.ts";
import { formatDuration } from "../../runtime/units.ts";
import { settingsHints } from "../config/load.ts";
import type { FoundConfig } from "../config/load.ts";
import type { Settings } from "../config/schema.ts";
import type { CliContext } from "./cli-context.ts";

export interface StartScreen {
  readonly onEvent: (event: SupervisorEvent) => void;
  readonly onChildLine: (name: string, line: string) => void;
  readonly line: (text: string) => void;
  /** Ends the line that the stopping events have written. */
  readonly finishStopping: () => void;
}

export function createStartScreen(context: CliContext, options: { readonly verbose: boolean }): StartScreen {
  let isStopping = false;
  const killed: string[] = [];
  const leastLevel = (): LogLevel => (options.verbose ? "trace" : isStopping ? "error" : "warn");
  const onStopping = (name: string): void => {
    context.out(isStopping ? ` ${name} …` : `stopping ${name} …`);
    isStopping = true;
  };
  return {
    onEvent: (event) => {
      switch (event.kind) {
        case "starting":
          return context.out(`starting ${event.name} …\n`);
        case "ready":
          return;
        case "died":
          return context.err(
            `${event.name} ended (${event.reason}); it is started again in ${formatDuration(event.pauseMs)}\n`,
          );
        case "given_up":
          return context.err(`${event.reason}\n${event.name} is left out; Lastgood goes on without it\n`);
        case "stopping":
          return onStopping(event.name);
        case "stopped":
          if (event.how === "killed") killed.push(event.name);
          return;
        default:
          return event satisfies never;
      }
    },
    onChildLine: (name, line) => {
      const { level, text } = humanLogLine(name, line);
      if (isAtLeast(level, leastLevel())) context.err(`${text}\n`);
    },
    line: (text) => context.out(`${text}\n`),
    finishStopping: () => {
      if (!isStopping) return;
      const forced =
        killed.length === 0 ? "" : ` (${killed.join(" and ")} did not stop in time and had to be killed)`;
      context.out(` stopped, nothing lost${forced}\n`);
    },
  };
}

export interface Summary {
  readonly settings: Settings;
  readonly found: FoundConfig;
  readonly urls: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly redis: string;
  readonly curl: string;
  /** A sentence for each program that could have been started beside Lastgood, and is not there. */
  readonly missing: readonly string[];
}

/** What runs beside Lastgood, by the row that names it. */
const OBSERVER_ROWS = { graphs: "grafana", prometheus: "prometheus", alertmanager: "alertmanager" } as const;

export function summaryText({ settings, found, urls, redis, curl, missing }: Summary): string {
  const rows: [string, string][] = [
    ["reports go to", `${urls["ingest"]?.["http"] ?? "?"}/v1/reports`],
    ["the page", `${urls["agent"]?.["http"] ?? "?"}/`],
    ["status, decisions", `${urls["agent"]?.["http"] ?? "?"}/v1/status`],
    [
      "metrics",
      `${urls["ingest"]?.["operations"] ?? "?"}/metrics and ${urls["agent"]?.["http"] ?? "?"}/metrics`,
    ],
    ...Object.entries(OBSERVER_ROWS).flatMap(([row, name]): [string, string][] => {
      const url = urls[name]?.["http"];
      return url === undefined ? [] : [[row, url]];
    }),
    ["redis", redis],
    ["data and logs", settings.dataDir],
    ["configuration", `${found.file} (${explainChoice(found)})`],
  ];
  const table = rows.map(([name, value]) => `  ${name.padEnd(18)} ${value}`).join("\n");
  const hints = settingsHints(settings).map((hint) => `\n\nMIND: ${hint}.`);
  const notes = hints.join("") + (missing.length === 0 ? "" : `\n\n${missing.join("\n")}`);
  return `\nLastgood is up.\n\n${table}${notes}\n\nTry it:\n\n${curl}\n\nCtrl-C stops everything in order.\n`;
}

function explainChoice({ foundBy }: FoundConfig): string {
  switch (foundBy) {
    case "--config":
      return "as --config says";
    case "LASTGOOD_CONFIG":
      return "as LASTGOOD_CONFIG says";
    case "./lastgood.yaml":
      return "found in this folder";
    case "example":
      return "the example, because there is no ./lastgood.yaml; copy it there to change it";
    default:
      return foundBy satisfies never;
  }
}

/** A request that the first configured app's devices would send, ready for a shell. */
export function exampleCurl(options: {
  readonly settings: Settings;
  readonly reportsUrl: string;
  readonly configText: string;
  readonly env: CliContext["env"];
}): string {
  const [app, appSettings] = [...options.settings.apps][0]!;
  const [channel] = [...appSettings.channels.keys()];
  const report = { app, channel, device: "till-0001", version: "1.4.2", event: "confirmed" };
  return [
    `  curl -sS ${options.reportsUrl} \\`,
    `    -H ${authorization(appSettings.ingestKeys[0]!, options)} \\`,
    `    -H 'Content-Type: application/json' \\`,
    `    -d '${JSON.stringify(report)}'`,
  ].join("\n");
}

function authorization(key: string, options: { configText: string; env: CliContext["env"] }): string {
  const variable = Object.entries(options.env).find(
    ([name, value]) =>
      value !== undefined && key.includes(value) && value !== "" && refersTo(options.configText, name),
  );
  if (variable !== undefined) return `"Authorization: Bearer $${variable[0]}"`;
  return `'Authorization: Bearer ${key.replaceAll("'", String.raw`'\''`)}'`;
}

function refersTo(configText: string, name: string): boolean {
  return configText.includes(`\${${name}}`) || configText.includes(`\${${name}:-`);
}
