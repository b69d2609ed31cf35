// `ota_server: { type: http }`: a server of one's own that speaks docs/ota-server-http.md.
import { z } from "zod";
import { secretText } from "../../../ingest/contract/settings.ts";
import { serverUrlSchema, timeoutSchema } from "./server-fields.ts";

export interface HttpOtaServerSettings {
  readonly type: "http";
  /** Without a slash at the end. */
  readonly url: string;
  readonly secret: string;
  /** For one request. */
  readonly timeoutMs: number;
}

export const httpServerSchema = z
  .strictObject({
    type: z.literal("http"),
    url: serverUrlSchema,
    secret: secretText,
    timeout: timeoutSchema,
  })
  .transform(({ type, url, secret, timeout }): HttpOtaServerSettings => ({
    type,
    url,
    secret,
    timeoutMs: timeout,
  }));
