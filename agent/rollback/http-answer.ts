// What every make of OTA server reads out of an HTTP answer: JSON that may be none, the server's own words, and what a
// status that is no success means for the executor. Enters: an answer and the name of its call. Leaves: values.
import { z } from "zod";
import type { Clock } from "../../runtime/clock.ts";
import { readJson } from "../../runtime/json.ts";
import { printable, readRetryAfterMs } from "./http-call.ts";
import type { HttpAnswer } from "./http-call.ts";
import type { Refused, Unavailable } from "./ota-server.ts";

/** A call that came back with something to read, and the name to speak of it by. */
export interface NamedAnswer {
  readonly call: string;
  readonly answer: HttpAnswer;
}

/** Undefined for text that is not JSON, or nests too deep: no schema of an answer takes that. */
export function parseJson(text: string): unknown {
  const read = readJson(text);
  return read.kind === "value" ? read.value : undefined;
}

// Of the 4xx only these pass by themselves (RFC 9110 15.5.9, RFC 8470, RFC 6585).
const PASSING_CLIENT_ERRORS: ReadonlySet<number> = new Set([408, 425, 429]);

/** Every status that does not promise what was asked. A 2xx is tried again then; a remedy is added to the status's text. */
export function notDone(
  { call, answer }: NamedAnswer,
  clock: Clock,
  remedies: Readonly<Record<number, string>> = {},
): Refused | Unavailable {
  const { status } = answer;
  const detail = `${call} answered ${status}${quote(answer)}${remedies[status] ?? ""}`;
  if (status >= 400 && status < 500 && !PASSING_CLIENT_ERRORS.has(status)) return { kind: "refused", detail };
  const retryAfterMs = readRetryAfterMs(answer.headers, clock);
  return { kind: "unavailable", detail, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

const saidSchema = z.union([
  z.object({ detail: z.string() }).transform(({ detail }) => detail),
  z.object({ message: z.string() }).transform(({ message }) => message),
  z.object({ error: z.string() }).transform(({ error }) => error),
]);

/** The server's own words, from problem+json or a common look-alike; else the start of the text. */
export function quote({ text }: HttpAnswer): string {
  const said = saidSchema.safeParse(parseJson(text));
  const words = printable(said.success ? said.data : text);
  return words === "" ? "" : `: ${words}`;
}

/** An answer that is in no form that the make has. `unlike`: `", but not as hawkBit does"`. */
export function unreadable({ call, answer }: NamedAnswer, error: z.ZodError, unlike: string): Unavailable {
  const problems = error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
  return {
    kind: "unavailable",
    detail: `${call} answered ${answer.status}${unlike}: ${printable(problems.join("; "))}`,
  };
}
