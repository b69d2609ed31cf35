// `GET /openapi.json`: the description of the operator API, for whoever builds on it. Made when it is first asked for.
import express from "express";
import type { Router } from "express";
import { lastgoodVersion } from "../../../runtime/version.ts";
import { openApiDocument } from "./document.ts";
import { DOCUMENTED_ROUTES } from "./documented-routes.ts";

export function openApiRoutes(): Router {
  const router = express.Router();
  let text: string | undefined;
  router.get("/openapi.json", (_request, response) => {
    text ??= JSON.stringify(openApiDocument(DOCUMENTED_ROUTES, lastgoodVersion()));
    response.type("json").send(text);
  });
  return router;
}
