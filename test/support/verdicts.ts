// Verdicts, policies and situations for tests: good ones by default, with fields to replace.
import type { DeviceTimes } from "../../agent/health/health-window.ts";
import type { OutcomeCounts } from "../../agent/health/outcomes.ts";
import { toOutcomeCounts } from "../../agent/health/outcomes.ts";
import type { Verdict } from "../../agent/judge/verdict.ts";
import type { Guards, Policy } from "../../agent/policy/policy.ts";
import type { PastRollback, Situation } from "../../agent/policy/situation.ts";
import { channelHistory } from "../../agent/rollback/channel-history.ts";
import type { ChannelHistory } from "../../agent/rollback/channel-history.ts";
import { decisionIdOf } from "../../agent/rollback/decision-record.ts";
import type { DecisionRecord } from "../../agent/rollback/decision-record.ts";
import type { DecisionStore } from "../../agent/rollback/decision-store.ts";
import type { AppId, Channel, ChannelKey, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";

export const TILL: ChannelKey = { app: "com.acme.till" as AppId, channel: "production" as Channel };

export function version(text: string): Version {
  return text as Version;
}

export function releaseOf(text: string, key: ChannelKey = TILL): ReleaseKey {
  return { ...key, version: version(text) };
}

/** Zeros, but for what is given. */
export function outcomeCounts(counts: Partial<OutcomeCounts>): OutcomeCounts {
  return { ...toOutcomeCounts([]), ...counts };
}

/** A device that said nothing of when, why and where. */
export const NO_TIMES: DeviceTimes = {
  attemptedAtMs: 0,
  answeredAtMs: 0,
  firstCrashAtMs: 0,
  firstNotRespondingAtMs: 0,
  lastUsedAtMs: 0,
  hours: { active: 0, crashed: 0, notResponding: 0 },
  stratum: "unknown",
  reasons: [],
};

export function samplePolicy(fields: Partial<Policy> = {}): Policy {
  return {
    name: "standard",
    action: "rollback",
    mode: "automatic",
    target: "previous",
    approvalMs: 4 * 3_600_000,
    followUpMs: 24 * 3_600_000,
    falseRollbackBudget: 0.01,
    rules: [{ form: "limit", signal: "update_failure", limit: 0.05 }],
    guards: sampleGuards(),
    ...fields,
  };
}

export function sampleGuards(fields: Partial<Guards> = {}): Guards {
  return {
    minDevices: 5,
    cooldownMs: 3_600_000,
    shareOfFleetLeast: 0,
    knownDevicesLeast: 0,
    maxRollbacks: { perChannelPerDay: undefined, overallPerHour: undefined },
    freezeWindows: [],
    ...fields,
  };
}

/** 20 of 100 devices failed: enough for any budget. */
export function failingVerdict(fields: Partial<Verdict> = {}): Verdict {
  return {
    kind: "failing",
    reason: "limit_exceeded",
    sentence: "20 of 100 devices failed to install or boot 1.4.0.",
    release: releaseOf("1.4.0"),
    devices: outcomeCounts({ attempted: 100, failed: 20 }),
    signals: [],
    accusing: [{ signal: "update_failure", rule: "limit", segment: null, failures: 20 }],
    baseline: [],
    shareOfFleet: 1,
    ...fields,
  };
}

/** A situation in which a rollback from 1.4.0 to 1.3.0 is right. */
export function sampleSituation(fields: Partial<Situation> = {}): Situation {
  return {
    channelKey: TILL,
    nowMs: Date.UTC(2026, 0, 31, 12),
    policy: samplePolicy(),
    minimumVersion: undefined,
    verdict: failingVerdict(),
    cause: "evidence",
    capabilities: { rollback: true, pause: true },
    channel: {
      kind: "known",
      version: version("1.4.0"),
      releases: ["1.4.0", "1.3.0", "1.2.0"].map((text) => ({ version: version(text) })),
    },
    condemned: new Set(),
    rolledBack: new Set(),
    failing: new Set(["1.4.0"]),
    healthy: new Set(),
    rejected: new Set(),
    pastRollbacks: [],
    overallRollbacksMs: [],
    freezes: [],
    ...fields,
  };
}

/** Lastgood rolled the channel back. */
export function pastRollback(from: string, to: string, atMs: number, as = to): PastRollback {
  return { from: version(from), to: version(to), as: version(as), atMs, by: "lastgood" };
}

/** A decision to roll back to 1.3.0 that is still to be carried out. */
export function sampleDecision(text = "1.4.0", fields: Partial<DecisionRecord> = {}): DecisionRecord {
  const { mode = "automatic", action = "rollback" } = fields;
  return {
    id: decisionIdOf(releaseOf(text), { action, mode: mode === "manual" ? "automatic" : mode }),
    at: "2026-01-31T12:00:00.000Z",
    ...releaseOf(text),
    target: version("1.3.0"),
    action,
    mode,
    cause: "evidence",
    reason: "evidence_over_threshold",
    sentence: "20 of 100 devices failed. Rolling back to 1.3.0.",
    operator: null,
    evidence: { signals: [], devices: outcomeCounts({ attempted: 100, failed: 20 }) },
    last_needed_report_at: "2026-01-31T11:59:59.000Z",
    approval: null,
    outcome: null,
    follow_up: null,
    ...fields,
  };
}

export async function historyOn(decisions: DecisionStore, key: ChannelKey): Promise<ChannelHistory> {
  return channelHistory({ decisions: await decisions.list(), absolutions: new Map() }, key, "rollback");
}
