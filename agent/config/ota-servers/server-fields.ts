// Schema pieces that every make of OTA server is configured with. Enters: parsed YAML. Leaves: values with units.
import { z } from "zod";
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

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return true;
  const { username, password, search, hash } = new URL(text);
  return username === "" && password === "" && search === "" && hash === "";
}
