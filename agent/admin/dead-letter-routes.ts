// The operator API's routes for dead letters: look at them, put them back, throw them away. Payloads hold
// device ids, so only who may act sees them. Everything that is done is in the journal, with who did it.
import express from "express";
import type { Request, Response, Router } from "express";
import { z } from "zod";
import type { Clock } from "../../runtime/clock.ts";
import { METHOD_NOT_ALLOWED, Problem } from "../../runtime/problem.ts";
import { DEAD_LETTERS_PAGE_MAX, DEAD_LETTER_IDS_MAX } from "../intake/dead-letters.ts";
import type {
  DeadLetterStore,
  DeadLetterSummary,
  LetterChoice,
  LetterOrder,
  LettersMoved,
} from "../intake/dead-letters.ts";
import { parseLetterId } from "../intake/dead-letter.ts";
import type { Journal } from "../journal/journal.ts";
import { operatorDraft } from "../journal/operator-record.ts";
import type { LetterAction } from "../journal/operator-record.ts";
import { callerOf, refusalOf, requireOperator } from "./authenticate.ts";
import { jsonBody } from "./json-body.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";

const LIMIT_DEFAULT = 50;

export interface DeadLetterRoutesDeps {
  readonly deadLetters: DeadLetterStore;
  readonly journal: Journal;
  readonly shards: number;
  readonly clock: Clock;
}

export function deadLetterRoutes(deps: DeadLetterRoutesDeps): Router {
  const router = express.Router();
  router.get("/", async (request, response) => {
    const { letters, next } = await deps.deadLetters.list(readQuery(request, deps.shards));
    const isShown = refusalOf(request, response) === undefined;
    response.json({
      ...(await deps.deadLetters.count()),
      dead_letters: letters.map((letter) => viewLetter(letter, isShown)),
      next: next ?? null,
    });
  });
  router.get("/:id", requireOperatorUnlessAction, async (request, response) => {
    const { id } = request.params as { id: string };
    const letter = await deps.deadLetters.read(id);
    if (letter === undefined)
      throw new Problem(ADMIN_PROBLEMS.unknown_dead_letter, {
        detail: "GET /v1/dead-letters lists the letters there are.",
      });
    response.json({ id, ...letter });
  });
  router.post("/redrive", requireOperator, ...jsonBody, async (request, response) => {
    const choice = readChoice(request.body);
    const result = await act(deps, response, "dead_letters_redrive", choice);
    response.json({ redriven: result.moved, missing: result.missing, unreadable: result.unreadable });
  });
  router.post("/discard", requireOperator, ...jsonBody, async (request, response) => {
    const choice = readChoice(request.body);
    const result = await act(deps, response, "dead_letters_discard", choice);
    response.json({ discarded: result.moved, missing: result.missing });
  });
  router.all(["/redrive", "/discard"], (_request, response) => {
    response.set("Allow", "POST");
    throw new Problem(METHOD_NOT_ALLOWED, { detail: "This does something: use POST." });
  });
  return router;
}

/** Journalled before the first letter moves and after the last. */
async function act(
  { deadLetters, journal, clock }: DeadLetterRoutesDeps,
  response: Response,
  action: LetterAction,
  choice: LetterChoice,
): Promise<LettersMoved> {
  const operator = callerOf(response).name;
  const asked = "all" in choice ? "all" : choice.ids.length;
  await journal.append(operatorDraft({ operator, action, stage: "asked", letters: asked }, clock()));
  try {
    const result = await (action === "dead_letters_redrive"
      ? deadLetters.redrive(choice)
      : deadLetters.discard(choice));
    await journal.append(operatorDraft({ operator, action, stage: "done", letters: result.moved }, clock()));
    return result;
  } catch (error) {
    const record = { operator, action, stage: "broken_off", letters: null } as const;
    await journal.append(operatorDraft(record, clock())).catch(() => {});
    throw error;
  }
}

function viewLetter(letter: DeadLetterSummary, isShown: boolean): Record<string, unknown> {
  return {
    id: letter.id,
    shard: letter.shard,
    at: new Date(letter.putAsideAtMs).toISOString(),
    kind: letter.kind,
    reason: letter.reason,
    payload_bytes: letter.payloadBytes,
    excerpt: isShown ? letter.excerpt : null,
  };
}

function readQuery(
  { query }: Request,
  shards: number,
): { order: LetterOrder; limit: number; shard?: number; after?: string } {
  const { order = "newest", after, shard, limit } = query;
  if (order !== "newest" && order !== "oldest") throw invalidQuery("`order` must be newest or oldest.");
  if (after !== undefined && (typeof after !== "string" || parseLetterId(after) === undefined))
    throw invalidQuery("`after` must be the id of a dead letter.");
  const most = readNumber(limit ?? String(LIMIT_DEFAULT));
  if (most === undefined || most < 1 || most > DEAD_LETTERS_PAGE_MAX)
    throw invalidQuery(`\`limit\` must be a whole number from 1 to ${DEAD_LETTERS_PAGE_MAX}.`);
  const only = shard === undefined ? undefined : readNumber(shard);
  if (shard !== undefined && (only === undefined || only >= shards))
    throw invalidQuery(`\`shard\` must be a whole number from 0 to ${shards - 1}.`);
  return {
    order,
    limit: most,
    ...(only === undefined ? {} : { shard: only }),
    ...(after === undefined ? {} : { after }),
  };
}

function readNumber(value: unknown): number | undefined {
  return typeof value === "string" && /^\d{1,6}$/.test(value) ? Number(value) : undefined;
}

function invalidQuery(detail: string): Problem {
  return new Problem(ADMIN_PROBLEMS.invalid_query, { detail });
}

const choiceSchema = z.union([
  z.strictObject({ ids: z.array(z.string()).min(1).max(DEAD_LETTER_IDS_MAX) }),
  z.strictObject({ all: z.literal(true) }),
]);

function readChoice(body: unknown): LetterChoice {
  const { success, data } = choiceSchema.safeParse(body);
  if (success) return data;
  throw new Problem(ADMIN_PROBLEMS.invalid_body, {
    detail: `Send {"ids": ["<id>", …]} with 1 to ${DEAD_LETTER_IDS_MAX} ids, or {"all": true}.`,
  });
}

/** `GET /redrive` and `/discard` are answered below, as the wrong method. */
const requireOperatorUnlessAction: express.RequestHandler = (request, response, next) => {
  if (request.params["id"] === "redrive" || request.params["id"] === "discard") next("route");
  else void requireOperator(request, response, next);
};
