// Measures each request: how many are in flight, how long each took, by route and status class. Labels are
// bounded: a route names itself by its template, and what this program does not serve counts as `other`.
import type { Request, RequestHandler, Response } from "express";
import type { IngestMetrics } from "../metrics.ts";

export function measureRequests(metrics: IngestMetrics): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    metrics.requestsInFlight.inc();
    response.once("close", () => {
      metrics.requestsInFlight.dec();
      metrics.requestDuration.observe(labelsOf(request, response), (performance.now() - startedAt) / 1_000);
    });
    next();
  };
}

/** For every route, first: `template` as it is to be seen in metrics. */
export function nameRoute(template: string): RequestHandler {
  return (_request, response, next) => {
    response.locals["route"] = template;
    next();
  };
}

function labelsOf(
  request: Request,
  response: Response,
): { route: string; method: string; status_class: string } {
  return {
    route: (response.locals["route"] as string | undefined) ?? "other",
    method: request.method === "POST" ? "POST" : "other",
    status_class: response.writableFinished ? `${Math.floor(response.statusCode / 100)}xx` : "aborted",
  };
}
