// The operator API's description: what each channel offers and what is known of it, and how far counting is behind.
import { z } from "zod";
import { DECISION_REASONS, GUARDS, POLICY_ACTIONS, POLICY_MODES } from "../../policy/decision.ts";
import { VERDICT_KINDS, VERDICT_REASONS } from "../../judge/verdict.ts";
import {
  accusingSchema,
  appSchema,
  channelSchema,
  devicesSchema,
  hoursSchema,
  signalSchema,
  timeSchema,
  versionSchema,
} from "./answer-parts.ts";
import type { DocumentedRoute } from "./documented-route.ts";

export const freezeSchema = z
  .strictObject({
    id: z.string(),
    scope: z.union([z.literal("all"), z.strictObject({ app: appSchema, channel: channelSchema })]),
    by: z.string(),
    reason: z.string(),
    since: timeSchema,
    until: timeSchema.nullable(),
  })
  .meta({ id: "Freeze" });

const holdSchema = z
  .strictObject({
    reason: z.enum(DECISION_REASONS),
    guard: z.enum(GUARDS),
    sentence: z.string(),
    since: timeSchema,
  })
  .meta({ id: "Hold", description: "An act that a guard holds back now." });

const releaseSchema = z
  .strictObject({
    version: versionSchema,
    first_seen: timeSchema.nullable(),
    last_report: timeSchema.nullable(),
    evaluated_at: timeSchema.nullable(),
    devices: devicesSchema,
    hours: hoursSchema,
    verdict: z
      .strictObject({
        kind: z.enum(VERDICT_KINDS),
        reason: z.enum(VERDICT_REASONS),
        sentence: z.string(),
        baseline: z.array(versionSchema),
        share_of_fleet: z.number(),
        signals: z.array(signalSchema),
        accusing: z.array(accusingSchema),
      })
      .meta({ id: "Verdict" }),
    condemned: z.boolean(),
    decision_id: z.string().nullable(),
    hold: holdSchema.nullable(),
  })
  .meta({ id: "Release" });

const statusSchema = z
  .strictObject({
    at: timeSchema,
    channels: z.array(
      z
        .strictObject({
          app: appSchema,
          channel: channelSchema,
          policy: z.string(),
          action: z.enum(POLICY_ACTIONS),
          mode: z.enum(POLICY_MODES),
          current_version: versionSchema.nullable(),
          paused: z.boolean().nullable(),
          releases_on_server: z.array(z.strictObject({ version: versionSchema, released_at: timeSchema })),
          freezes: z.array(freezeSchema),
          releases: z.array(releaseSchema),
        })
        .meta({ id: "ChannelStatus" }),
    ),
  })
  .meta({ id: "Status" });

const lagSchema = z
  .strictObject({
    waiting_entries: z.int().min(0),
    folded_reports: z.int().min(0),
    dead_letters: z.int().min(0),
    shards: z.array(
      z.strictObject({
        shard: z.int().min(0),
        waiting_entries: z.int().min(0),
        lag_seconds: z.number().min(0),
      }),
    ),
  })
  .meta({ id: "Lag" });

export const STATUS_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/status",
    group: "status",
    summary: "What each channel offers, and what is known of each version on it, newest first",
    role: "viewer",
    answers: { 200: { description: "The channels of the configuration.", json: statusSchema } },
    errors: [],
  },
  {
    method: "get",
    path: "/v1/lag",
    group: "status",
    summary: "How far counting is behind",
    role: "viewer",
    answers: { 200: { description: "One row for each shard, and their sums.", json: lagSchema } },
    errors: [],
  },
];
