// Schema pieces that every make of OTA server is configured with. Enters: parsed YAML. Leaves: values with units.
import { z } from "zod";
import { isPlainUrl } from "../../../ingest/contract/plain-url.ts";
import { duration } from "../../../runtime/units.ts";

export const OTA_TIMEOUT_MS_LEAST = 100;
export const OTA_TIMEOUT_MS_MAX = 5 * 60_000;

/** Base URL of a server, without a slash at its end. */
export const serverUrlSchema = z
  .url({ protocol: /^https?$/, error: "must be an http:// or https:// address" })
  .refine(isPlainUrl, { error: "must be http(s)://host[:port][/path], without user, query or fragment" })
  .transform((url) => url.replace(/\/+$/, ""));

/** For one request, in milliseconds. */
export const timeoutSchema = duration
  .refine((ms) => ms >= OTA_TIMEOUT_MS_LEAST && ms <= OTA_TIMEOUT_MS_MAX, {
    error: "must be from 100ms to 5m",
  })
  .prefault("10s");

export const POLL_MS_LEAST = 1_000;
export const POLL_MS_MAX = 60 * 60_000;

/** How often a server that pushes nothing is asked what devices told it, in milliseconds. */
export const pollEverySchema = duration
  .refine((ms) => ms >= POLL_MS_LEAST && ms <= POLL_MS_MAX, { error: "must be from 1s to 1h" })
  .prefault("10s");
