// A ReportEntry is the reports of one request that fall into one shard, as one Redis stream entry: one
// XADD carries up to a whole batch, which is what makes ingest fast. Enters: accepted reports with their
// clamped times. Leaves: the fields of the entry, and back. decode(encode(x)) = x is property-tested.
import { z } from "zod";
import { EVENTS } from "./device-report.ts";
import type { DeviceReport } from "./device-report.ts";
import { appIdSchema, channelSchema, versionSchema } from "./release-key.ts";

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

const OPTIONAL_TEXTS = ["from", "id", "reason", "platform", "model", "os_version", "native_version"] as const;

export function encodeReportEntry(entry: ReportEntry): [string, string, string, string, string, string] {
  const tuples = entry.reports.map(toTuple);
  return ["f", ENTRY_FORMAT, "t", String(entry.receivedAtMs), "r", JSON.stringify(tuples)];
}

function toTuple(report: AcceptedReport): ReportTuple {
  const rest: (string | object | 0)[] = OPTIONAL_TEXTS.map((name) => report[name] ?? 0);
  rest.push(report.crash ?? 0);
  while (rest.length > 0 && rest[rest.length - 1] === 0) rest.pop();
  return [
    report.app,
    report.channel,
    report.device,
    report.version,
    EVENTS.indexOf(report.event),
    report.atMs,
    ...rest,
  ];
}

// Validates what came out of Redis: another program may write there, and an old format may linger.
const optionalText = z.union([z.string(), z.literal(0)]).optional();
const tupleSchema = z.tuple(
  [
    appIdSchema,
    channelSchema,
    z.string().min(1),
    versionSchema,
    z
      .int()
      .min(0)
      .max(EVENTS.length - 1),
    z.int(),
  ],
  z.unknown(),
);
const crashOrAbsent = z
  .union([
    z.literal(0),
    z.object({
      fingerprint: z.string().optional(),
      message: z.string().optional(),
      type: z.string().optional(),
    }),
  ])
  .optional();

export function decodeReportEntry(fields: readonly string[]): DecodeResult {
  const byName = new Map<string, string>();
  for (let index = 0; index + 1 < fields.length; index += 2) byName.set(fields[index]!, fields[index + 1]!);
  if (byName.get("f") !== ENTRY_FORMAT)
    return undecodable(`unknown entry format ${JSON.stringify(byName.get("f"))}`);
  const receivedAtMs = Number(byName.get("t"));
  if (!Number.isSafeInteger(receivedAtMs)) return undecodable("no receive time");
  try {
    const tuples: unknown = JSON.parse(byName.get("r") ?? "");
    if (!Array.isArray(tuples)) return undecodable("reports are not an array");
    return { kind: "decoded", entry: { receivedAtMs, reports: tuples.map(fromTuple) } };
  } catch (error) {
    return undecodable(error instanceof z.ZodError ? z.prettifyError(error) : String(error));
  }
}

function undecodable(reason: string): DecodeResult {
  return { kind: "undecodable", reason };
}

function fromTuple(tuple: unknown): AcceptedReport {
  const [app, channel, device, version, event, atMs, ...rest] = tupleSchema.parse(tuple);
  const report: Record<string, unknown> = { app, channel, device, version, event: EVENTS[event]!, atMs };
  OPTIONAL_TEXTS.forEach((name, index) => {
    const value = optionalText.parse(rest[index]);
    if (value !== undefined && value !== 0) report[name] = value;
  });
  const crash = crashOrAbsent.parse(rest[OPTIONAL_TEXTS.length]);
  if (crash !== undefined && crash !== 0) report["crash"] = crash;
  return report as unknown as AcceptedReport;
}
