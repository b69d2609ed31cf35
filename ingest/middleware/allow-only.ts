// The last handler of a path: whatever method came here is none that the path takes. Leaves: 405 with `Allow`.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Problem } from "../../runtime/problem.ts";
import { problem } from "../problems.ts";

export function allowOnly(
  ...methods: readonly string[]
): (request: IncomingMessage, response: ServerResponse) => never {
  const allowed = methods.join(", ");
  return (request, response) => {
    throw refuseMethod(request, response, allowed);
  };
}

/** What to answer to a method that is not taken; `Allow` is set on the answer. */
export function refuseMethod(request: IncomingMessage, response: ServerResponse, allowed: string): Problem {
  response.setHeader("Allow", allowed);
  return problem("method_not_allowed", `${request.method} is not taken here; use ${allowed}.`);
}
