// The operator API's routes for the page: sign in with a token, sign out, and who one is. Signing in and out stands
// before the check of who asks. Enters: a token. Leaves: a cookie that no script reads.
import express from "express";
import type { RequestHandler, Router } from "express";
import { z } from "zod";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { Problem } from "../../runtime/problem.ts";
import { addressOf, callerOf, operatorOf, refuseTooMany } from "./authenticate.ts";
import type { ListOperators } from "./authenticate.ts";
import { jsonBody, parseBody } from "./json-body.ts";
import type { LoginAttempts } from "./login-attempts.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";
import { requireOwnPage } from "./same-origin.ts";
import { clearSessionCookie, readSessionId, setSessionCookie } from "./session-cookie.ts";
import type { SessionStore } from "./session-store.ts";

export const signInSchema = z.strictObject({ token: z.string().min(1) });

export interface SessionRoutesDeps {
  readonly operators: ListOperators;
  readonly sessions: SessionStore;
  /** Shared with whoever checks bearer tokens. */
  readonly attempts: LoginAttempts;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function sessionRoutes(deps: SessionRoutesDeps): Router {
  const { operators, sessions, attempts, clock, logger } = deps;
  const router = express.Router();
  const fromOwnPage: RequestHandler = (request, _response, next) => {
    requireOwnPage(request, "where_told");
    next();
  };
  router.post("/session", fromOwnPage, ...jsonBody, async (request, response) => {
    const all = operators();
    if (all.length === 0)
      throw new Problem(ADMIN_PROBLEMS.sessions_not_needed, {
        detail: "No operators are configured: whoever is on this machine may read and act.",
      });
    refuseTooMany(attempts, request);
    const { token } = parseBody(signInSchema, request, 'Send {"token": "<operator token>"}.');
    let name: string;
    try {
      const operator = operatorOf(token, all, clock());
      setSessionCookie(request, response, await sessions.create(operator));
      name = operator.name;
    } catch (error) {
      if (error instanceof Problem) {
        attempts.fail(addressOf(request));
        logger.warn({ address: addressOf(request), code: error.kind.code }, "somebody failed to sign in");
      }
      throw error;
    }
    const before = readSessionId(request);
    if (before !== undefined) await sessions.end(before);
    logger.info({ operator: name, address: addressOf(request) }, "an operator signed in");
    response.status(204).end();
  });
  router.delete("/session", fromOwnPage, async (request, response) => {
    const id = readSessionId(request);
    if (id !== undefined) {
      requireOwnPage(request, "always");
      await sessions.end(id);
    }
    clearSessionCookie(request, response);
    response.status(204).end();
  });
  return router;
}

/** `GET /whoami`: behind the check of who asks. */
export const whoami: RequestHandler = (_request, response) => {
  const { name, role, via } = callerOf(response);
  response.json({ name, role, via });
};
