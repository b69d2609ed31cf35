// The wake-ups that follow time and not reports, all on timers of this process, which know no time of day
// (a clock that is set back must not hold up a rollback): channels gathered for evaluation, rollbacks that
// are tried again, and the sweep that finds what any process left lying.
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

export interface WakeUpsOptions {
  readonly queues: Queues;
  readonly onError: (error: unknown) => void;
}

export function createWakeUps({ queues, onError }: WakeUpsOptions): WakeUps {
  const gatherer = createGatherer({ onFlush: (channels) => queues.evaluate(channels), onError });
  const retries = createRetryTimers((decisionId) => void queues.rollback([decisionId]).catch(onError));
  const sweep = (): void => void queues.sweep().catch(onError);
  let timer: NodeJS.Timeout | undefined;
  return {
    gatherer,
    retries,
    start() {
      sweep();
      timer = setInterval(sweep, SWEEP_INTERVAL_MS);
    },
    async stop() {
      clearInterval(timer);
      retries.stop();
      await gatherer.stop();
    },
  };
}
