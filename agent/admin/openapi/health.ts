// The operator API's description: all counts of one release.
import { z } from "zod";
import { ANSWER_BIN_MINUTES } from "../../health/answer-bins.ts";
import {
  COARSE_SLOT_MINUTES,
  FINE_SLOT_MINUTES,
  MIDDLE_SLOT_MINUTES,
  WINDOW_RETENTION_DAYS,
} from "../../health/health-window.ts";
import {
  appSchema,
  channelSchema,
  devicesSchema,
  hoursSchema,
  someDevicesSchema,
  stratumSchema,
  timeSchema,
  versionSchema,
} from "./answer-parts.ts";
import type { DocumentedRoute } from "./documented-route.ts";

const count = z.int().min(0);

const windowSchema = z
  .strictObject({
    start: timeSchema,
    minutes: z.union([
      z.literal(FINE_SLOT_MINUTES),
      z.literal(MIDDLE_SLOT_MINUTES),
      z.literal(COARSE_SLOT_MINUTES),
    ]),
    stratum: stratumSchema.optional(),
    devices: someDevicesSchema,
    hours: hoursSchema,
    answered: z
      .strictObject(Object.fromEntries(ANSWER_BIN_MINUTES.map((minute) => [minute, count.optional()])))
      .meta({ id: "Answered", description: "Devices by minutes from the attempt to their first answer." }),
  })
  .meta({ id: "Window" });

const releaseHealthSchema = z
  .strictObject({
    app: appSchema,
    channel: channelSchema,
    version: versionSchema,
    first_seen: timeSchema.nullable(),
    last_report: timeSchema.nullable(),
    last_failure: timeSchema.nullable(),
    devices: devicesSchema,
    hours: hoursSchema,
    strata: z.array(z.strictObject({ stratum: stratumSchema, devices: devicesSchema, hours: hoursSchema })),
    reasons: z.array(z.strictObject({ reason: z.string(), devices: count })),
    windows: z.array(windowSchema).optional(),
  })
  .meta({ id: "ReleaseHealth" });

export const HEALTH_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/releases/{app}/{channel}/{version}",
    group: "health",
    summary: "All that is counted of one release",
    role: "viewer",
    parameters: { app: "The app.", channel: "The channel.", version: "The version, percent-encoded." },
    query: z.object({
      windows: z.enum(["summed", "all", "none"]).prefault("summed"),
      hours: z
        .int()
        .min(1)
        .max(WINDOW_RETENTION_DAYS * 24)
        .prefault(24)
        .meta({ description: "How far back windows go." }),
    }),
    answers: {
      200: {
        description: "Its counts. Windows are written as they are read: what is not whole JSON broke off.",
        json: releaseHealthSchema,
      },
    },
    errors: ["unknown_release", "invalid_query"],
  },
];
