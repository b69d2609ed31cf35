// The operator API's description: what machines ask, without a token.
import { z } from "zod";
import type { DocumentedRoute } from "./documented-route.ts";

const readinessSchema = z
  .strictObject({ status: z.enum(["ready", "not_ready"]), checks: z.record(z.string(), z.string()) })
  .meta({ id: "Readiness" });

export const OPERATIONS_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/healthz",
    group: "operations",
    summary: "Whether the process lives",
    role: "anybody",
    answers: {
      200: {
        description: "It does.",
        json: z.strictObject({ status: z.literal("ok"), pid: z.int() }).meta({ id: "Liveness" }),
      },
    },
    errors: [],
  },
  {
    method: "get",
    path: "/readyz",
    group: "operations",
    summary: "Whether it can do its work",
    role: "anybody",
    answers: {
      200: { description: "It can.", json: readinessSchema },
      503: { description: "It can not; each check says why by its name.", json: readinessSchema },
    },
    errors: [],
  },
  {
    method: "get",
    path: "/metrics",
    group: "operations",
    summary: "Metrics for Prometheus",
    role: "anybody",
    answers: {
      200: {
        description: "Prometheus text, or OpenMetrics 1.0 where the scraper asks for it.",
        text: "text/plain",
      },
    },
    errors: [],
  },
  {
    method: "get",
    path: "/openapi.json",
    group: "operations",
    summary: "This document",
    role: "anybody",
    answers: {
      200: {
        description: "OpenAPI 3.1.",
        json: z.looseObject({ openapi: z.string() }).meta({ id: "OpenApi" }),
      },
    },
    errors: [],
  },
];
