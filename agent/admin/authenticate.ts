// Lets operators in by their token. Tokens are held as SHA-256 digests and looked up by digest, so the
// time of a comparison tells nothing about a token. Without operators (loopback only: the configuration
// enforces it) everybody on this machine may read and act.
import { createHash } from "node:crypto";
import type { Request, RequestHandler, Response } from "express";
import { Problem } from "../../runtime/problem.ts";
import { isLoopback } from "../../runtime/units.ts";
import type { Operator } from "../config/schema.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

/** Who asks. */
export type Caller = Pick<Operator, "name" | "role">;

/** Whoever is on this machine, where no operators are configured. */
const LOCAL: Caller = { name: "local", role: "admin" };
const RANK: Readonly<Record<Operator["role"], number>> = { viewer: 0, operator: 1, admin: 2 };

/** Who asks; {@link authenticateOperator} must stand before whoever calls this. */
export function callerOf(response: Response): Caller {
  return response.locals["caller"] as Caller;
}

/** Why the caller may change nothing and see no device ids; undefined for operators and admins. */
export function refusalOf(request: Request, response: Response): Problem | undefined {
  const caller = callerOf(response);
  if (RANK[caller.role] < RANK.operator)
    return new Problem(ADMIN_PROBLEMS.role_not_enough, {
      detail: `${caller.name} has the role ${caller.role}; this needs operator or admin.`,
    });
  // Without tokens, a page of another site whose name leads to 127.0.0.1 could act for its visitor: such a
  // page can't choose the Host that its visitor's browser sends.
  if (caller === LOCAL && !isLoopback(request.hostname.replace(/^\[|\]$/g, "")))
    return new Problem(ADMIN_PROBLEMS.foreign_host, {
      detail: "Ask under 127.0.0.1 or localhost, or name operators in the configuration.",
    });
  return undefined;
}

/** Lets only operators and admins on. */
export const requireOperator: RequestHandler = (request, response, next) => {
  const refusal = refusalOf(request, response);
  if (refusal !== undefined) throw refusal;
  next();
};

export function authenticateOperator(operators: readonly Operator[]): RequestHandler {
  const byDigest = new Map<string, Caller>(operators.map((operator) => [digest(operator.token), operator]));
  return (request, response, next) => {
    if (byDigest.size === 0) {
      response.locals["caller"] = LOCAL;
      next();
      return;
    }
    const token = /^Bearer\s+(\S+)$/i.exec(request.get("authorization") ?? "")?.[1];
    response.set("WWW-Authenticate", "Bearer");
    if (token === undefined)
      throw new Problem(ADMIN_PROBLEMS.missing_token, {
        detail: "Send `Authorization: Bearer <operator token>`.",
      });
    const caller = byDigest.get(digest(token));
    if (caller === undefined)
      throw new Problem(ADMIN_PROBLEMS.unknown_token, {
        detail: "No operator in the configuration has this token.",
      });
    response.removeHeader("WWW-Authenticate");
    response.locals["caller"] = caller;
    next();
  };
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
