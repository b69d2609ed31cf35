// A DeviceReport is what one device says happened: the first value of the pipeline. Enters: one parsed
// JSON value of `POST /v1/reports`. Leaves: a validated report whose time is epoch milliseconds, still
// on the device's clock (the stream writer clamps it, because only the receiver knows "now").
import { z } from "zod";
import { appIdSchema, channelSchema, versionSchema } from "./release-key.ts";

/** The closed list of native events, in the order that gives each its code in a stream entry: append only. */
export const EVENTS = [
  "update_started",
  "download_failed",
  "installed",
  "install_failed",
  "confirmed",
  "reverted",
  "crashed",
  "not_responding",
  "active",
] as const;
export type DeviceEvent = (typeof EVENTS)[number];

/** Longest device id, in UTF-16 code units. */
export const DEVICE_ID_CHARS_MAX = 128;
/** Longest value of a stratum, a reason or a reporter's id, in UTF-16 code units. */
export const TEXT_CHARS_MAX = 128;
/** Longest crash message kept, in UTF-16 code units; longer ones are cut, never rejected. */
export const CRASH_MESSAGE_CHARS_MAX = 512;
/** Reports in one request. */
export const REPORTS_PER_REQUEST_MAX = 10_000;

// oxlint-disable-next-line no-control-regex -- control characters are exactly what must not pass
const noControlCharacters = /^[^\u0000-\u001f\u007f]*$/;
const text = z.string().max(TEXT_CHARS_MAX).regex(noControlCharacters, "must not hold control characters");

/** RFC 3339 (a zone is required) or epoch milliseconds; leaves as epoch milliseconds. */
const time = z.union(
  [
    z.iso.datetime({ offset: true, local: false }).transform((value) => Date.parse(value)),
    z.number().min(-8.64e15).max(8.64e15).transform(Math.trunc),
  ],
  "must be a time: RFC 3339 with a zone, such as 2026-01-31T12:00:00Z, or epoch milliseconds",
);

const crashSchema = z.object({
  fingerprint: text.optional(),
  message: z
    .string()
    .transform((message) => message.slice(0, CRASH_MESSAGE_CHARS_MAX))
    .optional(),
  type: text.optional(),
});

export const deviceReportSchema = z.object({
  app: appIdSchema,
  channel: channelSchema,
  device: z
    .string()
    .min(1)
    .max(DEVICE_ID_CHARS_MAX)
    .regex(noControlCharacters, "must not hold control characters"),
  version: versionSchema,
  event: z.enum(EVENTS),
  at: time.optional(),
  from: versionSchema.optional(),
  id: text.optional(),
  reason: text.optional(),
  crash: crashSchema.optional(),
  platform: text.optional(),
  model: text.optional(),
  os_version: text.optional(),
  native_version: text.optional(),
});

export type DeviceReport = z.infer<typeof deviceReportSchema>;

/** How far a device's clock may be off before its time is clamped (design 3.1). */
export const REPORT_AGE_MS_MAX = 7 * 24 * 3_600_000;
export const REPORT_AHEAD_MS_MAX = 5 * 60_000;

export type ClockSkew = "none" | "past" | "future";

/** Clamps a device's time to [received - 7 d, received + 5 min]; a report without a time happened when received. */
export function clampReportTime(
  at: number | undefined,
  receivedAtMs: number,
): { atMs: number; skew: ClockSkew } {
  if (at === undefined) return { atMs: receivedAtMs, skew: "none" };
  const earliest = receivedAtMs - REPORT_AGE_MS_MAX;
  const latest = receivedAtMs + REPORT_AHEAD_MS_MAX;
  if (at < earliest) return { atMs: earliest, skew: "past" };
  if (at > latest) return { atMs: latest, skew: "future" };
  return { atMs: at, skew: "none" };
}
