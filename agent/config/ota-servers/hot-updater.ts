// `ota_server: { type: hot_updater }`: a hot-updater server of one's own (`@hot-updater/server` with its bundles routes).
// Enters: parsed YAML. Leaves: which of the server's channels, for which platform, each channel is. There is no default:
// the server offers a bundle to one platform, so a channel of Lastgood is one platform of a channel there.
import { z } from "zod";
import { channelSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel } from "../../../ingest/contract/release-key.ts";
import { serverUrlSchema, timeoutSchema } from "./server-fields.ts";

export interface HotUpdaterTarget {
  readonly channel: string;
  readonly platform: "ios" | "android";
}

export interface HotUpdaterOtaServerSettings {
  readonly type: "hot_updater";
  /** The server's base path, without a slash at the end. */
  readonly url: string;
  /** Sent with each request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly channels: ReadonlyMap<Channel, HotUpdaterTarget>;
  /** For one request. */
  readonly timeoutMs: number;
}

/** Of RFC 9110, 5.1; what fetch sets itself would be overwritten or refused there. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "content-type",
  "host",
  "transfer-encoding",
]);
/** Visible ASCII with spaces and tabs inside: what goes over the wire as it stands. */
const HEADER_VALUE = /^[!-~](?:[\t -~]*[!-~])?$/;

const headersSchema = z
  .record(
    z
      .string()
      .regex(HEADER_NAME, { error: "is no name that a header may have" })
      .refine((name) => !OWN_HEADERS.has(name.toLowerCase()), {
        error: "is set by Lastgood itself: leave it out",
      }),
    z.string().regex(HEADER_VALUE, { error: "must be printable ASCII, such as Bearer ${OTA_TOKEN}" }),
  )
  .prefault({});

const targetSchema = z.strictObject({
  channel: z.string().min(1),
  platform: z.enum(["ios", "android"], { error: "must be ios or android: a bundle is for one of them" }),
});

export const hotUpdaterServerSchema = z
  .strictObject({
    type: z.literal("hot_updater"),
    url: serverUrlSchema,
    headers: headersSchema,
    channels: z
      .record(channelSchema, targetSchema, {
        error:
          "name each channel: production-ios: { channel: production, platform: ios }, and one for android",
      })
      .refine((channels) => Object.keys(channels).length > 0, {
        error: "name at least one: production-ios: { channel: production, platform: ios }",
      }),
    timeout: timeoutSchema,
  })
  .transform(({ type, url, headers, channels, timeout }): HotUpdaterOtaServerSettings => ({
    type,
    url,
    headers,
    channels: new Map(Object.entries(channels) as [Channel, HotUpdaterTarget][]),
    timeoutMs: timeout,
  }));
