// Verdicts, policies and situations for tests: good ones by default, with fields to replace.
import type { OutcomeCounts } from "../../agent/health/outcomes.ts";
import { toOutcomeCounts } from "../../agent/health/outcomes.ts";
import type { Verdict } from "../../agent/judge/verdict.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import type { Situation } from "../../agent/policy/situation.ts";
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

export function samplePolicy(fields: Partial<Policy> = {}): Policy {
  return {
    name: "standard",
    action: "rollback",
    mode: "automatic",
    falseRollbackBudget: 0.01,
    rules: [{ form: "limit", signal: "update_failure", limit: 0.05 }],
    guards: { minDevices: 5, cooldownMs: 3_600_000, shareOfFleetLeast: 0 },
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
    channel: {
      kind: "known",
      version: version("1.4.0"),
      releases: ["1.4.0", "1.3.0", "1.2.0"].map((text) => ({ version: version(text) })),
    },
    condemned: new Set(),
    rolledBack: new Set(),
    failing: new Set(["1.4.0"]),
    pastRollbacks: [],
    ...fields,
  };
}
