// `ota_server: { type: capgo }`: Capgo, hosted or one's own, by its public API. Enters: parsed YAML. Leaves: the API key,
// which app it is there, and what its channels are called there.
import { z } from "zod";
import { channelSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel } from "../../../ingest/contract/release-key.ts";
import { secretText } from "../../../ingest/contract/settings.ts";
import { serverUrlSchema, timeoutSchema } from "./server-fields.ts";

export interface CapgoOtaServerSettings {
  readonly type: "capgo";
  /** Without a slash at the end. */
  readonly url: string;
  readonly apiKey: string;
  /** Null = the same as Lastgood's. */
  readonly appId: string | null;
  /** Channels that are not named here have the same name at Capgo. */
  readonly channels: ReadonlyMap<Channel, string>;
  /** For one request. */
  readonly timeoutMs: number;
}

/** Where Capgo's own cloud answers. */
export const CAPGO_URL_DEFAULT = "https://api.capgo.app";

const nameAtCapgo = z
  .string({ error: "write { channel: <its name at Capgo> }" })
  .min(1, { error: "write the channel's name at Capgo" });

export const capgoServerSchema = z
  .strictObject({
    type: z.literal("capgo"),
    url: serverUrlSchema.prefault(CAPGO_URL_DEFAULT),
    api_key: secretText,
    app_id: z
      .string()
      .min(1, { error: "write the app's id at Capgo, or leave it out" })
      .nullable()
      .default(null),
    channels: z
      .record(
        channelSchema,
        z.strictObject({ channel: nameAtCapgo }, { error: "write { channel: <its name at Capgo> }" }),
      )
      .prefault({}),
    timeout: timeoutSchema,
  })
  .transform(({ type, url, api_key, app_id, channels, timeout }): CapgoOtaServerSettings => ({
    type,
    url,
    apiKey: api_key,
    appId: app_id,
    channels: new Map(
      (Object.entries(channels) as [Channel, { readonly channel: string }][]).map(([channel, named]) => [
        channel,
        named.channel,
      ]),
    ),
    timeoutMs: timeout,
  }));
