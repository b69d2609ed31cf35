// The operator API's route for counts: all that is kept of one release. It reads what folding has counted, so it
// also shows releases of channels that nobody watches. Any role may ask, so nothing here holds up folding, which
// runs in the same process: windows are written as they are read.
import { once } from "node:events";
import express from "express";
import type { Request, Response, Router } from "express";
import { isAppOrChannel, isVersion } from "../../ingest/contract/release-key.ts";
import type { AppId, Channel, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import { Problem } from "../../runtime/problem.ts";
import type { HealthStore } from "../health/health-store.ts";
import { WINDOW_RETENTION_DAYS } from "../health/health-window.ts";
import type { HealthWindow } from "../health/health-window.ts";
import { viewReleaseDetail, viewWindow } from "./health-views.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

/** What of the windows is shown: with their strata added up, each stratum's, or nothing. */
const WINDOWS_SHOWN = ["summed", "all", "none"] as const;
type WindowsShown = (typeof WINDOWS_SHOWN)[number];
/** How far back windows go, in hours. */
const HOURS_DEFAULT = 24;
export const HOURS_MAX = WINDOW_RETENTION_DAYS * 24;
/** Characters of an answer that are written at once. */
const CHARS_PER_WRITE = 32_768;

export interface HealthRoutesDeps {
  readonly health: HealthStore;
  readonly clock: Clock;
}

export function healthRoutes({ health, clock }: HealthRoutesDeps): Router {
  const router = express.Router();
  router.get("/releases/:app/:channel/:version", async (request, response) => {
    const { shown, hours } = readQuery(request);
    const release = releaseOf(request.params);
    const totals = release === undefined ? undefined : await health.readRelease(release);
    // No shard knows a release of which none has taken a report in.
    if (release === undefined || totals === undefined || totals.lastReportAtMs === 0)
      throw new Problem(ADMIN_PROBLEMS.unknown_release, {
        detail: "No device has reported about this release; GET /v1/status lists those of watched channels.",
      });
    const view = viewReleaseDetail(totals, await health.readDetail(release));
    if (shown === "none") {
      response.json(view);
      return;
    }
    const windows = health.streamWindows(release, {
      sinceMinute: Math.floor(clock() / 60_000) - hours * 60,
      strata: shown === "all" ? "told_apart" : "summed",
    });
    await writeAnswer(response.type("json"), jsonOf(view, windows));
  });
  return router;
}

function readQuery({ query }: Request): { readonly shown: WindowsShown; readonly hours: number } {
  const { windows = "summed", hours: hoursText = String(HOURS_DEFAULT) } = query;
  const shown = WINDOWS_SHOWN.find((each) => each === windows);
  if (shown === undefined) throw invalidQuery(`\`windows\` must be one of ${WINDOWS_SHOWN.join(", ")}.`);
  const hours = typeof hoursText === "string" && /^\d{1,4}$/.test(hoursText) ? Number(hoursText) : 0;
  if (hours < 1 || hours > HOURS_MAX)
    throw invalidQuery(`\`hours\` must be a whole number from 1 to ${HOURS_MAX}.`);
  return { shown, hours };
}

function invalidQuery(detail: string): Problem {
  return new Problem(ADMIN_PROBLEMS.invalid_query, { detail });
}

/** The view with its windows, piece by piece. */
async function* jsonOf(
  view: Record<string, unknown>,
  windows: AsyncIterable<readonly HealthWindow[]>,
): AsyncGenerator<string> {
  let text = `${JSON.stringify(view).slice(0, -1)},"windows":[`;
  let comma = "";
  for await (const ofSlot of windows) {
    for (const window of ofSlot) {
      text += comma + JSON.stringify(viewWindow(window));
      comma = ",";
    }
    if (text.length < CHARS_PER_WRITE) continue;
    yield text;
    text = "";
  }
  yield `${text}]}`;
}

/** No faster than it is taken, and no further once whoever asked has gone. */
async function writeAnswer(response: Response, pieces: AsyncIterable<string>): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  for await (const piece of pieces) {
    if (response.closed) return;
    if (!response.write(piece)) await once(response, "drain", { signal: gone.signal }).catch(() => {});
  }
  response.end();
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
