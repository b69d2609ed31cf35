// A release beside its baseline for tests of the judge: told in a few words what devices did, hour by hour. Enters: what
// happened. Leaves: verdicts. Counts are made as folding makes them (test/trials/counted-release.ts).
import { judge } from "../../agent/judge/judge.ts";
import type { JudgeInput } from "../../agent/judge/judge.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import type { Verdict } from "../../agent/judge/verdict.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { createCountedRelease } from "../trials/counted-release.ts";
import type { CountedRelease } from "../trials/counted-release.ts";
import { releaseOf } from "./verdicts.ts";

/** Midnight. */
export const DAY_START = Date.UTC(2026, 0, 31) / 60_000;
export const HOUR = 60;
export const T1 = JSON.stringify(["", "T1", "", ""]);
export const T2 = JSON.stringify(["", "T2", "", ""]);

export interface Side extends CountedRelease {
  readonly key: ReleaseKey;
  /** So many devices begin at the minute and answer two minutes later, the first of them with a failure. */
  update(at: { readonly minute: number; readonly stratum?: string }, devices: number, failed?: number): void;
  /** So many begin, and are not heard of. */
  begin(at: { readonly minute: number; readonly stratum?: string }, devices: number): void;
  /** So many are used in the hour, so many of them crash for the first time. */
  useIn(
    at: { readonly hourMinute: number; readonly stratum?: string },
    devices: number,
    crashed?: number,
  ): void;
}

export function createSide(version: string): Side {
  const key = releaseOf(version);
  const release = createCountedRelease(key);
  return Object.assign(release, {
    key,
    update({ minute, stratum = T1 }: { minute: number; stratum?: string }, devices: number, failed = 0) {
      for (let device = 0; device < devices; device += 1) {
        release.attempt(minute, stratum);
        release.answer({ minute, stratum }, minute + 2, device < failed ? "failed" : "confirmed");
      }
    },
    begin({ minute, stratum = T1 }: { minute: number; stratum?: string }, devices: number) {
      for (let device = 0; device < devices; device += 1) release.attempt(minute, stratum);
    },
    useIn(
      { hourMinute, stratum = T1 }: { hourMinute: number; stratum?: string },
      devices: number,
      crashed = 0,
    ) {
      for (let device = 0; device < devices; device += 1) release.use(hourMinute, stratum);
      for (let crash = 0; crash < crashed; crash += 1) release.crash(hourMinute, stratum, "first");
    },
  });
}

export const UPDATE_LIMIT: RuleToJudge = { form: "limit", signal: "update_failure", limit: 0.05 };
export const UPDATE_COMPARED: RuleToJudge = {
  form: "worse_than_baseline",
  signal: "update_failure",
  allowance: { ratio: 1.5, points: 0 },
};
export const CRASH_LIMIT: RuleToJudge = { form: "limit", signal: "crash", limit: 0.02 };
export const CRASH_COMPARED: RuleToJudge = {
  form: "worse_than_baseline",
  signal: "crash",
  allowance: { ratio: 2, points: 0 },
};

export interface Asked {
  readonly candidate: Side;
  readonly baselines?: readonly Side[];
  readonly rules: readonly RuleToJudge[];
  readonly minute: number;
}

export function inputOf(
  { candidate, baselines = [], rules, minute }: Asked,
  fields: Partial<JudgeInput> = {},
): JudgeInput {
  return {
    release: candidate.key,
    devices: { ...candidate.devices },
    history: candidate.history(),
    baseline: {
      versions: baselines.map(({ key }) => key.version),
      histories: baselines.map((baseline) => baseline.history()),
      running: baselines.reduce((sum, { devices }) => sum + devices.running, 0),
    },
    rules,
    falseRollbackBudget: 0.01,
    nowMs: minute * 60_000,
    ...fields,
  };
}

export function judgeSides(asked: Asked, fields: Partial<JudgeInput> = {}): Verdict {
  return judge(inputOf(asked, fields));
}
