// The operator API's description: the scope of an incident, and what is known of one device.
import { z } from "zod";
import { EXAMPLE_OUTCOMES } from "../../health/examples.ts";
import { WINDOW_RETENTION_DAYS } from "../../health/health-window.ts";
import { OUTCOMES } from "../../health/outcomes.ts";
import { POLICY_ACTIONS, POLICY_MODES } from "../../policy/decision.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../../rollback/outcome.ts";
import { STORY_KINDS } from "../device-story.ts";
import { SCOPE_OUTCOMES } from "../scope-views.ts";
import {
  appSchema,
  channelSchema,
  hoursSchema,
  stratumSchema,
  timeSchema,
  versionSchema,
} from "./answer-parts.ts";
import type { DocumentedRoute } from "./documented-route.ts";

const count = z.int().min(0);
const when = timeSchema.nullable();

const briefSchema = z
  .strictObject({
    id: z.string(),
    at: timeSchema,
    action: z.enum(POLICY_ACTIONS),
    mode: z.enum([...POLICY_MODES, "manual"]),
    target: versionSchema.nullable(),
    outcome: z.enum(ROLLBACK_OUTCOME_KINDS).nullable(),
  })
  .meta({ id: "DecisionBrief", description: "`outcome` null = it has not ended." });

function countsOf<T extends z.ZodType>(schema: T) {
  const shape = Object.fromEntries(SCOPE_OUTCOMES.map((outcome) => [outcome, schema]));
  return z.strictObject(shape as Record<(typeof SCOPE_OUTCOMES)[number], T>);
}
const scopeCountsSchema = countsOf(count).meta({ id: "ScopeCounts" });

const exampleSchema = z
  .strictObject({ named_by: z.enum(["id", "digest"]), of: count, devices: z.array(z.string()) })
  .meta({ id: "Examples", description: "Some of the `of` devices." });

const scopeSchema = z
  .strictObject({
    app: appSchema,
    version: versionSchema,
    at: timeSchema,
    devices: scopeCountsSchema,
    hours: hoursSchema,
    channels: z.array(
      z.strictObject({
        channel: channelSchema,
        first_seen: when,
        last_report: when,
        last_failure: when,
        devices: scopeCountsSchema,
        hours: hoursSchema,
        rolled_back: z.boolean(),
        decisions: z.array(briefSchema),
      }),
    ),
    strata: z.array(
      z.strictObject({ stratum: stratumSchema, devices: scopeCountsSchema, hours: hoursSchema }),
    ),
    step_minutes: z.int().min(1),
    time: z.array(
      z.strictObject({
        start: timeSchema,
        devices: countsOf(count.optional()).meta({ id: "SomeScopeCounts" }),
        hours: hoursSchema,
      }),
    ),
    examples: z
      .strictObject(
        Object.fromEntries(EXAMPLE_OUTCOMES.map((outcome) => [outcome, exampleSchema])) as Record<
          (typeof EXAMPLE_OUTCOMES)[number],
          typeof exampleSchema
        >,
      )
      .nullable()
      .meta({ description: "Null for viewers: it holds device ids." }),
  })
  .meta({ id: "Scope" });

const deviceSchema = z
  .strictObject({
    app: appSchema,
    device: z.string(),
    last_seen: when,
    running: z.strictObject({ channel: channelSchema, version: versionSchema }).nullable(),
    running_told: when,
    releases: z.array(
      z.strictObject({
        channel: channelSchema,
        version: versionSchema,
        outcomes: z.array(z.enum(OUTCOMES)),
        attempted_at: when,
        answered_at: when,
        first_crash_hour: when,
        first_not_responding_hour: when,
        last_used_hour: when,
        recent_hours: z.strictObject({ active: count, crashed: count, not_responding: count }),
        stratum: stratumSchema,
        reasons: z.array(z.string()),
        rolled_back: z.boolean(),
        decisions: z.array(briefSchema),
      }),
    ),
    story: z.array(
      z
        .strictObject({
          at: timeSchema,
          within: z.enum(["second", "minute", "hour"]),
          what: z.enum(STORY_KINDS),
          channel: channelSchema.nullable(),
          version: versionSchema.nullable(),
          text: z.string(),
        })
        .meta({ id: "StoryLine" }),
    ),
  })
  .meta({ id: "Device" });

export const SCOPE_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/scope/{app}/{version}",
    group: "health",
    summary: "How far an incident reaches: everything about one version, and which devices they are",
    role: "viewer",
    parameters: { app: "The app.", version: "The version, percent-encoded." },
    query: z.object({
      channel: z.string().optional().meta({ description: "Only this one." }),
      hours: z
        .int()
        .min(1)
        .max(WINDOW_RETENTION_DAYS * 24)
        .prefault(7 * 24)
        .meta({ description: "How far back the counts over time go." }),
    }),
    answers: { 200: { description: "The version on each channel, and in all.", json: scopeSchema } },
    errors: ["unknown_release", "invalid_query"],
  },
  {
    method: "get",
    path: "/v1/devices/{app}/{device}",
    group: "health",
    summary: "What is known of one device, newest version of each channel first, and its story",
    role: "viewer",
    parameters: { app: "The app.", device: "The device's id, percent-encoded." },
    answers: { 200: { description: "The device.", json: deviceSchema } },
    errors: ["unknown_device"],
  },
  {
    method: "get",
    path: "/v1/devices/{device}",
    group: "health",
    summary: "The same in every app that knows the device",
    role: "viewer",
    parameters: { device: "The device's id, percent-encoded; or its digest." },
    query: z.object({ named_by: z.enum(["id", "digest"]).prefault("id") }),
    answers: {
      200: {
        description: "One for each app.",
        json: z
          .strictObject({ device: z.string(), apps: z.array(deviceSchema) })
          .meta({ id: "DeviceInApps" }),
      },
    },
    errors: ["unknown_device", "invalid_query"],
  },
];
