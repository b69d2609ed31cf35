// The judge: weighs the counts of one release against the rules of its policy. Pure, and a function of
// the counts alone, so that a replay of stored counts gives the same bits. Enters: counts, rules, the
// false-rollback budget. Leaves: a Verdict.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import { ALL_SETTLED, SETTLE_MS } from "../health/settled-counts.ts";
import type { UnsettledFailures } from "../health/settled-counts.ts";
import { harmEvidenceLog10, safetyEvidenceLog10 } from "./limit.ts";
import { countsOf, describeFailure } from "./signals.ts";
import type { JudgedSignal } from "./signals.ts";
import type { SignalEvidence, Verdict } from "./verdict.ts";

export interface RuleToJudge {
  readonly signal: JudgedSignal;
  /** A ratio in (0, 1). */
  readonly limit: number;
  /** Of a rule for silence: how long a device must have said nothing to accuse, in milliseconds. */
  readonly deadlineMs?: number | undefined;
}

export interface JudgeInput {
  readonly release: ReleaseKey;
  readonly devices: OutcomeCounts;
  /**
   * Failures that do not accuse yet (health/settled-counts.ts); undefined where there is nothing to wait for.
   * While it is given the release is not called healthy either: who never answered is not known.
   */
  readonly unsettled?: UnsettledFailures | undefined;
  /**
   * The shortest deadline that any silent device was counted with, in milliseconds. No silent device accuses by
   * a rule with a longer one: it is not known whether it kept silent for so long. Undefined where all did.
   */
  readonly silenceDeadlineMs?: number | undefined;
  readonly rules: readonly RuleToJudge[];
  /** Chance that a release within its limits is ever called failing; a ratio in (0, 1). */
  readonly falseRollbackBudget: number;
}

/** Share of the budget for tests over the whole fleet; the rest is for segments (policy-wide, design section 4). */
export const FLEET_BUDGET_SHARE = 0.5;
/** Evidence (e-value) that a rate is below its limit before a release is called healthy. */
export const HEALTHY_EVIDENCE = 20;

export function judge(input: JudgeInput): Verdict {
  const { release, devices, rules, unsettled } = input;
  const signals = rules.map((rule) => weigh(rule, input));
  const base = { release, devices, signals };
  if (rules.length === 0) {
    return {
      ...base,
      kind: "unmeasurable",
      reason: "no_rules",
      sentence: "The policy names no rule to judge by.",
    };
  }
  if (devices.attempted === 0) {
    const sentence = `No device has tried to take ${release.version} yet.`;
    return { ...base, kind: "unmeasurable", reason: "no_attempts", sentence };
  }
  const strongest = signals.reduce((left, right) => (excess(right) > excess(left) ? right : left));
  const compared = describe(strongest, release);
  if (excess(strongest) >= 0)
    return { ...base, kind: "failing", reason: "limit_exceeded", sentence: compared };
  const sentence = [compared, ...rules.flatMap((rule) => describeEarlySilence(rule, input))].join(" ");
  if (unsettled !== undefined) {
    const waiting = `${sentence} ${describeUnsettled(unsettled)}`;
    return { ...base, kind: "inconclusive", reason: "attempts_not_announced", sentence: waiting };
  }
  if (signals.every((signal) => signal.safetyLog10 >= Math.log10(HEALTHY_EVIDENCE))) {
    return { ...base, kind: "healthy", reason: "within_limits", sentence };
  }
  return { ...base, kind: "inconclusive", reason: "not_enough_evidence", sentence };
}

function excess(signal: SignalEvidence): number {
  return signal.evidenceLog10 - signal.thresholdLog10;
}

function weigh(rule: RuleToJudge, input: JudgeInput): SignalEvidence {
  const { signal, limit } = rule;
  const { rules, falseRollbackBudget, unsettled = ALL_SETTLED } = input;
  const devices = isCountedEarlier(rule, input) ? { ...input.devices, silent: 0 } : input.devices;
  const { trials, failures, notProvenGood } = countsOf(signal, devices, unsettled);
  return {
    signal,
    rule: "limit",
    failures,
    trials,
    limit,
    evidenceLog10: harmEvidenceLog10({ trials, failures, limit }),
    thresholdLog10: -Math.log10((falseRollbackBudget * FLEET_BUDGET_SHARE) / rules.length),
    safetyLog10: safetyEvidenceLog10({ trials, failures: notProvenGood, limit }),
  };
}

/** Whether devices may be counted silent that were not silent for as long as the rule asks. */
function isCountedEarlier({ deadlineMs = 0 }: RuleToJudge, { silenceDeadlineMs }: JudgeInput): boolean {
  return silenceDeadlineMs !== undefined && deadlineMs > silenceDeadlineMs;
}

function describeEarlySilence(rule: RuleToJudge, input: JudgeInput): string[] {
  const { silent } = input.devices;
  if (silent === 0 || !isCountedEarlier(rule, input)) return [];
  return [
    `${count(silent)} silent ${silent === 1 ? "device does" : "devices do"} not count: devices of this release ` +
      "were counted by a shorter deadline than the rule has now.",
  ];
}

function describeUnsettled({ failed, download_failed }: UnsettledFailures): string {
  const waiting = Math.max(failed, download_failed);
  if (waiting === 0)
    return "Few devices say when they begin (update_started), so who never answered is not known.";
  return (
    `${waiting} failures of the last ${SETTLE_MS / 60_000} minutes do not count yet: these devices did not say ` +
    `when they began (update_started), and good answers take longer.`
  );
}

/** "212 of 5,310 devices failed to install or boot 1.4.3 (4.0%); limit 2%; evidence 10^4.1 against 10^2.3 needed". */
function describe(signal: SignalEvidence, release: ReleaseKey): string {
  const rate = signal.trials === 0 ? "no attempts" : percent(signal.failures / signal.trials);
  return (
    `${count(signal.failures)} of ${count(signal.trials)} ${signal.trials === 1 ? "device" : "devices"} ${describeFailure(signal.signal)} ${release.version} (${rate}); ` +
    `limit ${percent(signal.limit)}; evidence 10^${signal.evidenceLog10.toFixed(1)} against 10^${signal.thresholdLog10.toFixed(1)} needed.`
  );
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function percent(ratio: number): string {
  const value = ratio * 100;
  return `${value.toLocaleString("en-US", { maximumFractionDigits: value < 1 ? 2 : 1 })}%`;
}
