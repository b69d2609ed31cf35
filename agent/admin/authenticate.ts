// Lets operators in by their token. Tokens are held as SHA-256 digests and looked up by digest, so the
// time of a comparison tells nothing about a token. Without operators (loopback only: the configuration
// enforces it) everybody on this machine may read.
import { createHash } from "node:crypto";
import type { RequestHandler } from "express";
import { Problem } from "../../runtime/problem.ts";
import type { Operator } from "../config/schema.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

export function authenticateOperator(operators: readonly Operator[]): RequestHandler {
  const byDigest = new Map(operators.map((operator) => [digest(operator.token), operator.name]));
  return (request, response, next) => {
    if (byDigest.size === 0) {
      next();
      return;
    }
    const token = /^Bearer\s+(\S+)$/i.exec(request.get("authorization") ?? "")?.[1];
    response.set("WWW-Authenticate", "Bearer");
    if (token === undefined)
      throw new Problem(ADMIN_PROBLEMS.missing_token, {
        detail: "Send `Authorization: Bearer <operator token>`.",
      });
    if (!byDigest.has(digest(token)))
      throw new Problem(ADMIN_PROBLEMS.unknown_token, {
        detail: "No operator in the configuration has this token.",
      });
    response.removeHeader("WWW-Authenticate");
    next();
  };
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
