// Judges one release: reads its counts and those of its baseline, asks the judge, and keeps what it said. Enters: a
// release and its policy. Leaves: the verdict, in the journal when its kind has changed.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import { dayOf } from "../health/device-record.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { ReleaseHealth } from "../health/health-window.ts";
import { hasUnannouncedFailures, settledMinute } from "../health/settled-counts.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { Journal } from "../journal/journal.ts";
import { toAccusingRecord, toSignalRecord } from "../journal/signal-record.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { isSettled, judgeInputOf } from "../judge/judge-input.ts";
import { judge } from "../judge/judge.ts";
import { judgedSince } from "../judge/judged-since.ts";
import { withKnownDevices } from "../judge/known-devices.ts";
import type { Verdict } from "../judge/verdict.ts";
import { budgetAfter, judgedSinceMinute } from "../policy/absolution.ts";
import { isSuspect } from "../policy/ladder.ts";
import type { Policy } from "../policy/policy.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { readBaseline } from "./baseline.ts";

export interface JudgeDeps {
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly decisions: DecisionStore;
  readonly holds: HoldStore;
  readonly absolutions: AbsolutionStore;
  readonly journal: Journal;
  readonly clock: Clock;
}

export interface Judged {
  readonly health: ReleaseHealth;
  readonly verdict: Verdict;
  /** False while failures wait to be counted, or devices to be heard: time alone will change the verdict. */
  readonly isSettled: boolean;
}

export async function judgeRelease(release: ReleaseKey, policy: Policy, deps: JudgeDeps): Promise<Judged> {
  const health = await deps.health.readRelease(release);
  const whole = await deps.health.readHistory(release);
  const baseline = await readBaseline(health, whole, deps);
  const absolution = await deps.absolutions.read(release);
  const sinceMinute = judgedSinceMinute(absolution);
  const { devices, history } = judgedSince({ devices: health.devices, history: whole }, sinceMinute);
  const nowMs = deps.clock();
  const young = hasUnannouncedFailures(devices)
    ? await deps.health.readWindows(release, {
        sinceMinute: Math.max(settledMinute(nowMs), sinceMinute),
        strata: "summed",
      })
    : [];
  const input = judgeInputOf({
    health: { release, devices, silenceDeadlineMs: health.silenceDeadlineMs },
    history,
    baseline,
    young,
    policy: {
      rules: policy.rules,
      falseRollbackBudget: budgetAfter(policy.falseRollbackBudget, absolution),
    },
    nowMs,
  });
  const judged = judge(input);
  const verdict = policy.guards.knownDevicesLeast === 0 ? judged : await askForKnown(judged, health, deps);
  await keepSummary(health, { verdict, isSuspect: isSuspect(verdict, policy.falseRollbackBudget) }, deps);
  return { health, verdict, isSettled: isSettled(input) };
}

/** Contacts are read for accused releases alone. */
async function askForKnown(
  verdict: Verdict,
  { release, firstReportAtMs }: ReleaseHealth,
  { health, summaries }: JudgeDeps,
): Promise<Verdict> {
  if (verdict.accusing.length === 0) return verdict;
  const [contacts, all] = await Promise.all([health.readFirstContacts(release), summaries.list()]);
  const firsts = all.map((summary) => summary.firstReportAtMs).filter((atMs) => atMs !== 0);
  const listeningDay = dayOf(Math.min(firstReportAtMs, ...firsts));
  return withKnownDevices(verdict, { contacts, releaseDay: dayOf(firstReportAtMs), listeningDay });
}

async function keepSummary(
  health: ReleaseHealth,
  { verdict, isSuspect: looksBad }: { readonly verdict: Verdict; readonly isSuspect: boolean },
  { summaries, journal, clock }: JudgeDeps,
): Promise<void> {
  // Retired from every shard: it was not reported about for longest, and made room for newer releases.
  if (health.lastReportAtMs === 0) return summaries.remove(verdict.release);
  const before = await summaries.read(verdict.release);
  const nowMs = clock();
  if (before === undefined || before.verdict.kind !== verdict.kind) {
    const body = {
      ...verdict,
      signals: verdict.signals.map(toSignalRecord),
      accusing: verdict.accusing.map(toAccusingRecord),
      before: before?.verdict.kind ?? null,
    };
    await journal.append({ kind: "verdict", at: new Date(nowMs).toISOString(), body });
  }
  const { hours, firstReportAtMs, lastReportAtMs } = health;
  const suspectedBefore = before?.suspectSinceMs ?? null;
  const suspectSinceMs = looksBad ? (suspectedBefore ?? nowMs) : null;
  if (suspectSinceMs !== null) {
    const since = new Date(suspectSinceMs).toISOString();
    await summaries.writeSuspect(verdict.release, { since, sentence: verdict.sentence });
  } else if (suspectedBefore !== null) await summaries.writeSuspect(verdict.release, undefined);
  await summaries.write({
    verdict,
    hours,
    evaluatedAtMs: nowMs,
    firstReportAtMs,
    lastReportAtMs,
    suspectSinceMs,
  });
}
