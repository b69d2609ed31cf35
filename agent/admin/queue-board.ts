// BullMQ's queues to look at, for admins: bull-board, which only reads here. Enters: the queues. Leaves: an Express app
// for QUEUE_BOARD_PATH. It runs under a Content-Security-Policy of its own, so that the one of the API stays as strict as it is, and asks nobody else for anything.
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { ExpressAdapter } from "@bull-board/express";
import type { Queue } from "bullmq";
import express from "express";
import type { RequestHandler, Router } from "express";
import { METHOD_NOT_ALLOWED, Problem } from "../../runtime/problem.ts";

export const QUEUE_BOARD_PATH = "/queues";

/** Its page sets styles inline, and names its base; everything comes from here. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What its page asks of other hosts: fonts, which the system's own replace. */
const FOREIGN_LINK = /<link\b[^>]*\bhref="(?:https?:)?\/\/[^"]*"[^>]*>/gi;

export function queueBoard(queues: readonly Queue[]): Router {
  const adapter = new ExpressAdapter().setBasePath(QUEUE_BOARD_PATH);
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true, allowRetries: false })),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: "Lastgood's queues", hideDocsLink: true } },
  });
  const router = express.Router();
  router.use(onlyReads, ownPolicy, withoutForeignLinks, adapter.getRouter() as RequestHandler);
  return router;
}

/** Beside its own read-only mode, which knows queues and nothing above them. */
const onlyReads: RequestHandler = (request, response, next) => {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.set("Allow", "GET, HEAD");
    throw new Problem(METHOD_NOT_ALLOWED, { detail: "The queues can only be looked at." });
  }
  next();
};

const ownPolicy: RequestHandler = (_request, response, next) => {
  response.set("Content-Security-Policy", POLICY);
  next();
};

/** Its page is rendered from a template of its own, and sent as text. */
const withoutForeignLinks: RequestHandler = (_request, response, next) => {
  const send = response.send.bind(response);
  response.send = (body: unknown) =>
    send(typeof body === "string" && body.startsWith("<!DOCTYPE") ? body.replaceAll(FOREIGN_LINK, "") : body);
  next();
};
