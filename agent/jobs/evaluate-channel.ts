// The evaluation of one channel, top to bottom: counts that changed -> verdicts -> decision -> outbox.
// Judging and deciding are pure; this file reads before them and writes after them.
import { formatChannelKey, formatReleaseKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { ReleaseHealth } from "../health/health-window.ts";
import { hasUnannouncedFailures, settledMinute } from "../health/settled-counts.ts";
import { toSignalRecord } from "../journal/signal-record.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { Journal } from "../journal/journal.ts";
import { isSettled, judgeInputOf } from "../judge/judge-input.ts";
import { judge } from "../judge/judge.ts";
import { isUsageSignal } from "../judge/signals.ts";
import type { Verdict } from "../judge/verdict.ts";
import { PASSING_REASONS } from "../policy/decision.ts";
import type { RollbackDecision } from "../policy/decision.ts";
import { decide, isToDecide } from "../policy/decide.ts";
import type { Policy } from "../policy/policy.ts";
import type { ChannelView } from "../policy/situation.ts";
import { decisionIdOf } from "../rollback/decision-record.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import type { OtaServer } from "../rollback/ota-server.ts";
import { readBaseline } from "./baseline.ts";

/** How old the remembered version of a channel may get while reports arrive, in milliseconds. */
export const CHANNEL_AGE_MS_MAX = 5_000;

export interface WatchedChannel {
  readonly key: ChannelKey;
  readonly policy: Policy;
  readonly minimumVersion: Version | undefined;
  readonly server: OtaServer;
}

export interface EvaluateDeps {
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly decisions: DecisionStore;
  readonly holds: HoldStore;
  readonly journal: Journal;
  /** Asks for a decision in the outbox to be carried out. */
  readonly onDecision: (decisionId: string) => Promise<void>;
  /** Before the first write; the answer tells later whether all of them survive the death of a server. */
  readonly watchReplication: () => () => Promise<boolean>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export async function evaluateChannel(watched: WatchedChannel, deps: EvaluateDeps): Promise<void> {
  const isReplicated = deps.watchReplication();
  const dirty = (await deps.health.listDirty()).filter(({ release }) => isOn(release, watched.key));
  const held = await heldReleases(watched.key, deps);
  const releases = new Map(
    [...dirty.map(({ release }) => release), ...held].map((release) => [formatReleaseKey(release), release]),
  );
  const judged: Judged[] = [];
  for (const release of releases.values()) judged.push(await judgeRelease(release, watched.policy, deps));
  for (const { health, verdict } of judged) {
    if (isToDecide(verdict)) await decideOn(watched, health, verdict, deps);
    else await deps.holds.clear(verdict.release);
  }
  // Last: whatever fails above leaves the releases on the list, and the next sweep evaluates them again; as it
  // does those whose failures still have to settle.
  const unsettled = new Set(
    judged.filter(({ isSettled }) => !isSettled).map(({ verdict }) => formatReleaseKey(verdict.release)),
  );
  // The list is kept by other servers of a cluster than what was decided: it must not be cleared while a
  // decision could still be lost.
  if (!(await isReplicated())) return;
  for (const each of dirty)
    if (!unsettled.has(formatReleaseKey(each.release))) await deps.health.clearDirty(each);
}

function isOn(release: ReleaseKey, key: ChannelKey): boolean {
  return release.app === key.app && release.channel === key.channel;
}

/** Held rollbacks whose reason may be over without a new report having come. */
async function heldReleases(key: ChannelKey, { holds }: EvaluateDeps): Promise<ReleaseKey[]> {
  const held = [...(await holds.list())].filter(([, { reason }]) => PASSING_REASONS.has(reason));
  return held.map(([text]) => parseReleaseKey(text)).filter((release) => isOn(release, key));
}

interface Judged {
  readonly health: ReleaseHealth;
  readonly verdict: Verdict;
  /** False while failures wait to be counted, or devices to be heard: time alone will change the verdict. */
  readonly isSettled: boolean;
}

async function judgeRelease(release: ReleaseKey, policy: Policy, deps: EvaluateDeps): Promise<Judged> {
  const health = await deps.health.readRelease(release);
  const history = await deps.health.readHistory(release);
  const baseline = await readBaseline(health, history, deps);
  const nowMs = deps.clock();
  const young = hasUnannouncedFailures(health.devices)
    ? await deps.health.readWindows(release, { sinceMinute: settledMinute(nowMs), strata: "summed" })
    : [];
  const input = judgeInputOf({ health, history, baseline, young, policy, nowMs });
  const verdict = judge(input);
  await keepSummary(health, verdict, deps);
  return { health, verdict, isSettled: isSettled(input) };
}

async function keepSummary(
  health: ReleaseHealth,
  verdict: Verdict,
  { summaries, journal, clock }: EvaluateDeps,
): Promise<void> {
  // Retired from every shard: it was not reported about for longest, and made room for newer releases.
  if (health.lastReportAtMs === 0) return summaries.remove(verdict.release);
  const before = await summaries.read(verdict.release);
  const nowMs = clock();
  if (before === undefined || before.verdict.kind !== verdict.kind) {
    const body = {
      ...verdict,
      signals: verdict.signals.map(toSignalRecord),
      before: before?.verdict.kind ?? null,
    };
    await journal.append({ kind: "verdict", at: new Date(nowMs).toISOString(), body });
  }
  const { hours, firstReportAtMs, lastReportAtMs } = health;
  await summaries.write({ verdict, hours, evaluatedAtMs: nowMs, firstReportAtMs, lastReportAtMs });
}

async function decideOn(
  watched: WatchedChannel,
  health: ReleaseHealth,
  verdict: Verdict,
  deps: EvaluateDeps,
): Promise<void> {
  const history = await deps.decisions.historyOn(watched.key);
  // The OTA server is only asked when there is something to decide.
  const channel: ChannelView = history.rolledBack.has(verdict.release.version)
    ? { kind: "unavailable", detail: "not asked" }
    : await readChannelView(watched, deps);
  const decision = decide({
    channelKey: watched.key,
    nowMs: deps.clock(),
    policy: watched.policy,
    minimumVersion: watched.minimumVersion,
    verdict,
    channel,
    ...history,
    failing: await failingVersions(watched.key, deps),
  });
  await keepDecision(decision, health, verdict, deps);
}

async function failingVersions(key: ChannelKey, { summaries }: EvaluateDeps): Promise<Set<string>> {
  const all = await summaries.list();
  return new Set(
    all
      .filter(({ verdict }) => isOn(verdict.release, key) && verdict.kind === "failing")
      .map(({ verdict }) => verdict.release.version),
  );
}

async function keepDecision(
  decision: RollbackDecision,
  health: ReleaseHealth,
  verdict: Verdict,
  deps: EvaluateDeps,
): Promise<void> {
  switch (decision.kind) {
    case "none":
      await deps.holds.clear(verdict.release);
      return;
    case "hold":
      if ((await deps.holds.keep(decision, verdict, deps.clock())) === "began")
        deps.logger.warn(
          { ...verdict.release, reason: decision.reason },
          `a rollback is held back: ${decision.sentence}`,
        );
      return;
    case "rollback": {
      const staleRounds = await deps.decisions.staleRounds(verdict.release);
      const record = toRecord(decision, { health, verdict, staleRounds, nowMs: deps.clock() });
      if ((await deps.decisions.record(record)) === "exists") {
        // A shadow decision stands for ever; whatever held it back before is over.
        await deps.holds.clear(verdict.release);
        return;
      }
      deps.logger.warn(
        { decision_id: record.id, app: record.app, channel: record.channel, mode: record.mode },
        record.sentence,
      );
      if (record.mode === "automatic") await deps.onDecision(record.id);
      return;
    }
  }
}

function toRecord(
  decision: Extract<RollbackDecision, { kind: "rollback" }>,
  {
    health,
    verdict,
    staleRounds,
    nowMs,
  }: { health: ReleaseHealth; verdict: Verdict; staleRounds: number; nowMs: number },
): DecisionRecord {
  return {
    id: decisionIdOf(verdict.release, decision.mode, staleRounds),
    at: new Date(nowMs).toISOString(),
    ...verdict.release,
    target: decision.target,
    action: "rollback",
    mode: decision.mode,
    reason: decision.reason,
    sentence: decision.sentence,
    evidence: { signals: verdict.signals.map(toSignalRecord), devices: verdict.devices },
    last_needed_report_at: new Date(lastNeededMs(verdict, health, nowMs)).toISOString(),
    outcome: null,
  };
}

/** When the evidence was complete: with a failing report, with any report of use, or, of silence, by time alone. */
function lastNeededMs({ signals }: Verdict, health: ReleaseHealth, nowMs: number): number {
  const speaks = signals.filter(
    ({ evidenceLog10, thresholdLog10, segments }) =>
      (evidenceLog10 ?? thresholdLog10) >= thresholdLog10 ||
      segments.some((segment) => segment.evidenceLog10 >= segment.thresholdLog10),
  );
  if (speaks.some(({ signal, rule }) => rule !== "worse_than_baseline" && !isUsageSignal(signal)))
    return health.lastFailureAtMs;
  return speaks.every(({ signal }) => signal === "silence") ? nowMs : health.lastReportAtMs;
}

async function readChannelView(
  { key, server }: WatchedChannel,
  { summaries, clock }: Pick<EvaluateDeps, "summaries" | "clock">,
): Promise<ChannelView> {
  const answer = await server.readChannel(key);
  if (answer.kind !== "channel") return answer;
  await summaries.writeChannel(key, { version: answer.state.version, readAtMs: clock() });
  return { kind: "known", ...answer.state };
}

/**
 * Keeps the version that people see fresh while reports arrive. Not part of evaluating: it is not waited for,
 * and asks at most every CHANNEL_AGE_MS_MAX whatever the answer was, so that a server that hangs holds up nothing.
 */
export function createChannelRefresh(
  deps: Pick<EvaluateDeps, "summaries" | "clock">,
): (watched: WatchedChannel) => void {
  const askedAtMs = new Map<string, number>();
  return (watched) => {
    const text = formatChannelKey(watched.key);
    // Of the process's own clock: a time of day that is set back must not silence it.
    const nowMs = performance.now();
    if (nowMs - (askedAtMs.get(text) ?? Number.NEGATIVE_INFINITY) < CHANNEL_AGE_MS_MAX) return;
    askedAtMs.set(text, nowMs);
    readChannelView(watched, deps).catch(() => {});
  };
}
