// Lets the pages of a browser, and the web views of apps, report to a host that is not theirs (CORS). Enters: a request.
// Leaves: the headers that a browser asks for, on every answer, refusals too: a page that can't read why it was refused
// reports nothing but "network error". A page of an origin that the project does not list is refused.
import type { RequestHandler, Response } from "express";
import { problem } from "../../problems.ts";
import type { ServedProjects } from "./sentry-projects.ts";

const ALLOW_HEADERS = "x-sentry-auth, content-type, content-encoding, sentry-trace, baggage, authorization";
const EXPOSE_HEADERS = "x-sentry-rate-limits, retry-after";
/** How long a browser need not ask again, in seconds; browsers have limits of their own. */
const PREFLIGHT_SECONDS = 86_400;

export function allowOrigins(served: ServedProjects): RequestHandler {
  return (request, response, next) => {
    const { origin } = request.headers;
    const project = served.get(String(request.params["project"]));
    const isAllowed = allow(response, origin, project?.source.origins);
    if (request.method === "OPTIONS") {
      response.set("Access-Control-Allow-Methods", "POST, OPTIONS");
      response.set("Access-Control-Allow-Headers", ALLOW_HEADERS);
      response.set("Access-Control-Max-Age", String(PREFLIGHT_SECONDS));
      response.status(204).end();
      return;
    }
    if (!isAllowed)
      throw problem(
        "origin_not_allowed",
        "Pages of this origin may not report: add it to sources.sentry.origins in the configuration.",
      );
    next();
  };
}

/** What is no page names no origin. */
function allow(
  response: Response,
  origin: string | undefined,
  origins: ReadonlySet<string> | undefined,
): boolean {
  response.set("Access-Control-Expose-Headers", EXPOSE_HEADERS);
  if (origins === undefined) {
    response.set("Access-Control-Allow-Origin", "*");
    return true;
  }
  response.set("Vary", "Origin");
  if (origin === undefined) return true;
  if (!origins.has(origin)) return false;
  response.set("Access-Control-Allow-Origin", origin);
  return true;
}
