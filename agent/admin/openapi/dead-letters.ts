// The operator API's description: what could not be counted, and what operators do with it.
import { z } from "zod";
import { DEAD_LETTERS_PAGE_MAX, DEAD_LETTER_IDS_MAX } from "../../intake/dead-letters.ts";
import { timeSchema } from "./answer-parts.ts";
import type { AdminErrorCode, DocumentedRoute } from "./documented-route.ts";

const count = z.int().min(0);

const letterSchema = z
  .strictObject({
    id: z.string(),
    shard: count,
    at: timeSchema,
    kind: z.enum(["entry", "report"]),
    reason: z.string(),
    payload_bytes: count,
    excerpt: z.string().nullable().meta({ description: "Null for viewers: it holds device ids." }),
  })
  .meta({ id: "DeadLetter" });

const choiceSchema = z
  .union([
    z.strictObject({ ids: z.array(z.string()).min(1).max(DEAD_LETTER_IDS_MAX) }),
    z.strictObject({ all: z.literal(true) }),
  ])
  .meta({ id: "LetterChoice" });

const ERRORS_OF_BODIES = [
  "invalid_body",
  "unsupported_media_type",
  "body_too_large",
] as const satisfies readonly AdminErrorCode[];

export const DEAD_LETTER_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/dead-letters",
    group: "dead letters",
    summary: "What could not be counted, and why",
    role: "viewer",
    query: z.object({
      order: z.enum(["newest", "oldest"]).prefault("newest"),
      limit: z.int().min(1).max(DEAD_LETTERS_PAGE_MAX).prefault(50),
      shard: count.optional().meta({ description: "Only those of this shard." }),
      after: z.string().optional().meta({ description: "`next` of the page before." }),
    }),
    answers: {
      200: {
        description: "A page of them.",
        json: z
          .strictObject({
            kept: count,
            dropped: count,
            dead_letters: z.array(letterSchema),
            next: z.string().nullable(),
          })
          .meta({ id: "DeadLetters" }),
      },
    },
    errors: ["invalid_query"],
  },
  {
    method: "get",
    path: "/v1/dead-letters/{id}",
    group: "dead letters",
    summary: "One of them, whole",
    role: "operator",
    parameters: { id: "As in the list, such as `3:1795447928144-0`." },
    answers: {
      200: {
        description: "Its payload is JSON as text.",
        json: z
          .strictObject({ id: z.string(), reason: z.string(), payload: z.string() })
          .meta({ id: "WholeDeadLetter" }),
      },
    },
    errors: ["unknown_dead_letter"],
  },
  {
    method: "post",
    path: "/v1/dead-letters/redrive",
    group: "dead letters",
    summary: "Put letters back into their shard's stream",
    role: "operator",
    body: choiceSchema,
    answers: {
      200: {
        description: "How many, and which could not be.",
        json: z
          .strictObject({
            redriven: count,
            missing: z.array(z.string()),
            unreadable: z.array(z.string()),
          })
          .meta({ id: "LettersRedriven" }),
      },
    },
    errors: ERRORS_OF_BODIES,
  },
  {
    method: "post",
    path: "/v1/dead-letters/discard",
    group: "dead letters",
    summary: "Throw letters away",
    role: "operator",
    body: choiceSchema,
    answers: {
      200: {
        description: "How many, and which were not there.",
        json: z
          .strictObject({ discarded: count, missing: z.array(z.string()) })
          .meta({ id: "LettersDiscarded" }),
      },
    },
    errors: ERRORS_OF_BODIES,
  },
];
