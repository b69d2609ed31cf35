// Numbers by chance, for trials: counts and times from a seeded generator. Exact, not approximated, so that a rate
// exactly at its limit is exactly at its limit.
import type { Random } from "../simulation/random.ts";

/** Mean below which a Poisson number is drawn in one go. */
const POISSON_MEAN_MAX = 30;

/** Of `trials`, how many happen, each with this probability. Time follows the number that do. */
export function binomial(random: Random, trials: number, probability: number): number {
  if (probability <= 0 || trials <= 0) return 0;
  if (probability >= 1) return trials;
  if (probability > 0.5) return trials - binomial(random, trials, 1 - probability);
  // Geometric gaps between those that happen (Devroye 1986, "first waiting time").
  const logMiss = Math.log1p(-probability);
  let happened = 0;
  for (let at = gap(random, logMiss); at <= trials; at += gap(random, logMiss)) happened += 1;
  return happened;
}

function gap(random: Random, logMiss: number): number {
  return Math.floor(Math.log(1 - random.next()) / logMiss) + 1;
}

export function poisson(random: Random, mean: number): number {
  if (mean > POISSON_MEAN_MAX) return poisson(random, mean / 2) + poisson(random, mean / 2);
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count += 1;
  return count;
}

/** Waiting time with this mean. */
export function exponential(random: Random, mean: number): number {
  return -mean * Math.log(1 - random.next());
}

/** 1, 2, 3, … with this mean. */
export function geometric(random: Random, mean: number): number {
  return mean <= 1 ? 1 : gap(random, Math.log1p(-1 / mean));
}
