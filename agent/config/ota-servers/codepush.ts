// `ota_server: { type: codepush }`: a CodePush server of one's own (code-push-server and its forks), by its management API.
// Enters: parsed YAML. Leaves: which deployment each channel is.
import { z } from "zod";
import { channelSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel } from "../../../ingest/contract/release-key.ts";
import { secretText } from "../../../ingest/contract/settings.ts";
import { serverUrlSchema, timeoutSchema } from "./server-fields.ts";

export interface CodePushOtaServerSettings {
  readonly type: "codepush";
  /** Without a slash at the end. */
  readonly url: string;
  readonly accessKey: string;
  /** As it stands in `/apps/<app>`: of an app that is shared, `owner@mail:name`. */
  readonly app: string;
  /** Deployment of each channel; a channel that is not named here is the deployment of the same name. */
  readonly deployments: ReadonlyMap<Channel, string>;
  /** For one request. */
  readonly timeoutMs: number;
}

export const codePushServerSchema = z
  .strictObject({
    type: z.literal("codepush"),
    url: serverUrlSchema,
    access_key: secretText,
    app: z.string().min(1),
    channels: z.record(channelSchema, z.strictObject({ deployment: z.string().min(1) })).prefault({}),
    timeout: timeoutSchema,
  })
  .transform(({ type, url, access_key, app, channels, timeout }): CodePushOtaServerSettings => ({
    type,
    url,
    accessKey: access_key,
    app,
    deployments: new Map(
      Object.entries(channels).map(([channel, { deployment }]) => [channel as Channel, deployment]),
    ),
    timeoutMs: timeout,
  }));
