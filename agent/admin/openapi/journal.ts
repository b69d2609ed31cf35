// The operator API's description: the journal.
import { z } from "zod";
import { JOURNAL_KINDS } from "../../journal/journal-entry.ts";
import { JOURNAL_PAGE_MAX } from "../../journal/journal.ts";
import { timeSchema } from "./answer-parts.ts";
import type { DocumentedRoute } from "./documented-route.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/);

export const journalEntrySchema = z
  .strictObject({
    seq: z.int().min(1),
    at: timeSchema,
    kind: z.enum(JOURNAL_KINDS),
    body: z.record(z.string(), z.unknown()),
    prev: hash,
    hash,
  })
  .meta({ id: "JournalEntry", description: "`hash` is over `prev` and the JSON of seq, at, kind and body." });

export const JOURNAL_ROUTES: readonly DocumentedRoute[] = [
  {
    method: "get",
    path: "/v1/journal",
    group: "journal",
    summary: "What Lastgood saw, decided and did, and what people did: hash-chained, oldest first",
    role: "viewer",
    query: z.object({
      after: z.int().min(0).prefault(0).meta({ description: "Entries after this sequence number." }),
      limit: z.int().min(1).max(JOURNAL_PAGE_MAX).prefault(100),
    }),
    answers: {
      200: {
        description: "A page of it.",
        json: z
          .strictObject({
            entries: z.array(journalEntrySchema),
            head: z.strictObject({ seq: z.int().min(0), hash }),
          })
          .meta({ id: "JournalPage" }),
      },
    },
    errors: ["invalid_query"],
  },
];
