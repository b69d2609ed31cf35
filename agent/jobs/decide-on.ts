// Decides about one accused release: gathers the situation, asks the policy, and keeps the answer: nothing, a hold, or a
// decision in the outbox. Enters: an accusation. Leaves: what was decided, in the journal with the counts it saw.
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import { ownFreezeId } from "../journal/freeze-store.ts";
import type { FreezeStore } from "../journal/freeze-store.ts";
import type { HoldDecision, HoldStore } from "../journal/hold-store.ts";
import { toSignalRecord } from "../journal/signal-record.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { isUsageSignal } from "../judge/signals.ts";
import type { Verdict } from "../judge/verdict.ts";
import { decide } from "../policy/decide.ts";
import { isWeaker } from "../policy/decision.ts";
import type { ActDecision, Cause, PolicyAction } from "../policy/decision.ts";
import type { Freeze } from "../policy/freeze.ts";
import type { Policy } from "../policy/policy.ts";
import type { ChannelView, Situation } from "../policy/situation.ts";
import { channelHistory, roundsOf } from "../rollback/channel-history.ts";
import { decisionIdOf } from "../rollback/decision-record.ts";
import type { DecisionOutcome, DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import type { HealthStore } from "../health/health-store.ts";
import { lowestNativeBuildOf } from "../health/native-builds.ts";
import { readChannelView } from "./channel-view.ts";
import type { Judged } from "./judge-release.ts";
import type { WatchedChannel } from "./watched-channel.ts";

export interface DecideDeps {
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly decisions: DecisionStore;
  readonly absolutions: AbsolutionStore;
  readonly freezes: FreezeStore;
  readonly holds: HoldStore;
  /** Asks for a decision in the outbox to be carried out. */
  readonly onDecision: (decisionId: string) => Promise<void>;
  /** Something was decided, or began to be held back: people may have to hear of it. */
  readonly onNews: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who speaks against a release. */
export interface Accusation {
  readonly cause: Cause;
  readonly release: ReleaseKey;
  /** What it says, where that is not the verdict. */
  readonly sentence?: string;
  /** What it asks for at most; left out = what the policy says. */
  readonly action?: PolicyAction;
}

export type Accused = Judged & Accusation;

/** How often a decision is made anew because another one was recorded meanwhile. */
const DECIDE_TRIES_MAX = 20;

/**
 * All that speaks against one release, strongest first. What comes first says more; what else speaks is heard when that
 * is held back, so that a forged wave of failures does not keep an alert from being answered. The first hold is what
 * people are told of.
 */
export async function decideOn(
  watched: WatchedChannel,
  accusations: readonly Accused[],
  deps: DecideDeps,
): Promise<void> {
  for (let tries = 0; tries < DECIDE_TRIES_MAX; tries += 1)
    if ((await tryToDecide(watched, accusations, deps)) === "done") return;
  throw new Error(
    "other decisions were recorded again and again while one was made; the next sweep tries anew",
  );
}

/** `moved`: another decision was recorded since, on which budgets and rounds rest. */
async function tryToDecide(
  watched: WatchedChannel,
  accusations: readonly Accused[],
  deps: DecideDeps,
): Promise<"done" | "moved"> {
  const count = await deps.decisions.readCount();
  let held: { readonly decision: HoldDecision; readonly policy: Policy } | undefined;
  for (const accused of accusations) {
    const policy = policyFor(watched.policy, accused);
    const { situation, decisions } = await gatherSituation({ ...watched, policy }, accused, deps);
    const decision = decide(situation);
    if (decision.kind === "hold") held ??= { decision, policy };
    else if (decision.kind !== "none") {
      const rounds = policy.mode === "shadow" ? 0 : roundsOf(decisions, accused.release);
      const record = toRecord(decision, accused, { policy, rounds, nowMs: situation.nowMs });
      return keepAct(record, { count, deps });
    }
  }
  const { verdict, release } = accusations[0]!;
  if (held === undefined) await deps.holds.clear(release);
  else await keepHold(held.decision, { verdict, key: watched.key, policy: held.policy }, deps);
  return "done";
}

/** An alert may ask for less than the policy does, and never for more. */
function policyFor(policy: Policy, { action = policy.action }: Accusation): Policy {
  return isWeaker(action, policy.action) ? { ...policy, action } : policy;
}

export async function gatherSituation(
  watched: WatchedChannel,
  { verdict, cause, sentence }: Pick<Accused, "verdict" | "cause" | "sentence">,
  deps: Omit<DecideDeps, "holds" | "onDecision" | "onNews" | "logger">,
): Promise<{ readonly situation: Situation; readonly decisions: readonly DecisionRecord[] }> {
  const { key, policy, minimumVersion, server } = watched;
  const nowMs = deps.clock();
  const [decisions, absolutions, freezes] = await Promise.all([
    deps.decisions.list(),
    deps.absolutions.list(),
    deps.freezes.list(nowMs),
  ]);
  const history = channelHistory({ decisions, absolutions }, key, policy.action);
  const isDone = cause !== "offered_again" && history.rolledBack.has(verdict.release.version);
  // The OTA server is only asked when there is something to decide.
  const channel: ChannelView = isDone
    ? { kind: "unavailable", detail: "not asked" }
    : await readChannelView(watched, deps);
  const situation: Situation = {
    channelKey: key,
    nowMs,
    policy,
    minimumVersion,
    lowestNativeBuild: await readLowestNativeBuild(channel, verdict, deps),
    verdict,
    cause,
    causeSentence: sentence,
    capabilities: server.capabilities,
    channel,
    ...history,
    ...(await standings(key, deps)),
    freezes,
  };
  return { situation, decisions };
}

/** Read only where the OTA server goes by it. */
async function readLowestNativeBuild(
  channel: ChannelView,
  { release }: Verdict,
  { health }: Pick<DecideDeps, "health">,
): Promise<string | undefined> {
  if (channel.kind !== "known" || channel.refusesBelowNativeBuild !== true) return undefined;
  return lowestNativeBuildOf(await health.readDetail(release));
}

async function standings(
  key: ChannelKey,
  { summaries }: Pick<DecideDeps, "summaries">,
): Promise<Pick<Situation, "failing" | "healthy">> {
  const own = (await summaries.list()).filter(
    ({ verdict: { release } }) => release.app === key.app && release.channel === key.channel,
  );
  const versionsThatAre = (kind: Verdict["kind"]): Set<string> =>
    new Set(own.filter(({ verdict }) => verdict.kind === kind).map(({ verdict }) => verdict.release.version));
  return { failing: versionsThatAre("failing"), healthy: versionsThatAre("healthy") };
}

async function keepHold(
  decision: HoldDecision,
  { verdict, key, policy }: { verdict: Verdict; key: ChannelKey; policy: Policy },
  deps: DecideDeps,
): Promise<void> {
  const { reason, sentence } = decision;
  if ((await deps.holds.keep(decision, verdict, deps.clock())) === "goes_on") return;
  // Once: whoever lifts the freeze has looked.
  if (reason === "rolled_back_to_before" && policy.mode !== "shadow")
    await freezeChannel(key, sentence, deps);
  deps.logger.warn({ ...verdict.release, reason }, `a rollback is held back: ${sentence}`);
  await deps.onNews();
}

/** The target turned bad as well: nothing more is done by itself until a person has looked. */
async function freezeChannel(key: ChannelKey, reason: string, { freezes, clock }: DecideDeps): Promise<void> {
  const since = new Date(clock()).toISOString();
  const freeze: Freeze = { id: ownFreezeId(key), scope: key, by: "lastgood", reason, since, until: null };
  await freezes.set(freeze, { kind: "freeze", at: since, body: { ...freeze, stage: "set" } });
}

async function keepAct(
  record: DecisionRecord,
  { count, deps }: { count: string; deps: DecideDeps },
): Promise<"done" | "moved"> {
  const result = await deps.decisions.record(record, { count });
  if (result === "moved") return "moved";
  if (result === "exists") {
    // A shadow decision stands for ever; whatever held it back before is over.
    await deps.holds.clear(record);
    return "done";
  }
  const { id, app, channel, mode, action, approval, outcome } = record;
  deps.logger.warn({ decision_id: id, app, channel, action, mode }, record.sentence);
  if (mode !== "shadow" && outcome === null && approval === null) await deps.onDecision(id);
  await deps.onNews();
  return "done";
}

function toRecord(
  { kind: action, mode, reason, sentence, ...decision }: ActDecision,
  { health, verdict, cause }: Accused,
  { policy, rounds, nowMs }: { policy: Policy; rounds: number; nowMs: number },
): DecisionRecord {
  const at = new Date(nowMs).toISOString();
  const isAsked = mode === "approval" && action !== "page";
  return {
    id: decisionIdOf(verdict.release, { action, mode, rounds }),
    at,
    ...verdict.release,
    target: "target" in decision ? decision.target : null,
    action,
    mode,
    cause,
    reason,
    sentence,
    operator: null,
    evidence: { signals: verdict.signals.map(toSignalRecord), devices: verdict.devices },
    last_needed_report_at: new Date(
      cause === "evidence" ? lastNeededMs(verdict, health, nowMs) : nowMs,
    ).toISOString(),
    approval: isAsked
      ? {
          expires_at: new Date(nowMs + policy.approvalMs).toISOString(),
          answer: null,
          answered_at: null,
          answered_by: null,
          note: null,
        }
      : null,
    outcome: action === "page" && mode !== "shadow" ? pagedAt(at) : null,
    follow_up: null,
  };
}

function pagedAt(at: string): DecisionOutcome {
  const detail = "The policy only calls a person.";
  return { kind: "paged", at, detail, version_seen: null, attempts: 0 };
}

/** When the evidence was complete: with a failing report, with any report of use, or, of silence, by time alone. */
function lastNeededMs({ signals }: Verdict, health: Judged["health"], nowMs: number): number {
  const speaks = signals.filter(
    ({ evidenceLog10, thresholdLog10, segments }) =>
      (evidenceLog10 ?? thresholdLog10) >= thresholdLog10 ||
      segments.some((segment) => segment.evidenceLog10 >= segment.thresholdLog10),
  );
  if (speaks.some(({ signal, rule }) => rule !== "worse_than_baseline" && !isUsageSignal(signal)))
    return health.lastFailureAtMs;
  return speaks.every(({ signal }) => signal === "silence") ? nowMs : health.lastReportAtMs;
}
