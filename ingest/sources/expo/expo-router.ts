// POST /expo/manifest-requests: the headers of manifest requests, handed on by the update server that had them, with an
// ingest key (docs/recipes/expo.md).
import type { Router } from "express";
import { keyedEventsRouter } from "../keyed-events-route.ts";
import type { SourceDeps } from "../source.ts";
import { readManifestRequest } from "./manifest-event.ts";

export const EXPO_ROUTE = "/expo/manifest-requests";

export function expoRouter(deps: SourceDeps): Router {
  return keyedEventsRouter({ path: EXPO_ROUTE, source: "expo", read: readManifestRequest }, deps);
}
