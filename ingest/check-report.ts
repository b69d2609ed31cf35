// Decides whether one value is a report that this key may send. Enters: any JSON value, and the apps of
// the key. Leaves: a DeviceReport, or the code of the first thing that is wrong and a sentence that names
// the field. Pure; the configured apps come in once.
import type { z } from "zod";
import { EVENTS, deviceReportSchema } from "./contract/device-report.ts";
import type { DeviceReport } from "./contract/device-report.ts";
import type { AppId, Channel } from "./contract/release-key.ts";
import type { ReportCode } from "./problems.ts";

export type ReportCheck =
  | { readonly kind: "good"; readonly report: DeviceReport }
  | { readonly kind: "bad"; readonly code: ReportCode; readonly detail: string };

export type CheckReport = (value: unknown, keyApps: ReadonlySet<AppId>) => ReportCheck;

export type ConfiguredApps = ReadonlyMap<AppId, { readonly channels: ReadonlySet<Channel> }>;

export function createCheckReport(apps: ConfiguredApps): CheckReport {
  return (value, keyApps) => {
    const parsed = deviceReportSchema.safeParse(value);
    if (!parsed.success) return explainIssue(parsed.error.issues[0]!, value);
    const { app, channel } = parsed.data;
    const configured = apps.get(app);
    if (configured === undefined) return bad("unknown_app", `No app is called "${app}" here.`);
    if (!keyApps.has(app))
      return bad("key_for_another_app", `This ingest key does not cover the app "${app}".`);
    if (!configured.channels.has(channel))
      return bad("unknown_channel", `The app "${app}" has no channel "${channel}".`);
    return { kind: "good", report: parsed.data };
  };
}

function bad(code: ReportCode, detail: string): ReportCheck {
  return { kind: "bad", code, detail };
}

function explainIssue(issue: z.core.$ZodIssue, value: unknown): ReportCheck {
  const found = valueAt(value, issue.path);
  const name = issue.path.length === 0 ? "A report" : `"${issue.path.join(".")}"`;
  if (found === undefined) return bad("invalid_report", `${name} is missing.`);
  if (issue.path[0] === "at") return bad("invalid_time", `"at" ${issue.message}.`);
  if (issue.path[0] === "event" && typeof found === "string")
    return bad("unknown_event", `${quote(found)} is no event; there are ${EVENTS.join(", ")}.`);
  return bad("invalid_report", `${name}${complaint(issue, found)}.`);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)[key], value);
}

const SHOWN_CHARS_MAX = 64;

/** What the sender wrote, short and on one line. */
function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text);
}

function complaint(issue: z.core.$ZodIssue, found: unknown): string {
  if (issue.code === "too_small") return " must not be empty";
  if (issue.code === "too_big") return ` must have at most ${issue.maximum} characters`;
  if (issue.code === "invalid_type")
    return ` must be ${withArticle(issue.expected)}, not ${typeName(found)}${found === null ? " (leave it out when there is no value)" : ""}`;
  if (issue.code === "invalid_value") return ` must be one of ${issue.values.map(String).join(", ")}`;
  return `: ${issue.message}`;
}

function typeName(found: unknown): string {
  if (found === null) return "null";
  return Array.isArray(found) ? "an array" : withArticle(typeof found);
}

function withArticle(noun: string): string {
  return /^[aeio]/.test(noun) ? `an ${noun}` : `a ${noun}`;
}
