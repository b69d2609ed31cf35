// A ReportEntry is the reports of one request that fall into one shard, as one Redis stream entry: one
// XADD carries up to a whole batch, which is what makes ingest fast. Enters: accepted reports with their
// clamped times. Leaves: the fields of the entry, and back. decode(encode(x)) = x is property-tested.
import { EVENTS } from "./device-report.ts";
import type { DeviceEvent, DeviceReport } from "./device-report.ts";
import { isAppOrChannel, isVersion } from "./release-key.ts";

/** Version of the entry format. Raise it when a decoder of the old format could misread the new one. */
export const ENTRY_FORMAT = "1";

/** One accepted report as the agent sees it: times are epoch milliseconds, `atMs` already clamped. */
export interface AcceptedReport extends Omit<DeviceReport, "at"> {
  readonly atMs: number;
}

export interface ReportEntry {
  /** When ingest took the request in, epoch milliseconds on ingest's clock. */
  readonly receivedAtMs: number;
  readonly reports: readonly AcceptedReport[];
}

export type DecodeResult =
  | { readonly kind: "decoded"; readonly entry: ReportEntry }
  | { readonly kind: "undecodable"; readonly reason: string };

/** Fields in the order of the tuple; trailing absent ones are cut. */
type ReportTuple = [
  app: string,
  channel: string,
  device: string,
  version: string,
  event: number,
  atMs: number,
  ...rest: (string | object | 0)[],
];

/** Of a tuple; atMs is the last of them. */
const REQUIRED_FIELDS = 6;
/** After them, in the order of {@link toTuple}; a crash is the last of all. */
const OPTIONAL_TEXTS = ["from", "id", "reason", "platform", "model", "os_version", "native_version"] as const;

/** Name and value in turns: the format, when it was received, and the reports as JSON. */
export type EncodedReportEntry = [
  formatName: string,
  format: string,
  timeName: string,
  time: string,
  reportsName: string,
  reports: string,
];

export function encodeReportEntry(entry: ReportEntry): EncodedReportEntry {
  const tuples = entry.reports.map(toTuple);
  return ["f", ENTRY_FORMAT, "t", String(entry.receivedAtMs), "r", JSON.stringify(tuples)];
}

/** Whether it is an entry as this program encodes it: what waited on disk may be of another. */
export function isReportEntry(fields: readonly string[]): fields is EncodedReportEntry {
  return fields.length === 6 && fields[0] === "f" && fields[1] === ENTRY_FORMAT && fields[4] === "r";
}

/**
 * Whether both were received at the same time: nothing else may be joined. A time that a device's clock got wrong is clamped
 * to exactly a week before its report was received, and with another receive time nobody would know it for clamped.
 */
export function isOfOneTime(first: EncodedReportEntry, second: EncodedReportEntry): boolean {
  return first[3] === second[3];
}

/** The reports of both, which `isOfOneTime`: nothing is taken apart, so that it costs next to nothing. */
export function joinReportEntries(
  first: Readonly<EncodedReportEntry>,
  second: Readonly<EncodedReportEntry>,
): EncodedReportEntry {
  const [formatName, format, timeName, time, reportsName, reports] = first;
  const joined = `${reports.slice(0, -1)},${second[5].slice(1)}`;
  return [formatName, format, timeName, time, reportsName, joined];
}

const CODE_OF_EVENT: ReadonlyMap<DeviceEvent, number> = new Map(EVENTS.map((event, code) => [event, code]));

/** By name, one after the other: a loop over the names takes three times as long, and every report comes by here. */
function toTuple(report: AcceptedReport): ReportTuple {
  const { app, channel, device, version, event, atMs } = report;
  const tuple: ReportTuple = [
    app,
    channel,
    device,
    version,
    CODE_OF_EVENT.get(event)!,
    atMs,
    report.from ?? 0,
    report.id ?? 0,
    report.reason ?? 0,
    report.platform ?? 0,
    report.model ?? 0,
    report.os_version ?? 0,
    report.native_version ?? 0,
    report.crash ?? 0,
  ];
  while (tuple.length > REQUIRED_FIELDS && tuple[tuple.length - 1] === 0) tuple.pop();
  return tuple;
}

/** Characters of an unknown format that the reason quotes. */
const FORMAT_CHARS_TOLD = 40;
/** Furthest that a date can be from the epoch: what is counted must also be shown. */
const TIME_MS_MAX = 8.64e15;

function isTime(value: unknown): boolean {
  return Number.isInteger(value) && Math.abs(value as number) <= TIME_MS_MAX;
}

export function decodeReportEntry(fields: readonly string[]): DecodeResult {
  const byName = new Map<string, string>();
  for (let index = 0; index + 1 < fields.length; index += 2) byName.set(fields[index]!, fields[index + 1]!);
  if (byName.get("f") !== ENTRY_FORMAT)
    return undecodable(
      `unknown entry format ${JSON.stringify(byName.get("f")?.slice(0, FORMAT_CHARS_TOLD))}`,
    );
  const receivedAtMs = Number(byName.get("t"));
  if (!isTime(receivedAtMs)) return undecodable("no receive time");
  return decodeReports(receivedAtMs, byName.get("r") ?? "");
}

function undecodable(reason: string): DecodeResult {
  return { kind: "undecodable", reason };
}

function decodeReports(receivedAtMs: number, text: string): DecodeResult {
  let tuples: unknown;
  try {
    tuples = JSON.parse(text);
  } catch (error) {
    return undecodable(`the reports are not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(tuples)) return undecodable("the reports are not an array");
  const reports: AcceptedReport[] = [];
  for (const tuple of tuples) {
    const report = fromTuple(tuple);
    if (report === undefined)
      return undecodable(`report ${reports.length} is not in the form of format ${ENTRY_FORMAT}`);
    reports.push(report);
  }
  return { kind: "decoded", entry: { receivedAtMs, reports } };
}

/**
 * Undefined for anything that {@link toTuple} could not have made. Checked by hand and not by a schema:
 * every report passes here, and another program or an older format may have written the entry.
 */
function fromTuple(tuple: unknown): AcceptedReport | undefined {
  if (!Array.isArray(tuple)) return undefined;
  const [app, channel, device, version, event, atMs] = tuple as unknown[];
  if (!isAppOrChannel(app) || !isAppOrChannel(channel) || !isVersion(version)) return undefined;
  if (typeof device !== "string" || device === "" || !isTime(atMs)) return undefined;
  const eventName = typeof event === "number" ? EVENTS[event] : undefined;
  if (eventName === undefined || tuple.length > REQUIRED_FIELDS + OPTIONAL_TEXTS.length + 1) return undefined;
  const report: Record<string, unknown> = { app, channel, device, version, event: eventName, atMs };
  const texts = Math.min(tuple.length - REQUIRED_FIELDS, OPTIONAL_TEXTS.length);
  for (let index = 0; index < texts; index += 1) {
    const value: unknown = tuple[REQUIRED_FIELDS + index] ?? 0;
    if (value === 0) continue;
    if (typeof value !== "string") return undefined;
    report[OPTIONAL_TEXTS[index]!] = value;
  }
  const crash: unknown = tuple[REQUIRED_FIELDS + OPTIONAL_TEXTS.length] ?? 0;
  if (crash !== 0) {
    if (!isCrash(crash)) return undefined;
    report["crash"] = crash;
  }
  return report as unknown as AcceptedReport;
}

const CRASH_FIELDS: ReadonlySet<string> = new Set(["fingerprint", "message", "type"]);

function isCrash(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(([name, text]) => CRASH_FIELDS.has(name) && typeof text === "string");
}
