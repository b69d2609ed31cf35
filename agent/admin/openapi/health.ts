// The operator API's description: all counts of one release, and what is known of one device.
import { z } from "zod";
import { ANSWER_BIN_MINUTES } from "../../health/answer-bins.ts";
import {
  COARSE_SLOT_MINUTES,
  FINE_SLOT_MINUTES,
  MIDDLE_SLOT_MINUTES,
  WINDOW_RETENTION_DAYS,
} from "../../health/health-window.ts";
import { OUTCOMES } from "../../health/outcomes.ts";
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

const deviceSchema = z
  .strictObject({
    app: appSchema,
    device: z.string(),
    last_seen: timeSchema.nullable(),
    running: z.strictObject({ channel: channelSchema, version: versionSchema }).nullable(),
    releases: z.array(
      z.strictObject({
        channel: channelSchema,
        version: versionSchema,
        outcomes: z.array(z.enum(OUTCOMES)),
      }),
    ),
  })
  .meta({ id: "Device" });

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
  {
    method: "get",
    path: "/v1/devices/{app}/{device}",
    group: "health",
    summary: "What is known of one device, newest version of each channel first",
    role: "viewer",
    parameters: { app: "The app.", device: "The device's id, percent-encoded." },
    answers: { 200: { description: "The device.", json: deviceSchema } },
    errors: ["unknown_device"],
  },
];
