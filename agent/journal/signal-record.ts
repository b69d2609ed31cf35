// One rule's numbers as they are kept in the journal and shown by the API: names in snake_case are a
// promise to users, the inside may change.
import type { SignalEvidence } from "../judge/verdict.ts";

export interface SignalRecord {
  readonly signal: string;
  readonly rule: string;
  readonly failures: number;
  readonly trials: number;
  readonly limit: number;
  readonly evidence_log10: number;
  readonly threshold_log10: number;
  readonly safety_log10: number;
}

export function toSignalRecord(evidence: SignalEvidence): SignalRecord {
  const { signal, rule, failures, trials, limit } = evidence;
  return {
    signal,
    rule,
    failures,
    trials,
    limit,
    evidence_log10: evidence.evidenceLog10,
    threshold_log10: evidence.thresholdLog10,
    safety_log10: evidence.safetyLog10,
  };
}
