// `ota_server: { type: mender }`: a Mender server, hosted or one's own, by its management API. Enters: parsed YAML.
// Leaves: which group of devices each channel is, and how an artifact's name tells the version.
import { z } from "zod";
import { channelSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel } from "../../../ingest/contract/release-key.ts";
import { secretText } from "../../../ingest/contract/settings.ts";
import { pollEverySchema, serverUrlSchema, timeoutSchema } from "./server-fields.ts";

/** The deployments to one group of devices, or those to all devices: each is what a channel is here. */
export type MenderTarget =
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "all_devices" };

export interface MenderOtaServerSettings {
  readonly type: "mender";
  /** Without a slash at the end. */
  readonly url: string;
  /** Personal access token. */
  readonly token: string;
  /** Channels that are not named here are the group of the same name. */
  readonly channels: ReadonlyMap<Channel, MenderTarget>;
  /** Its group `version` is the version; null = an artifact's name is one. */
  readonly artifact: RegExp | null;
  /** For one request. */
  readonly timeoutMs: number;
  /** How often it is asked what devices told it. */
  readonly pollEveryMs: number;
}

const TARGET_ERROR = { error: "write { group: <its name at Mender> } or { all_devices: true }" };
const targetSchema = z.union(
  [
    z
      .strictObject({ group: z.string().min(1) })
      .transform(({ group }): MenderTarget => ({ kind: "group", group })),
    z.strictObject({ all_devices: z.literal(true) }).transform((): MenderTarget => ({ kind: "all_devices" })),
  ],
  TARGET_ERROR,
);

const artifactSchema = z
  .string()
  .transform((text, context) => {
    const pattern = compile(text);
    if (pattern !== undefined && text.includes("(?<version>")) return pattern;
    context.addIssue({
      code: "custom",
      message:
        pattern === undefined
          ? "is not a regular expression"
          : 'must name the part that is the version, such as "^till-(?<version>.+)$"',
    });
    return z.NEVER;
  })
  .nullable()
  .default(null);

function compile(text: string): RegExp | undefined {
  try {
    return new RegExp(text, "u");
  } catch {
    return undefined;
  }
}

export const menderServerSchema = z
  .strictObject({
    type: z.literal("mender"),
    url: serverUrlSchema,
    token: secretText,
    channels: z.record(channelSchema, targetSchema).prefault({}),
    artifact: artifactSchema,
    timeout: timeoutSchema,
    poll_every: pollEverySchema,
  })
  .transform(({ type, url, token, channels, artifact, timeout, poll_every }): MenderOtaServerSettings => ({
    type,
    url,
    token,
    channels: new Map(Object.entries(channels) as [Channel, MenderTarget][]),
    artifact,
    timeoutMs: timeout,
    pollEveryMs: poll_every,
  }));
