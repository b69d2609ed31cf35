// The operator API's routes for one device: what is known of it in one app, or in all. Whoever knows a device's id may
// ask for it, in any role. Enters: an id, or a name of the device table. Leaves: its story.
import express from "express";
import type { Router } from "express";
import { Problem } from "../../runtime/problem.ts";
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { DeviceView } from "../health/health-window.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { WatchedChannel } from "../jobs/watched-channel.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { viewDevice } from "./health-views.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

export interface DeviceRoutesDeps {
  readonly health: Pick<HealthStore, "readDevice" | "readDeviceByDigest">;
  readonly decisions: Pick<DecisionStore, "list">;
  readonly channels: { readonly all: readonly Pick<WatchedChannel, "key">[] };
}

/** As the scope of an incident names devices that said nothing. */
const DIGEST = /^[0-9a-f]{16}$/i;

export function deviceRoutes({ health, decisions, channels }: DeviceRoutesDeps): Router {
  const router = express.Router();
  const find = async (device: string): Promise<[app: string, view: DeviceView][]> => {
    const apps = [...new Set(channels.all.map(({ key }) => key.app))];
    const views = await Promise.all(apps.map((app) => health.readDevice(app, device)));
    return apps.flatMap((app, index): [string, DeviceView][] => {
      const view = views[index];
      return view === undefined ? [] : [[app, view]];
    });
  };
  router.get("/:device", async (request, response) => {
    const { device } = request.params;
    const namedBy = request.query["named_by"] ?? "id";
    if (namedBy !== "id" && namedBy !== "digest") throw invalidQuery("`named_by` must be id or digest.");
    if (namedBy === "digest" && !DIGEST.test(device))
      throw invalidQuery("A digest has 16 hexadecimal digits, as GET /v1/scope/<app>/<version> shows them.");
    const found = namedBy === "id" ? await find(device) : await findByDigest(health, device);
    if (found.length === 0)
      throw unknownDevice(
        "No configured app knows it: check it; a device not heard of for `retention.devices` is forgotten.",
      );
    const all = await decisions.list();
    response.json({
      device,
      apps: found.map(([app, view]) => ({ app, device, ...viewDevice(view, all) })),
    });
  });
  router.get("/:app/:device", async (request, response) => {
    const { app, device } = request.params;
    const found = await health.readDevice(app, device);
    if (found === undefined)
      throw unknownDevice(
        "Check the app and the device's id; one not heard of for `retention.devices` is forgotten.",
      );
    response.json({ app, device, ...viewDevice(found, await decisions.list()) });
  });
  return router;
}

/** A digest is of the app and the id: the app follows from what the device reported about. */
async function findByDigest(
  health: DeviceRoutesDeps["health"],
  digest: string,
): Promise<[app: string, view: DeviceView][]> {
  const view = await health.readDeviceByDigest(digest.toLowerCase());
  const [text] = view?.releases.keys() ?? [];
  return view === undefined || text === undefined ? [] : [[parseReleaseKey(text).app, view]];
}

function unknownDevice(detail: string): Problem {
  return new Problem(ADMIN_PROBLEMS.unknown_device, { detail });
}

function invalidQuery(detail: string): Problem {
  return new Problem(ADMIN_PROBLEMS.invalid_query, { detail });
}
