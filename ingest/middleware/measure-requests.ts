// Measures each request: how many are in flight, how long each took, by route and status class. Labels are
// bounded: a route names itself by its template, and what this program does not serve counts as `other`.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestHandler } from "express";
import type { IngestMetrics } from "../metrics.ts";

/** `routeOf` is asked when the answer is over: only then is known who gave it. */
export function measureRequest(
  metrics: IngestMetrics,
  request: IncomingMessage,
  response: ServerResponse,
  routeOf: (response: ServerResponse) => string,
): void {
  const startedAt = performance.now();
  metrics.requestsInFlight.inc();
  response.on("close", () => {
    metrics.requestsInFlight.dec();
    metrics.requestDuration.observe(
      {
        route: routeOf(response),
        method: request.method === "POST" ? "POST" : "other",
        status_class: response.writableFinished ? `${Math.floor(response.statusCode / 100)}xx` : "aborted",
      },
      (performance.now() - startedAt) / 1_000,
    );
  });
}

/** For every route, first: `template` as it is to be seen in metrics. */
export function nameRoute(template: string): RequestHandler {
  return (_request, response, next) => {
    response.locals["route"] = template;
    next();
  };
}

/** As {@link nameRoute} named it. */
export function namedRouteOf(
  response: ServerResponse & { readonly locals?: Record<string, unknown> },
): string {
  return (response.locals?.["route"] as string | undefined) ?? "other";
}
