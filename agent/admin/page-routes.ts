// Serves the page at the agent's root, and the runbooks that alerts and dashboards link to. Enters: nothing but the files
// beside this code, in page/ (runtime/setup.mjs and the Dockerfile copy them beside the built code), and docs/runbooks.
// Leaves: a router for `/`, `/page/…` and `/runbooks/…`, which needs no token: the page holds nothing, and asks the API for
// all it shows; runbooks are the same for everybody. Its policy lets the browser run and load only what comes
// from these files, so that no text of a device can become code.
import path from "node:path";
import { fileURLToPath } from "node:url";
import express from "express";
import type { Router } from "express";
import helmet from "helmet";
import { packageFolder } from "../../runtime/version.ts";

const PAGE_FOLDER = fileURLToPath(new URL("page/", import.meta.url));
const RUNBOOKS_FOLDER = path.join(packageFolder(), "docs/runbooks");

/** As RFC-like names of helmet; no `upgrade-insecure-requests`: the agent itself speaks plain HTTP. */
const PAGE_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  connectSrc: ["'self'"],
  imgSrc: ["'self'", "data:"],
  formAction: ["'self'"],
  baseUri: ["'none'"],
  frameAncestors: ["'none'"],
} as const;

export function pageRoutes(): Router {
  const router = express.Router();
  const policy = helmet({ contentSecurityPolicy: { useDefaults: false, directives: PAGE_POLICY } });
  // A new version of Lastgood must not be shown by an old script: the browser asks each time, and gets 304.
  const files = { cacheControl: false, setHeaders: noCache, dotfiles: "ignore", redirect: false } as const;
  router.get("/", policy, (_request, response, next) => {
    noCache(response);
    response.sendFile("index.html", { root: PAGE_FOLDER, cacheControl: false }, (error?: Error) => {
      // Called when all went well, too: then nobody else may answer.
      if (error !== undefined) next(error);
    });
  });
  router.use("/page", policy, express.static(PAGE_FOLDER, { ...files, index: false }));
  router.use(
    "/runbooks",
    policy,
    express.static(RUNBOOKS_FOLDER, { ...files, index: false, setHeaders: asText }),
  );
  return router;
}

function noCache(response: { setHeader(name: string, value: string): unknown }): void {
  response.setHeader("Cache-Control", "no-cache");
}

/** Markdown that a browser shows instead of saving it. */
function asText(response: { setHeader(name: string, value: string): unknown }): void {
  noCache(response);
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
}
