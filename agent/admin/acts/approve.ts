// A person's answer to a decision that waits for one. Enters: who says yes or no to which decision. Leaves: the decision;
// a yes puts it into the outbox in the same step.
import { Problem } from "../../../runtime/problem.ts";
import { operatorDraft } from "../../journal/operator-record.ts";
import type { DecisionRecord } from "../../rollback/decision-record.ts";
import type { Caller } from "../authenticate.ts";
import { ADMIN_PROBLEMS } from "../problems.ts";
import { attempt, factsOf, knownView, watchedOf } from "./act.ts";
import type { ActDeps, KnownView } from "./act.ts";
import type { WatchedChannel } from "../../jobs/watched-channel.ts";
import { handsOff, objectionsToVersion, overrule } from "./objections.ts";

export interface Answer {
  readonly id: string;
  /** The person's own words. */
  readonly note: string | null;
  /** Go on though guards object: admins only. */
  readonly override?: boolean | undefined;
}

export function approve(caller: Caller, answer: Answer, deps: ActDeps): Promise<DecisionRecord> {
  const { id: decision_id, note: reason } = answer;
  return attempt(deps, caller, {
    asked: { action: "approve", decision_id, reason },
    act: () => approveNow(caller, answer, deps),
  });
}

export function reject(caller: Caller, answer: Answer, deps: ActDeps): Promise<DecisionRecord> {
  const { id: decision_id, note: reason } = answer;
  return attempt(deps, caller, {
    asked: { action: "reject", decision_id, reason },
    act: () => rejectNow(caller, answer, deps),
  });
}

/** A stale approval can't fire: it must still wait, be in time, and be about what the channel offers. */
async function approveNow(
  caller: Caller,
  { id, note, override }: Answer,
  deps: ActDeps,
): Promise<DecisionRecord> {
  const { decisions, clock, onDecision } = deps;
  const decision = await waitingDecision(id, deps);
  const nowMs = clock();
  if (Date.parse(decision.approval!.expires_at) <= nowMs)
    throw new Problem(ADMIN_PROBLEMS.approval_over, {
      detail: `It could be approved until ${decision.approval!.expires_at}; if the release still fails, it is asked anew.`,
    });
  const watched = watchedOf(decision, deps);
  const view = await knownView(watched, deps);
  if (view.version !== decision.version)
    throw new Problem(ADMIN_PROBLEMS.stale, {
      detail: `The channel offers ${view.version ?? "nothing"}, not ${decision.version} any more.`,
    });
  const objections = handsOff(await factsOf(watched, deps));
  overrule(caller, objections, override === true);
  if (decision.target !== null) await assertTargetStillGood(decision, { watched, view }, deps);
  const at = new Date(nowMs).toISOString();
  const approval = {
    ...decision.approval!,
    answer: "approved" as const,
    answered_at: at,
    answered_by: caller.name,
    note,
  };
  const draft = operatorDraft(
    { operator: caller.name, action: "approve", stage: "done", ...fieldsOf(decision), reason: note },
    nowMs,
  );
  if ((await decisions.approve(decision, approval, draft)) !== "appended") throw answeredAlready(id);
  await onDecision(id);
  return { ...decision, approval };
}

async function assertTargetStillGood(
  { target, version }: DecisionRecord,
  { watched, view }: { watched: WatchedChannel; view: KnownView },
  deps: ActDeps,
): Promise<void> {
  const isListed = view.releases.some((release) => release.version === target);
  const objections = objectionsToVersion({ ...(await factsOf(watched, deps)), target: target! });
  if (isListed && objections.length === 0) return;
  const why = isListed
    ? objections.map(({ sentence }) => sentence).join(" ")
    : "The OTA server has it no more.";
  throw new Problem(ADMIN_PROBLEMS.stale, {
    detail: `${target} is no good target any more. ${why} Reject this, and roll ${version} back by hand to another one.`,
  });
}

async function rejectNow(caller: Caller, { id, note }: Answer, deps: ActDeps): Promise<DecisionRecord> {
  const { decisions, clock } = deps;
  const decision = await waitingDecision(id, deps);
  const nowMs = clock();
  const at = new Date(nowMs).toISOString();
  const approval = {
    ...decision.approval!,
    answer: "rejected" as const,
    answered_at: at,
    answered_by: caller.name,
    note,
  };
  const detail = `${caller.name} said no${note === null ? "." : `: ${note}`}`;
  const outcome = { kind: "rejected" as const, at, detail, version_seen: null, attempts: 0 };
  const draft = operatorDraft(
    { operator: caller.name, action: "reject", stage: "done", ...fieldsOf(decision), reason: note },
    nowMs,
  );
  if ((await decisions.closeApproval(decision, { approval, outcome, draft })) !== "appended")
    throw answeredAlready(id);
  await deps.onChange(decision);
  return { ...decision, approval, outcome };
}

function fieldsOf({ app, channel, version, id }: DecisionRecord) {
  return { app, channel, version, decision_id: id };
}

async function waitingDecision(id: string, { decisions }: ActDeps): Promise<DecisionRecord> {
  const decision = await decisions.read(id);
  if (decision === undefined)
    throw new Problem(ADMIN_PROBLEMS.unknown_decision, {
      detail: "GET /v1/decisions lists the decisions there are.",
    });
  if (decision.approval === null)
    throw new Problem(ADMIN_PROBLEMS.not_waiting, { detail: "This decision asks for nobody's approval." });
  if (decision.approval.answer !== null) throw answeredAlready(id, decision);
  return decision;
}

function answeredAlready(id: string, decision?: DecisionRecord): Problem {
  const { answer, answered_by, answered_at } = decision?.approval ?? {};
  const how =
    typeof answer === "string"
      ? ` (${answer}${answered_by ? ` by ${answered_by}` : ""}, ${answered_at})`
      : "";
  return new Problem(ADMIN_PROBLEMS.approval_over, { detail: `${id} waits no longer${how}.` });
}
