// POST /hot-updater/reports: what apps with hot-updater found at their start, sent by a hook of their own with an ingest
// key (docs/recipes/hot-updater.md).
import type { Router } from "express";
import { keyedEventsRouter } from "../keyed-events-route.ts";
import type { SourceDeps } from "../source.ts";
import { readNotifyEvent } from "./notify-event.ts";

export const HOT_UPDATER_ROUTE = "/hot-updater/reports";

export function hotUpdaterRouter(deps: SourceDeps): Router {
  return keyedEventsRouter({ path: HOT_UPDATER_ROUTE, source: "hot_updater", read: readNotifyEvent }, deps);
}
