// The last handler of a path: whatever method came here is none that the path takes. Leaves: 405 with `Allow`.
import type { RequestHandler } from "express";
import { problem } from "../problems.ts";

export function allowOnly(...methods: readonly string[]): RequestHandler {
  const allowed = methods.join(", ");
  return (request, response) => {
    response.set("Allow", allowed);
    throw problem("method_not_allowed", `${request.method} is not taken here; use ${allowed}.`);
  };
}
