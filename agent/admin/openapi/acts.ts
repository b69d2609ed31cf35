// The operator API's description: what people do, what a channel can be rolled back to, and Alertmanager's webhook.
import { z } from "zod";
import { DECISION_REASONS, GUARDS } from "../../policy/decision.ts";
import {
  freezeSchema as freezeBodySchema,
  rollbackSchema,
  withNoteSchema,
  withReasonSchema,
} from "../act-routes.ts";
import { webhookSchema } from "../alertmanager-routes.ts";
import { timeSchema, versionSchema } from "./answer-parts.ts";
import { decisionSchema } from "./decisions.ts";
import type { AdminErrorCode, DocumentedRoute } from "./documented-route.ts";
import { freezeSchema } from "./status.ts";

const warningSchema = z
  .strictObject({ guard: z.enum(GUARDS), reason: z.enum(DECISION_REASONS), sentence: z.string() })
  .meta({ id: "Warning", description: "What a guard has against it." });

const targetsSchema = z
  .strictObject({
    current: versionSchema.nullable(),
    targets: z.array(
      z.strictObject({
        version: versionSchema,
        released_at: timeSchema.nullable(),
        warnings: z.array(warningSchema),
      }),
    ),
  })
  .meta({ id: "Targets" });

const alertAnswersSchema = z
  .strictObject({
    alerts: z.array(
      z.strictObject({
        index: z.int().min(0),
        result: z.enum(["began", "goes_on", "ended", "ignored"]),
        detail: z.string().optional(),
      }),
    ),
  })
  .meta({ id: "AlertAnswers" });

const ERRORS_OF_BODIES = [
  "invalid_body",
  "unsupported_media_type",
  "body_too_large",
] as const satisfies readonly AdminErrorCode[];

const CHANNEL = { app: "The app.", channel: "The channel." };
const decided = { 200: { description: "The decision, which is on its way.", json: decisionSchema } };

const ACTS_ON_CHANNELS: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/channels/{app}/{channel}/targets",
    group: "acts",
    summary: "What a channel can be rolled back to, and what speaks against it",
    role: "viewer",
    parameters: CHANNEL,
    answers: { 200: { description: "Newest first.", json: targetsSchema } },
    errors: ["unknown_channel", "ota_server_unavailable"],
  },
  {
    method: "post",
    path: "/v1/channels/{app}/{channel}/rollback",
    group: "acts",
    summary: "Roll a channel back, now",
    description: "Guards that object are told as `warnings` of the refusal; `override` takes the role admin.",
    role: "operator",
    parameters: CHANNEL,
    headers: { "Idempotency-Key": "The same key names the same act." },
    body: rollbackSchema.meta({ id: "RollbackAsked" }),
    answers: decided,
    errors: [
      ...ERRORS_OF_BODIES,
      "unknown_channel",
      "unknown_target",
      "nothing_offered",
      "stale",
      "already_there",
      "guards_object",
      "ota_server_unavailable",
    ],
  },
  {
    method: "post",
    path: "/v1/channels/{app}/{channel}/pause",
    group: "acts",
    summary: "Pause a rollout where it is",
    role: "operator",
    parameters: CHANNEL,
    body: withReasonSchema.meta({ id: "WithReason" }),
    answers: decided,
    errors: [
      ...ERRORS_OF_BODIES,
      "unknown_channel",
      "not_supported",
      "nothing_offered",
      "ota_server_unavailable",
    ],
  },
  {
    method: "post",
    path: "/v1/releases/{app}/{channel}/{version}/absolve",
    group: "acts",
    summary: "Take a release's condemnation back: it is judged by what comes from now on",
    role: "operator",
    parameters: { ...CHANNEL, version: "The version, percent-encoded." },
    body: withReasonSchema,
    answers: {
      200: {
        description: "How often that was done.",
        json: z.strictObject({ times: z.int().min(1) }).meta({ id: "Absolved" }),
      },
    },
    errors: [...ERRORS_OF_BODIES, "unknown_channel", "unknown_release", "decision_open"],
  },
];

const ANSWERS_TO_DECISIONS: readonly DocumentedRoute[] = [
  {
    method: "post",
    path: "/v1/decisions/{id}/approve",
    group: "acts",
    summary: "Say yes to a decision that waits for a person",
    role: "operator",
    parameters: { id: "Of the decision." },
    body: withNoteSchema.meta({ id: "WithNote" }),
    answers: decided,
    errors: [
      ...ERRORS_OF_BODIES,
      "unknown_decision",
      "unknown_channel",
      "not_waiting",
      "approval_over",
      "stale",
      "ota_server_unavailable",
    ],
  },
  {
    method: "post",
    path: "/v1/decisions/{id}/reject",
    group: "acts",
    summary: "Say no to it",
    role: "operator",
    parameters: { id: "Of the decision." },
    body: withNoteSchema,
    answers: { 200: { description: "The decision, which has ended.", json: decisionSchema } },
    errors: [...ERRORS_OF_BODIES, "unknown_decision", "not_waiting", "approval_over"],
  },
];

const FREEZES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/freezes",
    group: "acts",
    summary: "What keeps Lastgood from acting by itself now; the scope `all` is the kill switch",
    role: "viewer",
    answers: {
      200: {
        description: "Oldest first.",
        json: z.strictObject({ freezes: z.array(freezeSchema) }).meta({ id: "Freezes" }),
      },
    },
    errors: [],
  },
  {
    method: "post",
    path: "/v1/freezes",
    group: "acts",
    summary: "Keep Lastgood from acting by itself, on one channel or everywhere",
    role: "operator",
    body: freezeBodySchema.meta({ id: "FreezeAsked" }),
    answers: { 201: { description: "The freeze, in force.", json: freezeSchema } },
    errors: [...ERRORS_OF_BODIES, "unknown_channel", "too_many_freezes"],
  },
  {
    method: "delete",
    path: "/v1/freezes/{id}",
    group: "acts",
    summary: "Lift a freeze",
    role: "operator",
    parameters: { id: "Of the freeze." },
    query: z.object({ reason: z.string().optional().meta({ description: "Why, in your own words." }) }),
    answers: { 200: { description: "The freeze that was lifted.", json: freezeSchema } },
    errors: ["unknown_freeze", "invalid_query"],
  },
];

export const ACT_ROUTES: readonly DocumentedRoute[] = [
  ...ACTS_ON_CHANNELS,
  ...ANSWERS_TO_DECISIONS,
  ...FREEZES,
  {
    method: "post",
    path: "/v1/alertmanager",
    group: "acts",
    summary: "Alertmanager's webhook (version 4): alerts of your own rules ask for an act",
    role: "operator",
    body: webhookSchema.meta({ id: "AlertmanagerWebhook" }),
    answers: {
      200: { description: "What became of each alert, by its place.", json: alertAnswersSchema },
    },
    errors: ERRORS_OF_BODIES,
  },
];
