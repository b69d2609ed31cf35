// The operator API's routes for counts: all that is kept of one release, and of one device. They read what
// folding has counted, so they also show releases of channels that nobody watches. Any role may ask.
import express from "express";
import type { Request, Router } from "express";
import { isAppOrChannel, isVersion } from "../../ingest/contract/release-key.ts";
import type { AppId, Channel, ReleaseKey } from "../../ingest/contract/release-key.ts";
import { Problem } from "../../runtime/problem.ts";
import type { HealthStore } from "../health/health-store.ts";
import { viewDevice, viewReleaseDetail } from "./health-views.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

/** What of the windows is shown: `true` all, `summed` with their strata added up, `false` none. */
const WINDOW_CHOICES = ["true", "summed", "false"] as const;
type WindowChoice = (typeof WINDOW_CHOICES)[number];

export function healthRoutes({ health }: { readonly health: HealthStore }): Router {
  const router = express.Router();
  router.get("/releases/:app/:channel/:version", async (request, response) => {
    const choice = readChoice(request);
    const release = releaseOf(request.params);
    const totals = release === undefined ? undefined : await health.readRelease(release);
    // No shard knows a release of which none has taken a report in.
    if (release === undefined || totals === undefined || totals.lastReportAtMs === 0)
      throw new Problem(ADMIN_PROBLEMS.unknown_release, {
        detail: "No device has reported about this release; GET /v1/status lists those of watched channels.",
      });
    const [detail, windows] = await Promise.all([
      health.readDetail(release),
      choice === "false" ? undefined : health.readWindows(release),
    ]);
    const areStrataSummed = choice === "summed";
    response.json(viewReleaseDetail({ health: totals, detail, windows, areStrataSummed }));
  });
  router.get("/devices/:app/:device", async (request, response) => {
    const { app, device } = request.params;
    const found = await health.readDevice(app, device);
    if (found === undefined)
      throw new Problem(ADMIN_PROBLEMS.unknown_device, {
        detail: "Check the app and the device's id; one not heard of for `retention.devices` is forgotten.",
      });
    response.json({ app, device, ...viewDevice(found) });
  });
  return router;
}

function readChoice({ query }: Request): WindowChoice {
  const { windows = "true" } = query;
  const choice = WINDOW_CHOICES.find((each) => each === windows);
  if (choice !== undefined) return choice;
  throw new Problem(ADMIN_PROBLEMS.invalid_query, {
    detail: `\`windows\` must be one of ${WINDOW_CHOICES.join(", ")}.`,
  });
}

/** Undefined for a name that no release can have. */
function releaseOf({
  app,
  channel,
  version,
}: Readonly<Record<"app" | "channel" | "version", string>>): ReleaseKey | undefined {
  if (!isAppOrChannel(app) || !isAppOrChannel(channel) || !isVersion(version)) return undefined;
  return { app: app as AppId, channel: channel as Channel, version };
}
