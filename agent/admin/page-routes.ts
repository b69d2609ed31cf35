// Serves the page at the agent's root. Enters: nothing but the files beside this code, in page/ (runtime/setup.mjs
// and the Dockerfile copy them beside the built code). Leaves: a router for `/` and `/page/…`, which needs no token:
// the page holds nothing, and asks the API for all it shows. Its policy lets the browser run and load only what comes
// from these files, so that no text of a device can become code.
import { fileURLToPath } from "node:url";
import express from "express";
import type { Router } from "express";
import helmet from "helmet";

const PAGE_FOLDER = fileURLToPath(new URL("page/", import.meta.url));

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
    response.sendFile("index.html", { root: PAGE_FOLDER, cacheControl: false }, next);
  });
  router.use("/page", policy, express.static(PAGE_FOLDER, { ...files, index: false }));
  return router;
}

function noCache(response: { setHeader(name: string, value: string): unknown }): void {
  response.setHeader("Cache-Control", "no-cache");
}
