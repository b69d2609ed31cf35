// Freezes, and the kill switch, set and lifted by people; and absolving a release. Enters: who asks for what. Leaves: the
// freeze, in force with its journal entry; or how often the release has been absolved.
import { randomUUID } from "node:crypto";
import { isOnChannel } from "../../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../../ingest/contract/release-key.ts";
import { Problem } from "../../../runtime/problem.ts";
import { FREEZES_MAX } from "../../journal/freeze-store.ts";
import { operatorDraft } from "../../journal/operator-record.ts";
import type { ActRecord } from "../../journal/operator-record.ts";
import type { Freeze, FreezeScope } from "../../policy/freeze.ts";
import type { Caller } from "../authenticate.ts";
import { ADMIN_PROBLEMS } from "../problems.ts";
import { attempt, watchedOf } from "./act.ts";
import type { ActDeps } from "./act.ts";

/** Longest freeze that ends by itself. */
export const FREEZE_MS_MAX = 365 * 24 * 3_600_000;

export interface FreezeAsked {
  readonly scope: FreezeScope;
  readonly reason: string;
  /** RFC 3339; null = until it is lifted. */
  readonly until: string | null;
}

export function freeze(caller: Caller, asked: FreezeAsked, deps: ActDeps): Promise<Freeze> {
  return attempt(deps, caller, {
    asked: { action: "freeze", ...scopeFields(asked.scope), reason: asked.reason },
    act: () => freezeNow(caller, asked, deps),
  });
}

export function unfreeze(
  caller: Caller,
  asked: { readonly id: string; readonly note: string | null },
  deps: ActDeps,
): Promise<Freeze> {
  return attempt(deps, caller, {
    asked: { action: "unfreeze", freeze_id: asked.id, reason: asked.note },
    act: () => unfreezeNow(caller, asked, deps),
  });
}

export function absolve(
  caller: Caller,
  asked: { readonly release: ReleaseKey; readonly reason: string },
  deps: ActDeps,
): Promise<{ readonly times: number }> {
  return attempt(deps, caller, {
    asked: { action: "absolve", ...asked.release, reason: asked.reason },
    act: () => absolveNow(caller, asked, deps),
  });
}

function scopeFields(scope: FreezeScope): Partial<Pick<ActRecord, "app" | "channel">> {
  return scope === "all" ? {} : { app: scope.app, channel: scope.channel };
}

async function freezeNow(
  caller: Caller,
  { scope, reason, until }: FreezeAsked,
  deps: ActDeps,
): Promise<Freeze> {
  const { freezes, clock } = deps;
  if (scope !== "all") watchedOf(scope, deps);
  const nowMs = clock();
  if (until !== null && Date.parse(until) > nowMs + FREEZE_MS_MAX)
    throw new Problem(ADMIN_PROBLEMS.invalid_body, {
      detail: "`until` is more than 365 days away: leave it out to freeze until somebody lifts it.",
    });
  if (until !== null && Date.parse(until) <= nowMs)
    throw new Problem(ADMIN_PROBLEMS.invalid_body, { detail: `\`until\` (${until}) is not in the future.` });
  if ((await freezes.list(nowMs)).length >= FREEZES_MAX)
    throw new Problem(ADMIN_PROBLEMS.too_many_freezes, {
      detail: `There are ${FREEZES_MAX} freezes already: lift some.`,
    });
  const id = `fr_${randomUUID().replaceAll("-", "").slice(0, 12)}`;
  const set: Freeze = { id, scope, by: caller.name, reason, since: new Date(nowMs).toISOString(), until };
  const record: ActRecord = {
    operator: caller.name,
    action: "freeze",
    stage: "done",
    ...scopeFields(scope),
    freeze_id: id,
    reason,
  };
  await freezes.set(set, operatorDraft(record, nowMs));
  return set;
}

async function unfreezeNow(
  caller: Caller,
  { id, note }: { readonly id: string; readonly note: string | null },
  deps: ActDeps,
): Promise<Freeze> {
  const { freezes, clock } = deps;
  const lifted = await freezes.read(id);
  const record: ActRecord = {
    operator: caller.name,
    action: "unfreeze",
    stage: "done",
    ...(lifted === undefined ? {} : scopeFields(lifted.scope)),
    freeze_id: id,
    reason: note,
  };
  if (lifted === undefined || (await freezes.lift(id, operatorDraft(record, clock()))) !== "appended")
    throw new Problem(ADMIN_PROBLEMS.unknown_freeze, {
      detail: "GET /v1/freezes lists the freezes in force.",
    });
  await deps.onChange(lifted.scope);
  return lifted;
}

async function absolveNow(
  caller: Caller,
  { release, reason }: { readonly release: ReleaseKey; readonly reason: string },
  deps: ActDeps,
): Promise<{ times: number }> {
  const { absolutions, decisions, clock } = deps;
  watchedOf(release, deps);
  const open = (await decisions.list()).find(
    (each) =>
      each.outcome === null &&
      each.mode !== "shadow" &&
      isOnChannel(each, release) &&
      each.version === release.version,
  );
  if (open !== undefined)
    throw new Problem(ADMIN_PROBLEMS.decision_open, {
      detail: `${open.id} about this release has not ended: wait for it, or reject it.`,
    });
  const nowMs = clock();
  const times = ((await absolutions.read(release))?.times ?? 0) + 1;
  const record: ActRecord = { operator: caller.name, action: "absolve", stage: "done", ...release, reason };
  const absolution = { by: caller.name, reason, at: new Date(nowMs).toISOString(), times };
  await absolutions.set(release, absolution, operatorDraft(record, nowMs));
  await deps.judgeAnew(release);
  return { times };
}
