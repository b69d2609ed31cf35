// The body of another system's request as JSON. Pure. Enters: its bytes. Leaves: a value that nobody has looked at; throws the
// Problem of a body that is none: it is none the next time either.
import { readJson } from "../../runtime/json.ts";
import { problem } from "../problems.ts";

/** Damaged UTF-8 spoils a text, and not what is beside it. `depthMax`: where {@link readJson} has its own. */
export function jsonOfBody(bytes: Buffer, depthMax?: number): unknown {
  const parsed = readJson(new TextDecoder().decode(bytes), depthMax);
  if (parsed.kind === "malformed") throw problem("malformed_json", parsed.detail);
  return parsed.value;
}
