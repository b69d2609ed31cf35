// What one log record says. Pure. Enters: the record, the attributes of its resource, and the app it is of. Leaves: a draft of
// a report, or why there is none.
//
// A record counts as a crash when it is one by its event's name, or holds an exception at severity "fatal" (21 or more). A
// record of use (`session.start` and the like) counts as a sign of life. Any other log line does not: many apps write lines
// only when something is wrong, and a release whose devices are heard of only then would look like one that always fails.
// What a crash says of its release and device comes before what the resource says: it may be sent by the next process, on
// another release.
import type { OtlpSource } from "../../contract/sources/otlp.ts";
import { channelOfEnvironment } from "../../contract/sources/environment-channels.ts";
import { TEXT_CHARS_MAX } from "../../contract/device-report.ts";
import { isVersion } from "../../contract/release-key.ts";
import type { SourceResult } from "../../metrics.ts";
import type { CrashWords, ReportDraft } from "../foreign-event.ts";
import { attributesOf, isRecord, textOf, timeMsOfNanoseconds } from "./any-value.ts";

/** Severity numbers from here on are "fatal". */
export const FATAL_SEVERITY = 21;
const CRASH_EVENTS: ReadonlySet<string> = new Set(["device.crash", "app.crash"]);
const ENVIRONMENT_DEFAULT = "production";

type Attributes = ReadonlyMap<string, string>;

export type ReadRecord =
  | { readonly kind: "draft"; readonly draft: ReportDraft }
  | { readonly kind: "nothing"; readonly result: Exclude<SourceResult, "reported"> };

export function readLogRecord(record: unknown, resource: Attributes, source: OtlpSource): ReadRecord {
  if (!isRecord(record)) return nothing("invalid");
  const own = attributesOf(record["attributes"]);
  const event = eventOf(record, own, source);
  if (event === undefined) return nothing("no_outcome");
  const told = (name: string): string | undefined => own.get(name) ?? resource.get(name);
  const environment = told("deployment.environment.name") ?? told("deployment.environment");
  const channel = channelOfEnvironment(source.channels, environment ?? ENVIRONMENT_DEFAULT);
  if (channel === undefined) return nothing("excluded");
  const version = told(source.releaseAttribute) ?? "";
  if (!isVersion(version)) return nothing(version === "" ? "unattributed" : "invalid");
  // Not `session.id`: each session would count as a device of its own.
  const device = told(source.deviceAttribute) ?? told("device.id");
  if (device === undefined || device === "") return nothing("no_device");
  return {
    kind: "draft",
    draft: {
      channel,
      device,
      version,
      event,
      at: timeMsOfNanoseconds(record["timeUnixNano"]) ?? timeMsOfNanoseconds(record["observedTimeUnixNano"]),
      ...(event === "crashed" ? { crash: wordsOf(own, record["body"]) } : {}),
      ...strataOf(told),
    },
  };
}

function nothing(result: Exclude<SourceResult, "reported">): ReadRecord {
  return { kind: "nothing", result };
}

function eventOf(
  record: Readonly<Record<string, unknown>>,
  own: Attributes,
  { activeEvents }: OtlpSource,
): "crashed" | "active" | undefined {
  const named = record["eventName"];
  // Before the field there was an attribute.
  const name = typeof named === "string" && named !== "" ? named : (own.get("event.name") ?? "");
  const isFatal = severityOf(record["severityNumber"]) >= FATAL_SEVERITY;
  if (CRASH_EVENTS.has(name) || (own.has("exception.type") && isFatal)) return "crashed";
  return activeEvents.has(name) ? "active" : undefined;
}

/** 0 = not told. Of an object not even a number may be asked: its `toString` may be anything. */
function severityOf(value: unknown): number {
  return typeof value === "number" || typeof value === "string" ? Number(value) : 0;
}

function wordsOf(own: Attributes, body: unknown): CrashWords {
  return { type: asText(own.get("exception.type")), message: own.get("exception.message") ?? textOf(body) };
}

/** All records of a resource have the same, whatever they tell of. */
function strataOf(
  told: (name: string) => string | undefined,
): Pick<ReportDraft, "platform" | "model" | "os_version" | "native_version"> {
  return {
    platform: asText(told("os.name") ?? told("os.type")),
    model: asText(told("device.model.identifier") ?? told("device.model.name")),
    os_version: asText(told("os.version")),
    native_version: asText(told("service.version")),
  };
}

/** As a report may have it: none of these is a name by which something is counted once. */
function asText(text: string | undefined): string | undefined {
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what must not pass
  return text?.slice(0, TEXT_CHARS_MAX).replaceAll(/[\u0000-\u001f\u007f]/g, " ");
}
