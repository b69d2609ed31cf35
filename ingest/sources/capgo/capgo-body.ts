// Splits the body of Capgo's plugin into its events: newer plugins send an array, older ones a single object, and so do
// background downloads on Android. Enters: bytes. Leaves: JSON values that nobody has looked at; throws the Problem of a body
// that is no JSON: it is none the next time either.
import { jsonOfBody } from "../json-body.ts";

/** Events in one request; the plugin keeps 200 at most. */
export const EVENTS_PER_REQUEST_MAX = 1_000;

export interface CapgoBody {
  readonly isBatch: boolean;
  readonly values: readonly unknown[];
  /** Events beyond the limit, which no plugin sends. */
  readonly ignored: number;
}

export function readCapgoBody(bytes: Buffer): CapgoBody {
  const value = jsonOfBody(bytes);
  if (!Array.isArray(value)) return { isBatch: false, values: [value], ignored: 0 };
  const values: readonly unknown[] = value.slice(0, EVENTS_PER_REQUEST_MAX);
  return { isBatch: true, values, ignored: value.length - values.length };
}
