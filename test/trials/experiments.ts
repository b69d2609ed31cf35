// All experiments, in the order in which the page shows them.
import { atTheLimit, withAllRules } from "./at-the-limit.ts";
import { counted } from "./counted-reports.ts";
import { crashes } from "./crashes.ts";
import type { Experiment } from "./experiment.ts";
import { exposure } from "./exposure.ts";
import { badModel, oneSample } from "./one-sample.ts";
import { outage } from "./outage.ts";
import { peeking, rivals } from "./rivals.ts";
import { silence } from "./silence.ts";
import { points, twoSample } from "./two-sample.ts";

export const EXPERIMENTS: readonly Experiment[] = [
  atTheLimit,
  withAllRules,
  counted,
  outage,
  exposure,
  rivals,
  oneSample,
  twoSample,
  points,
  crashes,
  silence,
  badModel,
  peeking,
];
