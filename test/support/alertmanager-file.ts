// The committed alertmanager.yml, for tests that run it: the same routes, inhibitions, receivers and templates, but every
// receiver leads to this machine, and nothing waits for minutes. Enters: where receivers lead. Leaves: its text and files.
import { readdirSync } from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";
import { readRepoFile } from "./prometheus.ts";

export const ALERTMANAGER_FILE = "alerting/alertmanager.yml";
const TEMPLATES = "alerting/templates";

interface Route {
  receiver: string;
  matchers?: string[];
  group_wait?: string;
  group_interval?: string;
  repeat_interval?: string;
  active_time_intervals?: string[];
  routes?: Route[];
}

export interface AlertmanagerFile {
  global: Record<string, unknown>;
  route: Route;
  receivers: (Record<string, Record<string, unknown>[]> & { name: string })[];
  inhibit_rules: { source_matchers: string[]; target_matchers: string[]; equal?: string[] }[];
}

export function readAlertmanagerFile(): AlertmanagerFile {
  return parse(readRepoFile(ALERTMANAGER_FILE)) as AlertmanagerFile;
}

export interface LocalReceivers {
  /** Takes whatever a receiver posts; `/<receiver>` is added. */
  readonly url: string;
  /** `host:port` of an SMTP server without TLS. */
  readonly smtp?: string;
  /** Who gets what the file gives to `webhook`, by severity; the others stay. */
  readonly choose?: Readonly<Partial<Record<"critical" | "warning", string>>>;
}

export function localAlertmanager({ url, smtp = "127.0.0.1:9", choose = {} }: LocalReceivers): string {
  const file = readAlertmanagerFile();
  hurry(file.route);
  file.global["smtp_smarthost"] = smtp;
  file.global["smtp_require_tls"] = false;
  // The doubles speak no AUTH without TLS.
  delete file.global["smtp_auth_username"];
  delete file.global["smtp_auth_password_file"];
  for (const receiver of file.receivers) redirect(receiver, url);
  for (const route of file.route.routes!)
    for (const [severity, receiver] of Object.entries(choose))
      if (route.matchers!.includes(`severity="${severity}"`)) route.receiver = receiver;
  return stringify(file);
}

function hurry(route: Route): void {
  if (route.group_wait !== undefined) route.group_wait = "1s";
  if (route.group_interval !== undefined) route.group_interval = "1s";
  if (route.repeat_interval !== undefined && route.receiver === "heartbeat") route.repeat_interval = "1s";
  // Whether it is working hours where the test runs is nobody's business.
  delete route.active_time_intervals;
  for (const child of route.routes ?? []) hurry(child);
}

function redirect(receiver: AlertmanagerFile["receivers"][number], url: string): void {
  for (const webhook of receiver["webhook_configs"] ?? []) webhook["url"] = `${url}/${receiver.name}`;
  for (const pager of receiver["pagerduty_configs"] ?? []) pager["url"] = `${url}/pagerduty`;
  for (const opsgenie of receiver["opsgenie_configs"] ?? []) opsgenie["api_url"] = `${url}/opsgenie/`;
}

/** Templates as they are, and a secret of each kind. */
export function alertmanagerFiles(url: string): Readonly<Record<string, string>> {
  const templates = readdirSync(path.resolve(import.meta.dirname, "../..", TEMPLATES)).map((name) => [
    `templates/${name}`,
    readRepoFile(`${TEMPLATES}/${name}`),
  ]);
  return {
    ...Object.fromEntries(templates),
    "secrets/pagerduty_routing_key": "a-pagerduty-routing-key",
    "secrets/opsgenie_api_key": "an-opsgenie-api-key",
    "secrets/slack_webhook_url": `${url}/slack`,
    "secrets/smtp_password": "an-smtp-password",
  };
}
