// Sends copies of requests on to the server that they were meant for, so that its own statistics go on. Enters: requests
// that have been answered already. Leaves: the same, later, at that server; or a line in the log. It is best effort, and
// bounded: what does not fit is dropped, for nothing that Lastgood counts depends on it.
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Registry } from "../../runtime/metrics.ts";

export interface ForwardedRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Forwarder {
  /** Returns at once. */
  offer(request: ForwardedRequest): void;
  /** What waits is tried once more; resolves after {@link STOP_MS_MAX} at the latest. */
  stop(): Promise<void>;
}

export interface ForwarderOptions {
  /** For the log. */
  readonly name: string;
  /** Requests that may wait, those under way included. */
  readonly queueMax: number;
  /** Bytes of their bodies. */
  readonly queueBytesMax: number;
  readonly attemptsMax: number;
  /** Of one attempt. */
  readonly timeoutMs: number;
  readonly fetch?: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Requests under way at the same moment. */
export const FORWARDS_AT_ONCE_MAX = 8;
/** Before the second attempt, in milliseconds; doubled before each further one. */
export const RETRY_MS = 500;
/** What a stop waits for, in milliseconds. */
export const STOP_MS_MAX = 2_000;
/** How often the log says that requests were dropped, in milliseconds. */
const DROP_LOG_MS = 60_000;

type Sent = "sent" | "refused" | "failed";

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { queueMax, queueBytesMax, attemptsMax, timeoutMs, fetch = globalThis.fetch } = options;
  const drops = createDropLog(options);
  const queue: ForwardedRequest[] = [];
  const stopping = new AbortController();
  const over = new AbortController();
  const workers = new Set<Promise<void>>();
  let held = 0;
  let heldBytes = 0;

  async function sendOnce({ url, headers, body }: ForwardedRequest): Promise<Sent> {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers,
        body: new Uint8Array(body),
        redirect: "manual",
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), over.signal]),
      });
      await response.body?.cancel();
      if (response.ok) return "sent";
      return response.status >= 500 || response.status === 429 ? "failed" : "refused";
    } catch {
      return "failed";
    }
  }

  async function send(request: ForwardedRequest): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const sent = await sendOnce(request);
      if (sent === "sent") return;
      // What is refused would be refused again.
      if (sent === "refused" || attempt >= attemptsMax || stopping.signal.aborted) {
        drops.note(sent === "refused" ? "refused" : "not reached");
        return;
      }
      const waitMs = RETRY_MS * 2 ** (attempt - 1);
      await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  async function work(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await send(next);
      held -= 1;
      heldBytes -= next.body.length;
    }
  }

  return {
    offer(request) {
      if (stopping.signal.aborted || held >= queueMax || heldBytes + request.body.length > queueBytesMax) {
        drops.note("queue full");
        return;
      }
      held += 1;
      heldBytes += request.body.length;
      queue.push(request);
      if (workers.size >= FORWARDS_AT_ONCE_MAX) return;
      const worker = work().finally(() => workers.delete(worker));
      workers.add(worker);
    },
    async stop() {
      stopping.abort();
      const timer = setTimeout(() => over.abort(), STOP_MS_MAX);
      await Promise.all(workers);
      clearTimeout(timer);
    },
  };
}

/** Never one line per request. */
function createDropLog({ name, clock, logger }: ForwarderOptions): { note(why: string): void } {
  let dropped = 0;
  let saidAtMs = -Infinity;
  return {
    note(why) {
      dropped += 1;
      const nowMs = clock();
      if (nowMs - saidAtMs < DROP_LOG_MS) return;
      logger.warn(
        { source: name, why, dropped },
        "requests were not sent on: the counters of the server behind miss them, those of Lastgood don't",
      );
      saidAtMs = nowMs;
      dropped = 0;
    },
  };
}
