// The promise itself: releases that are exactly as bad as their rules allow, looked at after every report, for as long
// as they live. At most the budget of them may ever be rolled back.
import type { Random } from "../simulation/random.ts";
import { harmEvidenceLog10 } from "../../agent/judge/limit.ts";
import { thresholdsOf } from "../../agent/judge/rule-to-judge.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import { percent, shareThat, upperBound, valuesOf } from "./experiment.ts";
import type { Case, Experiment, Found, Row } from "./experiment.ts";
import { watchFleet } from "./fleet-beside-fleet.ts";
import type { FleetTrial, Kind } from "./fleet-beside-fleet.ts";

const BUDGET = 0.01;
const LIMITS = [0.005, 0.02, 0.05] as const;
const FLEETS = [20, 1_000, 20_000] as const;

function everAccused(random: Random, limit: number, devices: number): Found {
  const neededLog10 = thresholdsOf([{ form: "limit", signal: "update_failure", limit }], BUDGET).fleetLog10;
  let failures = 0;
  for (let trials = 1; trials <= devices; trials += 1) {
    if (!random.chance(limit)) continue;
    failures += 1;
    // Evidence only rises with a failure: between two of them no look can be the first to accuse.
    if (harmEvidenceLog10({ trials, failures, limit }) >= neededLog10) return { accused: trials };
  }
  return { accused: Number.NaN };
}

const LIMIT_LINES = LIMITS.flatMap((limit) =>
  FLEETS.map((devices) => ({ limit, devices, name: `${limit} ${devices}` })),
);

export const atTheLimit: Experiment = {
  name: "at-the-limit",
  title: "Exactly at a limit, looked at after every device",
  about:
    "Releases whose true failure rate is exactly the limit, a look after every device. False rollbacks, with the upper end of a 95% interval; the budget is 1%, half of it for the fleet as a whole, which is what is tested here: at most 0.5% may be accused.",
  columns: ["limit", "devices", "rolled back", "upper bound", "allowed"],
  cases: LIMIT_LINES.map(({ name, limit, devices }): Case => ({
    name,
    share: 1,
    run: (random) => everAccused(random, limit, devices),
  })),
  rowsOf: (found) =>
    LIMIT_LINES.map(({ name, limit, devices }): Row => [
      percent(limit),
      devices.toLocaleString("en"),
      ...falseShare(found.get(name)!, "accused"),
      "0.50%",
    ]),
};

export function falseShare(found: readonly Found[], name: string): [share: string, bound: string] {
  return [percent(shareThat(found, name)), percent(upperBound(valuesOf(found, name).length, found.length))];
}

// ---- all rules together, through the judge

/** Devices of one kind, or three of which one is worse on any version and updates first. */
const ALIKE: readonly Kind[] = [{ model: "T1", candidateShare: 1, baselineShare: 1, worse: 1 }];
const ADOPTERS: readonly Kind[] = [
  { model: "T1", candidateShare: 0.3, baselineShare: 0.6, worse: 1 },
  { model: "T2", candidateShare: 0.1, baselineShare: 0.3, worse: 1 },
  { model: "T3-pro", candidateShare: 0.6, baselineShare: 0.1, worse: 3 },
];
const CRASHES_BASE = 0.01;
const MINUTES_BASE = 8;

function rulesFor(limit: number): RuleToJudge[] {
  const deadlineMs = 6 * 3_600_000;
  return [
    { form: "limit", signal: "update_failure", limit },
    { form: "worse_than_baseline", signal: "update_failure", allowance: { ratio: 1.5, points: 0 } },
    { form: "worse_than_baseline", signal: "crash", allowance: { ratio: 2, points: 0 } },
    { form: "limit", signal: "silence", limit: 0.02, deadlineMs },
    { form: "worse_than_baseline", signal: "silence", allowance: { ratio: 1.5, points: 0 }, deadlineMs },
  ];
}

/** Every rule at its edge: the limit exactly, 1.5 times the failures, twice the crashes, 2% silent, 1.5 times as slow. */
function atEveryEdge(limit: number, fields: Partial<FleetTrial> = {}): FleetTrial {
  const rolloutHours = 2;
  return {
    candidate: {
      devices: 50,
      failureRate: limit,
      answerMinutes: 1.5 * MINUTES_BASE,
      silentShare: 0.02,
      crashRate: 2 * CRASHES_BASE,
    },
    baseline: {
      devices: 100,
      failureRate: limit / 1.5,
      answerMinutes: MINUTES_BASE,
      silentShare: 0.02,
      crashRate: CRASHES_BASE,
    },
    kinds: ALIKE,
    loopShare: 0,
    rhythm: 0,
    rolloutHours,
    watchHours: 9,
    rules: rulesFor(limit),
    budget: BUDGET,
    ...fields,
  };
}

/** Kinds that are worse anywhere: the limit is for what the mix makes of it, so none of the kinds is above it. */
const adopters = (limit: number): FleetTrial => {
  const edge = atEveryEdge(limit);
  const worst = Math.max(...ADOPTERS.map(({ worse }) => worse));
  return {
    ...edge,
    kinds: ADOPTERS,
    candidate: { ...edge.candidate, failureRate: limit / worst },
    baseline: { ...edge.baseline, failureRate: limit / 1.5 / worst },
  };
};

interface RuleLine {
  readonly name: string;
  readonly trial: FleetTrial;
  /** Of the releases that are asked for. */
  readonly share: number;
}

const RULE_LINES: readonly RuleLine[] = [
  ...LIMITS.map((limit) => ({ name: `limit ${percent(limit)}`, share: 1, trial: atEveryEdge(limit) })),
  {
    name: "day's rhythm, ±80%",
    share: 0.25,
    trial: { ...atEveryEdge(0.05 / 1.8), rhythm: 0.8, rules: rulesFor(0.05) },
  },
  {
    name: "early adopters crash and fail 3x on any version, told by model",
    share: 0.25,
    trial: adopters(0.05),
  },
  {
    name: "2% of all devices crash every hour, on any version, told by nothing",
    share: 0.25,
    trial: atEveryEdge(0.05, { loopShare: 0.02 }),
  },
  {
    name: "a ring of 10 beside 100, 1% in a crash loop",
    share: 0.25,
    trial: {
      ...atEveryEdge(0.05, { loopShare: 0.01 }),
      candidate: { ...atEveryEdge(0.05).candidate, devices: 10 },
      baseline: { ...atEveryEdge(0.05).baseline, devices: 100 },
    },
  },
];

export const withAllRules: Experiment = {
  name: "all-rules",
  title: "Every rule exactly at its edge, through the whole judge, looked at after every report",
  about:
    "50 devices beside 100 of the baseline that update at the same time, watched for 9 hours, some 800 reports each. Five statements at once, all of them at the edge of what is allowed: update failures at the limit and at 1.5 times the baseline's, crashes at twice, 2% silent, answers 1.5 times as slow. False rollbacks by any rule, of the fleet or of any kind of device, within a budget of 1%.",
  columns: ["releases", "rolled back", "upper bound", "budget"],
  cases: RULE_LINES.map(({ name, share, trial }): Case => ({
    name,
    share,
    run: (random) => ({ accused: watchFleet(random, trial).looks }),
  })),
  rowsOf: (found) =>
    RULE_LINES.map(({ name }): Row => [name, ...falseShare(found.get(name)!, "accused"), percent(BUDGET)]),
};
