// When a rollback that the OTA server did not answer is tried again: timers of this process, which know no
// time of day. Another agent, or this one after a restart, has no timer and finds the decision in the
// outbox by its sweep.

/** First and longest pause between two tries, in milliseconds. */
export const RETRY_MS_MIN = 500;
export const RETRY_MS_MAX = 15_000;

export interface RetryTimers {
  /** `tries` = tries so far, this one included; the server may ask for a longer pause. */
  again(
    decisionId: string,
    options: { readonly tries: number; readonly retryAfterMs: number | undefined },
  ): void;
  isWaiting(decisionId: string): boolean;
  stop(): void;
}

export function createRetryTimers(onDue: (decisionId: string) => void): RetryTimers {
  const timers = new Map<string, NodeJS.Timeout>();
  let isStopped = false;
  return {
    again(decisionId, { tries, retryAfterMs }) {
      // A job may end after the stop: its timer would outlive the queues.
      if (isStopped) return;
      clearTimeout(timers.get(decisionId));
      const fire = (): void => {
        timers.delete(decisionId);
        onDue(decisionId);
      };
      timers.set(decisionId, setTimeout(fire, pauseMs(tries, retryAfterMs)));
    },
    isWaiting: (decisionId) => timers.has(decisionId),
    stop() {
      isStopped = true;
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}

/** Doubles from RETRY_MS_MIN, but never beyond RETRY_MS_MAX: a bad release is out there. */
export function pauseMs(tries: number, retryAfterMs: number | undefined): number {
  return Math.min(RETRY_MS_MAX, Math.max(RETRY_MS_MIN * 2 ** Math.min(tries - 1, 10), retryAfterMs ?? 0));
}
