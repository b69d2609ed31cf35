// The operator API's routes for what people do: rollback, pause, approve, reject, freeze, unfreeze, absolve, and what a
// channel can be rolled back to. Enters: JSON. Leaves: acts (acts/), and their answers in the API's words.
import express from "express";
import type { Request, RequestHandler, Response, Router } from "express";
import { z } from "zod";
import {
  appIdSchema,
  channelSchema,
  isAppOrChannel,
  isVersion,
  versionSchema,
} from "../../ingest/contract/release-key.ts";
import type { AppId, Channel, ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import { Problem } from "../../runtime/problem.ts";
import { operatorDraft } from "../journal/operator-record.ts";
import type { ActRecord } from "../journal/operator-record.ts";
import { duration } from "../../runtime/units.ts";
import type { ActDeps } from "./acts/act.ts";
import { approve, reject } from "./acts/approve.ts";
import { FREEZE_MS_MAX, absolve, freeze, unfreeze } from "./acts/freeze.ts";
import { listTargets, pause, rollBack } from "./acts/roll-back.ts";
import { callerOf, refusalOf } from "./authenticate.ts";
import { jsonBody, parseBody } from "./json-body.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";
import { viewDecision } from "./views.ts";

/** Characters of a person's reason. */
export const REASON_CHARS_MAX = 500;

const reasonSchema = z
  .string()
  .trim()
  .min(1, { error: "say why" })
  .max(REASON_CHARS_MAX, { error: `at most ${REASON_CHARS_MAX} characters` })
  .regex(/^[^\p{Cc}\p{Cf}]*$/u, { error: "no control characters, and one line" });

export const rollbackSchema = z.strictObject({
  to: versionSchema,
  reason: reasonSchema,
  from: versionSchema.optional(),
  override: z.boolean().optional(),
});
export const withReasonSchema = z.strictObject({ reason: reasonSchema });
export const withNoteSchema = z.strictObject({
  reason: reasonSchema.optional(),
  override: z.boolean().optional(),
});
export const freezeSchema = z
  .strictObject({
    scope: z.union([z.literal("all"), z.strictObject({ app: appIdSchema, channel: channelSchema })]),
    reason: reasonSchema,
    until: z.iso.datetime({ offset: true }).optional(),
    for: duration
      .refine((ms) => ms > 0 && ms <= FREEZE_MS_MAX, { error: "must be above 0 and at most 365d" })
      .optional(),
  })
  .refine((asked) => asked.until === undefined || asked.for === undefined, {
    error: "say either `until` or `for`",
  });

const REASON_HINT = 'Send {"reason": "why"}.';

export function actRoutes(deps: ActDeps): Router {
  const router = express.Router();
  const act = (action: ActRecord["action"]) => [operatorsOnly(action, deps), ...jsonBody];
  router.get("/channels/:app/:channel/targets", async (request, response) => {
    const { current, targets } = await listTargets(channelOf(request), deps);
    response.json({
      current,
      targets: targets.map(({ version, releasedAt, objections }) => ({
        version,
        released_at: releasedAt ?? null,
        warnings: objections,
      })),
    });
  });
  router.post("/channels/:app/:channel/rollback", ...act("rollback"), async (request, response) => {
    const body = parseBody(rollbackSchema, request, 'Send {"to": "1.4.2", "reason": "why"}.');
    const idempotencyKey = request.get("idempotency-key");
    const asked = { key: channelOf(request), asked: { ...body, idempotencyKey } };
    response.json(viewDecision(await rollBack(callerOf(response), asked, deps)));
  });
  router.post("/channels/:app/:channel/pause", ...act("pause"), async (request, response) => {
    const { reason } = parseBody(withReasonSchema, request, REASON_HINT);
    const asked = { key: channelOf(request), reason };
    response.json(viewDecision(await pause(callerOf(response), asked, deps)));
  });
  for (const [name, answer] of [
    ["approve", approve],
    ["reject", reject],
  ] as const)
    router.post(`/decisions/:id/${name}`, ...act(name), async (request, response) => {
      const { reason, override } = parseBody(withNoteSchema, request, 'Send {} or {"reason": "why"}.');
      const asked = { id: request.params["id"] as string, note: reason ?? null, override };
      response.json(viewDecision(await answer(callerOf(response), asked, deps)));
    });
  addFreezeRoutes(router, deps);
  router.post("/releases/:app/:channel/:version/absolve", ...act("absolve"), async (request, response) => {
    const { reason } = parseBody(withReasonSchema, request, REASON_HINT);
    response.json(await absolve(callerOf(response), { release: releaseOf(request), reason }, deps));
  });
  return router;
}

function addFreezeRoutes(router: Router, deps: ActDeps): void {
  router.get("/freezes", async (_request, response) => {
    response.json({ freezes: await deps.freezes.list(deps.clock()) });
  });
  router.post("/freezes", operatorsOnly("freeze", deps), ...jsonBody, async (request, response) => {
    const hint =
      'Send {"scope": "all" or {"app", "channel"}, "reason": "why"}, with "until" or "for": "2h" if it shall end by itself.';
    const { scope, reason, until, for: forMs } = parseBody(freezeSchema, request, hint);
    const end = forMs === undefined ? until : new Date(deps.clock() + forMs).toISOString();
    const asked = { scope, reason, until: end === undefined ? null : new Date(end).toISOString() };
    response.status(201).json(await freeze(callerOf(response), asked, deps));
  });
  router.delete(
    "/freezes/:id",
    operatorsOnly("unfreeze", deps),
    async (request: Request, response: Response) => {
      const asked = { id: request.params["id"] as string, note: noteOf(request) };
      response.json(await unfreeze(callerOf(response), asked, deps));
    },
  );
}

/** Who may not act is turned away, and that they tried is in the journal. */
function operatorsOnly(action: ActRecord["action"], { journal, clock }: ActDeps): RequestHandler {
  return async (request, response, next) => {
    const refusal = refusalOf(request, response);
    if (refusal === undefined) {
      next();
      return;
    }
    // A page of another site is nobody of ours.
    if (refusal.kind.code !== ADMIN_PROBLEMS.role_not_enough.code) throw refusal;
    const { app, channel, version, id } = shortParams(request);
    const record: ActRecord = {
      operator: callerOf(response).name,
      action,
      stage: "refused",
      ...(app === undefined ? {} : { app }),
      ...(channel === undefined ? {} : { channel }),
      ...(version === undefined ? {} : { version }),
      ...(id === undefined ? {} : { [action === "unfreeze" ? "freeze_id" : "decision_id"]: id }),
      reason: null,
      code: refusal.kind.code,
    };
    await journal.append(operatorDraft(record, clock()));
    throw refusal;
  };
}

/** Names of what there may be; anything longer is not worth keeping for good. */
const PARAM_CHARS_MAX = 128;

function shortParams({ params }: Request): Partial<Record<"app" | "channel" | "version" | "id", string>> {
  return Object.fromEntries(
    Object.entries(params as Record<string, string>).filter(([, value]) => value.length <= PARAM_CHARS_MAX),
  );
}

/** A DELETE has no body: the words come in the query. */
function noteOf({ query }: Request): string | null {
  const { reason } = query;
  if (reason === undefined) return null;
  const parsed = reasonSchema.safeParse(reason);
  if (parsed.success) return parsed.data;
  throw new Problem(ADMIN_PROBLEMS.invalid_query, {
    detail: `\`reason\`: at most ${REASON_CHARS_MAX} characters.`,
  });
}

function channelOf({ params }: Request): ChannelKey {
  const { app, channel } = params as Record<"app" | "channel", string>;
  if (!isAppOrChannel(app) || !isAppOrChannel(channel))
    throw new Problem(ADMIN_PROBLEMS.unknown_channel, {
      detail: "GET /v1/status lists the channels there are.",
    });
  return { app: app as AppId, channel: channel as Channel };
}

function releaseOf(request: Request): ReleaseKey {
  const version = request.params["version"] as string;
  if (!isVersion(version))
    throw new Problem(ADMIN_PROBLEMS.unknown_release, {
      detail: "GET /v1/status lists the releases there are.",
    });
  return { ...channelOf(request), version };
}
