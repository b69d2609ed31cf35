// The operator API's description: acts that were decided.
import { z } from "zod";
import {
  DECISION_REASONS,
  GUARDS,
  POLICY_ACTIONS,
  POLICY_MODES,
  REASON_OF_CAUSE,
} from "../../policy/decision.ts";
import { APPROVAL_ANSWERS, FOLLOW_UP_KINDS } from "../../rollback/decision-record.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../../rollback/outcome.ts";
import {
  appSchema,
  channelSchema,
  devicesSchema,
  signalSchema,
  timeSchema,
  versionSchema,
} from "./answer-parts.ts";
import { journalEntrySchema } from "./journal.ts";
import type { DocumentedRoute } from "./documented-route.ts";

const CAUSES = Object.keys(REASON_OF_CAUSE) as (keyof typeof REASON_OF_CAUSE)[];

const approvalSchema = z
  .strictObject({
    expires_at: timeSchema,
    answer: z.enum(APPROVAL_ANSWERS).nullable(),
    answered_at: timeSchema.nullable(),
    answered_by: z.string().nullable(),
    note: z.string().nullable(),
  })
  .meta({ id: "Approval" });

const outcomeSchema = z
  .strictObject({
    kind: z.enum(ROLLBACK_OUTCOME_KINDS),
    at: timeSchema,
    detail: z.string(),
    version_seen: versionSchema.nullable(),
    attempts: z.int().min(0),
  })
  .meta({ id: "Outcome" });

const followUpSchema = z
  .strictObject({
    kind: z.enum(FOLLOW_UP_KINDS),
    at: timeSchema,
    detail: z.string(),
    running_at_act: z.int().min(0),
    running_now: z.int().min(0),
  })
  .meta({ id: "FollowUp", description: "Whether devices really leave the version." });

export const decisionSchema = z
  .strictObject({
    id: z.string(),
    at: timeSchema,
    app: appSchema,
    channel: channelSchema,
    version: versionSchema,
    target: versionSchema.nullable(),
    action: z.enum(POLICY_ACTIONS),
    mode: z.enum([...POLICY_MODES, "manual"]),
    cause: z.enum([...CAUSES, "operator"]),
    reason: z.enum(DECISION_REASONS),
    sentence: z.string(),
    operator: z.string().nullable(),
    evidence: z.strictObject({ signals: z.array(signalSchema), devices: devicesSchema }),
    last_needed_report_at: timeSchema,
    approval: approvalSchema.nullable(),
    outcome: outcomeSchema.nullable(),
    follow_up: followUpSchema.nullable(),
    guard: z.enum(GUARDS).nullable(),
  })
  .meta({ id: "Decision" });

export const DECISION_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/decisions",
    group: "decisions",
    summary: "Acts that were decided, newest first",
    role: "viewer",
    answers: {
      200: {
        description: "All of them.",
        json: z.strictObject({ decisions: z.array(decisionSchema) }).meta({ id: "Decisions" }),
      },
    },
    errors: [],
  },
  {
    method: "get",
    path: "/v1/decisions/{id}",
    group: "decisions",
    summary: "One act with all it rested on, and how it ended",
    role: "viewer",
    parameters: { id: "As in the list, such as `rb_ecb7a6eb2b4d1396f354`." },
    answers: { 200: { description: "The decision.", json: decisionSchema } },
    errors: ["unknown_decision"],
  },
  {
    method: "get",
    path: "/v1/decisions/{id}/story",
    group: "decisions",
    summary: "One act with every entry of the journal about it",
    role: "viewer",
    parameters: { id: "As in the list." },
    answers: {
      200: {
        description: "Entries oldest first; `is_whole` is false where older ones were left out.",
        json: z
          .strictObject({
            decision: decisionSchema,
            entries: z.array(journalEntrySchema),
            is_whole: z.boolean(),
          })
          .meta({ id: "DecisionStory" }),
      },
    },
    errors: ["unknown_decision"],
  },
];
