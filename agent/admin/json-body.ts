// JSON bodies of the operator API: asked for by name, bounded, and with our own words for what is wrong with them. Enters:
// a request. Leaves: what a schema makes of its body, or a Problem.
import express from "express";
import type { Request, RequestHandler } from "express";
import type { z } from "zod";
import { isTooDeep, tooDeep } from "../../runtime/json.ts";
import { Problem } from "../../runtime/problem.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";
import { requireJson } from "./same-origin.ts";

/** Mistakes of a body that are told. */
const PROBLEMS_TOLD_MAX = 10;
/** Bytes of a body: room for as many ids as may be named at once. */
const BODY_BYTES_MAX = 128 * 1_024;

/** Asked for by name: what a page of another site can send without asking first is never JSON. */
const jsonOnly: RequestHandler = (request, _response, next) => {
  requireJson(request);
  next();
};

/** Stands before every handler that reads a body. */
export const jsonBody: readonly RequestHandler[] = jsonBodyOf(BODY_BYTES_MAX);

export function jsonBodyOf(bytesMax: number): RequestHandler[] {
  return [jsonOnly, express.json({ limit: bytesMax, type: () => true, strict: true, verify: refuseDepth })];
}

function refuseDepth(_request: unknown, _response: unknown, bytes: Buffer): void {
  if (isTooDeep(bytes.toString("utf8")))
    throw new Problem(ADMIN_PROBLEMS.invalid_body, { detail: tooDeep() });
}

/** `hint` shows a right body. */
export function parseBody<S extends z.ZodType>(schema: S, request: Request, hint: string): z.infer<S> {
  const { success, data, error } = schema.safeParse(request.body ?? {});
  if (success) return data;
  const more = error.issues.length - PROBLEMS_TOLD_MAX;
  const problems = error.issues
    .slice(0, PROBLEMS_TOLD_MAX)
    .map(({ path, message }) => `${path.join(".") || "body"}: ${message}`)
    .concat(more > 0 ? [`and ${more} more`] : [])
    .join("; ");
  throw new Problem(ADMIN_PROBLEMS.invalid_body, { detail: `${problems}. ${hint}` });
}

/** What Express's reader of JSON threw, as one of our own; undefined for anything else. */
export function bodyProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !("type" in error) || !("status" in error)) return undefined;
  if (error.type === "entity.too.large")
    return new Problem(ADMIN_PROBLEMS.body_too_large, { detail: `Send at most ${BODY_BYTES_MAX} bytes.` });
  if (typeof error.status !== "number" || error.status < 400 || error.status > 499) return undefined;
  return new Problem(ADMIN_PROBLEMS.invalid_body, {
    detail: `The body could not be read: ${error.message}.`,
  });
}
