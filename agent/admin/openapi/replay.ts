// The operator API's description: what a policy would have done on the counts that are stored.
import { z } from "zod";
import { DECISION_REASONS, GUARDS, POLICY_ACTIONS, POLICY_MODES } from "../../policy/decision.ts";
import { VERDICT_KINDS, VERDICT_REASONS } from "../../judge/verdict.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../../rollback/outcome.ts";
import { replayBodySchema } from "../replay-routes.ts";
import { appSchema, channelSchema, timeSchema, versionSchema } from "./answer-parts.ts";
import type { DocumentedRoute } from "./documented-route.ts";

const count = z.int().min(0);
const actedOn = { action: z.enum(POLICY_ACTIONS), target: versionSchema.nullable(), at: timeSchema };

const replayedReleaseSchema = z
  .strictObject({
    version: versionSchema,
    first_seen: timeSchema,
    devices: count,
    verdict: z
      .strictObject({ kind: z.enum(VERDICT_KINDS), reason: z.enum(VERDICT_REASONS), sentence: z.string() })
      .nullable(),
    over_threshold_at: timeSchema.nullable(),
    replayed: z
      .strictObject({
        ...actedOn,
        mode: z.enum(POLICY_MODES),
        sentence: z.string(),
        devices: count,
        resolution_minutes: count,
      })
      .nullable(),
    holds: z.array(
      z.strictObject({
        reason: z.enum(DECISION_REASONS),
        guard: z.enum(GUARDS),
        sentence: z.string(),
        since: timeSchema,
        until: timeSchema.nullable(),
      }),
    ),
    happened: z
      .strictObject({
        ...actedOn,
        decision_id: z.string(),
        mode: z.enum([...POLICY_MODES, "manual"]),
        devices: count,
        outcome: z.enum(ROLLBACK_OUTCOME_KINDS).nullable(),
      })
      .nullable(),
    difference: z.strictObject({
      acts: z.enum(["same", "sooner", "later", "only_replayed", "only_happened", "neither", "before"]),
      minutes: z.number().nullable(),
      devices: z.int(),
    }),
  })
  .meta({ id: "ReplayedRelease" });

const replaySchema = z
  .strictObject({
    since: timeSchema,
    until: timeSchema,
    channels: z.array(
      z
        .strictObject({
          app: appSchema,
          channel: channelSchema,
          policy: z.string(),
          resolution: z.array(
            z.strictObject({ since: timeSchema, until: timeSchema, minutes: z.int().min(1) }),
          ),
          steps: count,
          releases: z.array(replayedReleaseSchema),
          releases_left_out: count,
        })
        .meta({ id: "ReplayedChannel" }),
    ),
    not_replayed: z.array(z.strictObject({ app: appSchema, channel: channelSchema, policy: z.string() })),
    assumptions: z.array(z.strictObject({ code: z.string(), sentence: z.string() })),
  })
  .meta({ id: "Replay" });

export const REPLAY_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "post",
    path: "/v1/replay",
    group: "status",
    summary: "What a policy would have done on the counts that are stored; changes nothing",
    role: "operator",
    body: replayBodySchema.meta({ id: "ReplayAsked" }),
    answers: { 200: { description: "Beside what did happen.", json: replaySchema } },
    errors: [
      "invalid_body",
      "unsupported_media_type",
      "body_too_large",
      "invalid_policy",
      "unknown_channel",
      "replay_running",
    ],
  },
];
