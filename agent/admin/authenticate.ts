// Lets operators in: by their token, or by the session that the page got for one. Tokens are held as SHA-256
// digests and looked up by digest, so the time of a comparison tells nothing about a token. Who may do what is looked
// up at each request: a change of the configuration takes effect at once. Without operators (loopback only: the
// configuration enforces it) everybody on this machine may read and act.
import type { Request, RequestHandler, Response } from "express";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { Problem } from "../../runtime/problem.ts";
import { isLoopback } from "../../runtime/units.ts";
import { digestOfToken, tokenDigestOf } from "../config/operators.ts";
import type { Operator, Role } from "../config/operators.ts";
import { refuseExpired } from "./expired-token.ts";
import type { LoginAttempts } from "./login-attempts.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";
import { requireOwnPage } from "./same-origin.ts";
import { readSessionId } from "./session-cookie.ts";
import type { SessionStore } from "./session-store.ts";

/** Who asks, and by what it is known. */
export interface Caller {
  readonly name: string;
  readonly role: Role;
  readonly via: "token" | "session" | "local";
}

/** The operators that the configuration names now. */
export type ListOperators = () => readonly Operator[];

/** Whoever is on this machine, where no operators are configured. */
const LOCAL: Caller = { name: "local", role: "admin", via: "local" };
const RANK: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

/** Who asks; {@link authenticateOperator} must stand before whoever calls this. */
export function callerOf(response: Response): Caller {
  return response.locals["caller"] as Caller;
}

/** Why the caller may change nothing and see no device ids; undefined for operators and admins. */
export function refusalOf(request: Request, response: Response): Problem | undefined {
  return refusalBelow("operator", request, response);
}

function refusalBelow(role: "operator" | "admin", request: Request, response: Response): Problem | undefined {
  const caller = callerOf(response);
  const needed = role === "admin" ? "admin" : "operator or admin";
  if (RANK[caller.role] < RANK[role])
    return new Problem(ADMIN_PROBLEMS.role_not_enough, {
      detail: `${caller.name} has the role ${caller.role}; this needs ${needed}.`,
    });
  // Without tokens, a page of another site whose name leads to 127.0.0.1 could act for its visitor: such a
  // page can't choose the Host that its visitor's browser sends.
  return caller.via === "local" ? foreignHost(request) : undefined;
}

/** By what the browser sent itself: what a proxy says of the host could have been said by anybody. */
function foreignHost({ headers }: Request): Problem | undefined {
  const host = (headers.host ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const isForwarded = Object.keys(headers).some(
    (name) => name === "forwarded" || name.startsWith("x-forwarded-"),
  );
  if (isLoopback(host) && !isForwarded) return undefined;
  return new Problem(ADMIN_PROBLEMS.foreign_host, {
    detail: "Ask under 127.0.0.1 or localhost and without a proxy, or name operators in the configuration.",
  });
}

/** Lets only operators and admins on. */
export const requireOperator: RequestHandler = (request, response, next) => {
  const refusal = refusalBelow("operator", request, response);
  if (refusal !== undefined) throw refusal;
  next();
};

/** Lets only admins on. */
export const requireAdmin: RequestHandler = (request, response, next) => {
  const refusal = refusalBelow("admin", request, response);
  if (refusal !== undefined) throw refusal;
  next();
};

export interface AuthenticateDeps {
  readonly operators: ListOperators;
  readonly sessions: SessionStore;
  readonly attempts: LoginAttempts;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A bearer token goes before a cookie. */
export function authenticateOperator(deps: AuthenticateDeps): RequestHandler {
  return async (request, response, next) => {
    response.locals["caller"] = await identify(request, response, deps);
    next();
  };
}

async function identify(request: Request, response: Response, deps: AuthenticateDeps): Promise<Caller> {
  const operators = deps.operators();
  if (operators.length === 0) {
    requireOwnPage(request, "where_told");
    return LOCAL;
  }
  response.set("WWW-Authenticate", "Bearer");
  const token = /^Bearer\s+(\S+)$/i.exec(request.get("authorization") ?? "")?.[1];
  const sessionId = readSessionId(request);
  let caller: Caller;
  if (token !== undefined) {
    const { name, role } = operatorOfBearer(token, request, operators, deps);
    caller = { name, role, via: "token" };
  } else if (sessionId !== undefined) {
    const { name, role } = await deps.sessions.use(sessionId, operators);
    caller = { name, role, via: "session" };
    requireOwnPage(request, "always");
  } else
    throw new Problem(ADMIN_PROBLEMS.missing_token, {
      detail: "Send `Authorization: Bearer <operator token>`.",
    });
  response.removeHeader("WWW-Authenticate");
  return caller;
}

/**
 * Guessing must not pay: an address that tried many tokens waits, and whether its next one is right it does not learn.
 * Only other tokens count: a job that goes on with an old one locks nobody out who comes from the same address.
 */
function operatorOfBearer(
  token: string,
  request: Request,
  operators: readonly Operator[],
  { attempts, clock, logger }: AuthenticateDeps,
): Operator {
  refuseTooMany(attempts, request);
  try {
    return operatorOf(token, operators, clock());
  } catch (error) {
    if (error instanceof Problem && error.kind === ADMIN_PROBLEMS.unknown_token) {
      attempts.fail(addressOf(request), digestOfToken(token));
      if (attempts.waitMs(addressOf(request)) > 0)
        logger.warn({ address: addressOf(request) }, "an address tried many wrong tokens, and has to wait");
    }
    throw error;
  }
}

/** By `X-Forwarded-For` where a trusted proxy wrote it. */
export function addressOf(request: Request): string {
  return request.ip ?? "";
}

export function refuseTooMany(attempts: LoginAttempts, request: Request): void {
  const waitMs = attempts.waitMs(addressOf(request));
  if (waitMs === 0) return;
  const retryAfterSeconds = Math.ceil(waitMs / 1_000);
  throw new Problem(ADMIN_PROBLEMS.too_many_attempts, {
    detail: `Too many attempts from this address failed: wait ${retryAfterSeconds} s, then use a token of the configuration.`,
    retryAfterSeconds,
  });
}

/** Throws why the token lets nobody in. */
export function operatorOf(token: string, operators: readonly Operator[], nowMs: number): Operator {
  const operator = byDigest(operators).get(digestOfToken(token));
  if (operator === undefined)
    throw new Problem(ADMIN_PROBLEMS.unknown_token, {
      detail: "No operator in the configuration has this token.",
    });
  refuseExpired(operator, nowMs);
  return operator;
}

const indexes = new WeakMap<readonly Operator[], ReadonlyMap<string, Operator>>();

/** Made once for each list: a reload of the configuration brings a new one. */
function byDigest(operators: readonly Operator[]): ReadonlyMap<string, Operator> {
  let index = indexes.get(operators);
  if (index === undefined) {
    index = new Map(operators.map((operator) => [tokenDigestOf(operator), operator]));
    indexes.set(operators, index);
  }
  return index;
}
