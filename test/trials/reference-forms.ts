// Forms that our tests are held beside: those of the literature that they replace, and what other tools do. None of it
// is part of Lastgood. Enters: counts. Leaves: evidence, or whether a rule speaks.
import { logMeanExp } from "../../agent/judge/statistics/log-space.ts";

/** Block e-value for two samples (Turner, Ly & Grünwald 2021), with bets on the baseline's rate from past blocks. */
export interface BlockTest {
  add(block: { readonly failures: number; readonly baselineFailures: number }): void;
  log10(): number;
}

export function createBlockTest(sizes: { readonly candidate: number; readonly baseline: number }): BlockTest {
  const multiples = [1.5, 2, 3, 5, 10, 25];
  const logs = multiples.map(() => 0);
  let [failures, trials] = [0, 0];
  return {
    add({ failures: candidateFailures, baselineFailures }) {
      const bet = (failures + 0.5) / (trials + 25);
      multiples.forEach((multiple, index) => {
        const worse = Math.min(multiple * bet, 0.98);
        const middle = (sizes.candidate * worse + sizes.baseline * bet) / (sizes.candidate + sizes.baseline);
        logs[index]! +=
          candidateFailures * Math.log(worse / middle) +
          (sizes.candidate - candidateFailures) * Math.log((1 - worse) / (1 - middle)) +
          baselineFailures * Math.log(bet / middle) +
          (sizes.baseline - baselineFailures) * Math.log((1 - bet) / (1 - middle));
      });
      failures += baselineFailures;
      trials += sizes.baseline;
    },
    log10: () => logMeanExp(logs) / Math.LN10,
  };
}

/** Bets on the difference of pairs being above a margin (Waudby-Smith & Ramdas). */
export function createMarginBet(margin: number): BlockTest {
  const stakes = [0.05, 0.1, 0.2, 0.4, 0.6, 0.9];
  const logs = stakes.map(() => 0);
  return {
    add({ failures, baselineFailures }) {
      stakes.forEach(
        (stake, index) => (logs[index]! += Math.log1p(stake * (failures - baselineFailures - margin))),
      );
    },
    log10: () => logMeanExp(logs) / Math.LN10,
  };
}

/** Lower end of Wilson's two-sided 95% interval: what Capgo holds against its limit. */
export function wilsonLowerBound(failures: number, trials: number): number {
  if (trials === 0) return 0;
  const z = 1.959_964;
  const share = failures / trials;
  const middle = share + z ** 2 / (2 * trials);
  const spread = z * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  return (middle - spread) / (1 + z ** 2 / trials);
}

/** Pooled two-proportion z. */
export function twoProportionZ(
  { failures, trials }: { readonly failures: number; readonly trials: number },
  baseline: { readonly failures: number; readonly trials: number },
): number {
  const pooled = (failures + baseline.failures) / (trials + baseline.trials);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / trials + 1 / baseline.trials));
  return error === 0 ? 0 : (failures / trials - baseline.failures / baseline.trials) / error;
}
