// The wake-ups that follow time and not reports, all on timers of this process, which know no time of day
// (a clock that is set back must not hold up a rollback): channels gathered for evaluation, rollbacks that
// are tried again, and the sweep that finds what any process left lying.
import type { Logger } from "../../runtime/logger.ts";
import { createGatherer } from "./gatherer.ts";
import type { Gatherer } from "./gatherer.ts";
import { SWEEP_INTERVAL_MS } from "./queues.ts";
import type { Queues } from "./queues.ts";
import { createRetryTimers } from "./retry-timers.ts";
import type { RetryTimers } from "./retry-timers.ts";

export interface WakeUps {
  readonly gatherer: Gatherer;
  readonly retries: RetryTimers;
  start(): void;
  stop(): Promise<void>;
}

/** Work that is looked for again and again. */
export interface WakeUp {
  readonly everyMs: number;
  readonly wake: () => Promise<void>;
}

export interface WakeUpsOptions {
  readonly queues: Queues;
  readonly logger: Pick<Logger, "warn">;
  /** Beside the sweep. */
  readonly others?: readonly WakeUp[];
}

export function createWakeUps({ queues, logger, others = [] }: WakeUpsOptions): WakeUps {
  const onError = (err: unknown): void =>
    logger.warn({ err }, "a wake-up was lost; the sweep makes up for it");
  const gatherer = createGatherer({ onFlush: (channels) => queues.evaluate(channels), onError });
  const retries = createRetryTimers((decisionId) => void queues.rollback([decisionId]).catch(onError));
  const repeated: readonly WakeUp[] = [{ everyMs: SWEEP_INTERVAL_MS, wake: () => queues.sweep() }, ...others];
  let timers: readonly NodeJS.Timeout[] = [];
  return {
    gatherer,
    retries,
    start() {
      timers = repeated.map(({ everyMs, wake }) => {
        const call = (): void => void wake().catch(onError);
        call();
        return setInterval(call, everyMs);
      });
    },
    async stop() {
      timers.forEach((timer) => clearInterval(timer));
      retries.stop();
      await gatherer.stop();
    },
  };
}
