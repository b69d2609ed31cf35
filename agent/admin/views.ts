// What the operator API shows, made from what the stores hold. The API's names are snake_case and a
// promise to users; the inside may change.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { DeviceHours } from "../health/health-window.ts";
import type { Hold } from "../journal/hold-store.ts";
import type { ReleaseSummary } from "../journal/summary-store.ts";
import { toAccusingRecord, toSignalRecord } from "../journal/signal-record.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";

function viewVerdict(verdict: Verdict): Record<string, unknown> {
  const { kind, reason, sentence, baseline, shareOfFleet, signals, accusing } = verdict;
  return {
    kind,
    reason,
    sentence,
    baseline,
    share_of_fleet: shareOfFleet,
    signals: signals.map(toSignalRecord),
    accusing: accusing.map(toAccusingRecord),
  };
}

export function viewRelease(
  summary: ReleaseSummary,
  {
    decisionIds,
    hold,
  }: { readonly decisionIds: ReadonlyMap<string, string>; readonly hold: Hold | undefined },
): Record<string, unknown> {
  const { verdict, hours, firstReportAtMs, lastReportAtMs, evaluatedAtMs } = summary;
  const decisionId = decisionIds.get(formatReleaseKey(verdict.release));
  return {
    version: verdict.release.version,
    first_seen: timeOrNull(firstReportAtMs),
    last_report: timeOrNull(lastReportAtMs),
    evaluated_at: timeOrNull(evaluatedAtMs),
    devices: verdict.devices,
    hours: viewHours(hours),
    verdict: viewVerdict(verdict),
    condemned: decisionId !== undefined,
    decision_id: decisionId ?? null,
    hold: hold ?? null,
  };
}

export function viewDecision(decision: DecisionRecord): Record<string, unknown> {
  return { ...decision, guard: null };
}

export function viewHours(hours: DeviceHours): Record<string, number> {
  const { active, crashed, notResponding, firstCrashed, firstNotResponding } = hours;
  return {
    active,
    crashed,
    not_responding: notResponding,
    first_crashed: firstCrashed,
    first_not_responding: firstNotResponding,
  };
}

/** 0 stands for "never". */
export function timeOrNull(ms: number): string | null {
  return ms === 0 ? null : new Date(ms).toISOString();
}
