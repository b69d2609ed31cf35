// The operator API's route for the scope of an incident: everything about one version, on every channel or one. Any role
// reads the counts; which devices they are is for whoever may act.
import express from "express";
import type { Request, Router } from "express";
import { isAppOrChannel, isVersion } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import { Problem } from "../../runtime/problem.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { WatchedChannel } from "../jobs/watched-channel.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { refusalOf } from "./authenticate.ts";
import { HOURS_MAX } from "./health-routes.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";
import { viewScope } from "./scope-views.ts";
import type { ChannelScope } from "./scope-views.ts";

/** How far back the counts over time go, in hours. All other counts are of all time. */
const SCOPE_HOURS_DEFAULT = 7 * 24;

export interface ScopeRoutesDeps {
  readonly health: HealthStore;
  readonly decisions: Pick<DecisionStore, "list">;
  readonly channels: { readonly all: readonly Pick<WatchedChannel, "key">[] };
  readonly clock: Clock;
}

export function scopeRoutes({ health, decisions, channels, clock }: ScopeRoutesDeps): Router {
  const router = express.Router();
  router.get("/:app/:version", async (request, response) => {
    const { app, version } = request.params;
    const channel = readChannel(request);
    const sinceMinute = Math.floor(clock() / 60_000) - readHours(request) * 60;
    const found = isAppOrChannel(app) && isVersion(version) ? await health.findReleases(app, version) : [];
    const releases = found.filter((release) => channel === undefined || release.channel === channel);
    if (releases.length === 0) throw unknownRelease({ app, version, channel, found, channels: channels.all });
    const scopes: ChannelScope[] = [];
    // One after the other: each is as much as the page of a release, and folding runs in the same process.
    for (const release of releases) scopes.push(await readScope(health, release, sinceMinute));
    const ids = refusalOf(request, response) === undefined ? "shown" : "hidden";
    response.json(
      viewScope({
        app,
        version,
        nowMs: clock(),
        channels: scopes,
        decisions: await decisions.list(),
        ids,
      }),
    );
  });
  return router;
}

async function readScope(
  health: HealthStore,
  release: ReleaseKey,
  sinceMinute: number,
): Promise<ChannelScope> {
  const [totals, detail, examples, windows] = await Promise.all([
    health.readRelease(release),
    health.readDetail(release),
    health.readExamples(release),
    health.readWindows(release, { sinceMinute, strata: "summed" }),
  ]);
  return { release, health: totals, detail, examples, windows };
}

function readChannel({ query: { channel } }: Request): string | undefined {
  if (channel === undefined || isAppOrChannel(channel)) return channel;
  throw new Problem(ADMIN_PROBLEMS.invalid_query, { detail: "`channel` must be the name of one channel." });
}

function readHours({ query: { hours = String(SCOPE_HOURS_DEFAULT) } }: Request): number {
  const value = typeof hours === "string" && /^\d{1,4}$/.test(hours) ? Number(hours) : 0;
  if (value >= 1 && value <= HOURS_MAX) return value;
  throw new Problem(ADMIN_PROBLEMS.invalid_query, {
    detail: `\`hours\` must be a whole number from 1 to ${HOURS_MAX}.`,
  });
}

interface NotFound {
  readonly app: string;
  readonly version: string;
  readonly channel: string | undefined;
  /** The version on other channels. */
  readonly found: readonly ReleaseKey[];
  readonly channels: ScopeRoutesDeps["channels"]["all"];
}

function unknownRelease({ app, version, channel, found, channels }: NotFound): Problem {
  const apps = [...new Set(channels.map(({ key }) => key.app))];
  const isConfigured = apps.some((one) => one === app);
  const detail =
    found.length > 0
      ? `No device has reported about ${version} on the channel ${channel}, but on ${found
          .map((release) => release.channel)
          .join(", ")}.`
      : isConfigured
        ? `No device of ${app} has reported about ${version}; \`lastgood status\` and GET /v1/status list the versions there are.`
        : `No app ${app} is configured, and no device has reported about it; there is ${apps.join(", ")}.`;
  return new Problem(ADMIN_PROBLEMS.unknown_release, { detail });
}
