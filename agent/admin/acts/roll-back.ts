// Rolling a channel back, or pausing its rollout, because a person asked for it: to any release that the OTA server still
// has, with the same precondition, journal, outbox and read-back as an automatic rollback. Enters: who asks for what.
// Leaves: the decision, which is on its way.
import { randomUUID } from "node:crypto";
import type { ChannelKey, ReleaseKey, Version } from "../../../ingest/contract/release-key.ts";
import { Problem } from "../../../runtime/problem.ts";
import { toOutcomeCounts } from "../../health/outcomes.ts";
import { toSignalRecord } from "../../journal/signal-record.ts";
import { operatorDecisionIdOf } from "../../rollback/decision-record.ts";
import type { DecisionRecord } from "../../rollback/decision-record.ts";
import type { Caller } from "../authenticate.ts";
import { ADMIN_PROBLEMS } from "../problems.ts";
import { attempt, factsOf, knownView, watchedOf } from "./act.ts";
import type { ActDeps, KnownView } from "./act.ts";
import { objectionsTo, overrule } from "./objections.ts";
import type { Objection } from "./objections.ts";

export interface RollbackAsked {
  readonly to: Version;
  readonly reason: string;
  /** What the channel must offer; left out = whatever it offers now. */
  readonly from?: Version | undefined;
  /** Go on though guards object: admins only. */
  readonly override?: boolean | undefined;
  /** The same key names the same act. */
  readonly idempotencyKey?: string | undefined;
}

/** A channel as people may move it: what it offers, and each earlier release with what speaks against it. */
export interface Targets {
  readonly current: Version | null;
  readonly targets: readonly {
    readonly version: Version;
    readonly releasedAt: string | undefined;
    readonly objections: readonly Objection[];
  }[];
}

export function rollBack(
  caller: Caller,
  { key, asked }: { readonly key: ChannelKey; readonly asked: RollbackAsked },
  deps: ActDeps,
): Promise<DecisionRecord> {
  const { to, reason } = asked;
  return attempt(deps, caller, {
    asked: { action: "rollback", ...key, target: to, reason },
    act: () => rollBackNow(caller, { key, asked }, deps),
  });
}

export function pause(
  caller: Caller,
  { key, reason }: { readonly key: ChannelKey; readonly reason: string },
  deps: ActDeps,
): Promise<DecisionRecord> {
  return attempt(deps, caller, {
    asked: { action: "pause", ...key, reason },
    act: () => pauseNow(caller, { key, reason }, deps),
  });
}

export async function listTargets(key: ChannelKey, deps: ActDeps): Promise<Targets> {
  const watched = watchedOf(key, deps);
  const { version: current, releases } = await knownView(watched, deps);
  const facts = await factsOf(watched, deps);
  const targets = releases
    .filter(({ version }) => version !== current)
    .map(({ version, releasedAt }) => ({
      version,
      releasedAt,
      objections: objectionsTo({ target: version, ...facts }),
    }));
  return { current, targets };
}

async function rollBackNow(
  caller: Caller,
  { key, asked }: { readonly key: ChannelKey; readonly asked: RollbackAsked },
  deps: ActDeps,
): Promise<DecisionRecord> {
  const watched = watchedOf(key, deps);
  const { idempotencyKey = "" } = asked;
  const named = JSON.stringify([idempotencyKey, key.app, key.channel, asked.to, caller.name]);
  const id = operatorDecisionIdOf(idempotencyKey === "" ? randomUUID() : named);
  const known = await deps.decisions.read(id);
  if (known !== undefined) return known;
  const view = await knownView(watched, deps);
  const from = currentOf(view, asked);
  if (!view.releases.some(({ version }) => version === asked.to))
    throw new Problem(ADMIN_PROBLEMS.unknown_target, {
      detail: `The OTA server has no release ${asked.to} on this channel; it has ${namesOf(view)}.`,
    });
  const objections = objectionsTo({ target: asked.to, ...(await factsOf(watched, deps)) });
  overrule(caller, objections, asked.override === true);
  const overruled = objections.map(({ guard }) => guard);
  const decision = await operatorDecision(
    { id, caller, release: { ...key, version: from }, target: asked.to, reason: asked.reason },
    deps,
  );
  return recordOf(decision, overruled, deps);
}

function currentOf(view: KnownView, { from, to }: RollbackAsked): Version {
  const { version } = view;
  if (version === null)
    throw new Problem(ADMIN_PROBLEMS.nothing_offered, {
      detail: "The channel offers nothing, so there is nothing to roll back.",
    });
  if (from !== undefined && from !== version)
    throw new Problem(ADMIN_PROBLEMS.stale, {
      detail: `The channel offers ${version}, not ${from}: look again before you act.`,
    });
  if (to === version)
    throw new Problem(ADMIN_PROBLEMS.already_there, { detail: `The channel offers ${to} already.` });
  return version;
}

function namesOf({ releases }: KnownView): string {
  const shown = releases.slice(0, 10).map(({ version }) => version);
  return `${shown.join(", ") || "none"}${releases.length > shown.length ? ", …" : ""}`;
}

interface OperatorWish {
  readonly id: string;
  readonly caller: Caller;
  readonly release: ReleaseKey;
  readonly target: Version | null;
  readonly reason: string;
}

async function operatorDecision(
  { id, caller, release, target, reason }: OperatorWish,
  { summaries, clock }: ActDeps,
): Promise<DecisionRecord> {
  const at = new Date(clock()).toISOString();
  const verdict = (await summaries.read(release))?.verdict;
  const does = target === null ? "paused the rollout" : `rolls back to ${target}`;
  return {
    id,
    at,
    ...release,
    target,
    action: target === null ? "pause" : "rollback",
    mode: "manual",
    cause: "operator",
    reason: "operator_asked",
    sentence: `${caller.name} ${does}: ${reason}`,
    operator: caller.name,
    evidence: {
      signals: verdict?.signals.map(toSignalRecord) ?? [],
      devices: verdict?.devices ?? toOutcomeCounts([]),
    },
    last_needed_report_at: at,
    approval: null,
    outcome: null,
    follow_up: null,
  };
}

async function recordOf(
  decision: DecisionRecord,
  overruled: readonly string[],
  { decisions, onDecision }: ActDeps,
): Promise<DecisionRecord> {
  const draft = { kind: "decision" as const, at: decision.at, body: { ...decision, overruled } };
  // The same request came twice at once: the other one's decision is the one.
  if ((await decisions.record(decision, { draft })) === "exists")
    return (await decisions.read(decision.id)) ?? decision;
  await onDecision(decision.id);
  return decision;
}

async function pauseNow(
  caller: Caller,
  { key, reason }: { readonly key: ChannelKey; readonly reason: string },
  deps: ActDeps,
): Promise<DecisionRecord> {
  const watched = watchedOf(key, deps);
  if (!watched.server.capabilities.pause)
    throw new Problem(ADMIN_PROBLEMS.not_supported, {
      detail: `An OTA server of type ${watched.server.type} can't pause a rollout.`,
    });
  const { version } = await knownView(watched, deps);
  if (version === null)
    throw new Problem(ADMIN_PROBLEMS.nothing_offered, {
      detail: "The channel offers nothing, so there is nothing to pause.",
    });
  const id = operatorDecisionIdOf(randomUUID());
  const decision = await operatorDecision(
    { id, caller, release: { ...key, version }, target: null, reason },
    deps,
  );
  return recordOf(decision, [], deps);
}
