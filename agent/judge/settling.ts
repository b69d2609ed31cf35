// Whether time alone may change a verdict, without any report about the release: devices that do not answer are only
// seen by time going by, and an hour of use counts once it is over. What settles is judged again until it has;
// everything else costs nothing while nobody reports. Pure.
import type { HistoryHour, ReleaseHistory } from "../health/release-history.ts";
import { SETTLE_MS } from "../health/settled-counts.ts";
import { returnAgeMs } from "./rule-to-judge.ts";
import type { RuleToJudge } from "./rule-to-judge.ts";
import { isUsageSignal } from "./signals.ts";

export interface SettlingInput {
  readonly history: ReleaseHistory;
  readonly rules: readonly RuleToJudge[];
  readonly nowMs: number;
}

export function isSettling({ history, rules, nowMs }: SettlingInput): boolean {
  return rules.some((rule) => {
    const sinceMs = nowMs - settlingMs(rule);
    return hoursSince(history, sinceMs).some((hour) => mayChange(hour, rule));
  });
}

/** Of the baseline only devices that have answered are compared: for so long they may still answer, in milliseconds. */
const BASELINE_ANSWERS_MS = 3_600_000;

/** How long after an hour of the release its part in the rule may change by itself. */
function settlingMs(rule: RuleToJudge): number {
  switch (rule.form) {
    case "plain":
      return rule.windowMs + rule.forMs;
    case "limit":
      return isUsageSignal(rule.signal) ? SETTLE_MS : 0;
    case "worse_than_baseline":
      if (rule.signal === "silence") return returnAgeMs(rule);
      return isUsageSignal(rule.signal) ? SETTLE_MS : BASELINE_ANSWERS_MS;
  }
}

/** Hours that had not ended by then. */
function hoursSince({ days }: ReleaseHistory, sinceMs: number): HistoryHour[] {
  const sinceMinute = sinceMs / 60_000;
  return days
    .filter(({ dayMinute }) => dayMinute + 24 * 60 > sinceMinute)
    .flatMap(({ hours }) => hours.filter(({ hourMinute }) => hourMinute + 60 > sinceMinute));
}

function mayChange({ windows }: HistoryHour, { form, signal }: RuleToJudge): boolean {
  if (form === "worse_than_baseline" && signal === "silence")
    return windows.some(
      ({ devices, answered }) => devices.attempted > answered.reduce((sum, bin) => sum + bin, 0),
    );
  if (form !== "plain" && isUsageSignal(signal))
    return windows.some(({ hours }) => hours.firstCrashed + hours.firstNotResponding > 0);
  if (form === "worse_than_baseline")
    return windows.some(({ devices }) => devices.failed_announced + devices.download_failed_announced > 0);
  return form === "plain";
}
