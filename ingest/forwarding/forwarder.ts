// Sends copies of requests on to the server that they were meant for, so that its own statistics go on. Enters: requests
// that have been answered already. Leaves: the same, later, at that server; what became of each in
// `ota_ingest_forwarded_total`, and now and then a line in the log. It is best effort, and bounded: nothing that Lastgood
// counts depends on it, so it may lose and must never be in the way.
//
// What does not fit is dropped as it comes (the newest): what waits is nearer to being sent, and by dropping one or the
// other the same number is lost.
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { FORWARD_RESULTS, forwardedCounter } from "../metrics.ts";
import type { ForwardResult } from "../metrics.ts";
import { retryAfterMs } from "./retry-after.ts";

export interface ForwardedRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Forwarder {
  /** Returns at once, and never throws. */
  offer(request: ForwardedRequest): void;
  /** What waits is tried once more; resolves after {@link STOP_MS_MAX} at the latest. */
  stop(): Promise<void>;
}

export interface ForwarderOptions {
  /** For the log, and the label `source`. */
  readonly name: string;
  /** Requests that may wait for one server, those under way included. */
  readonly queueMax?: number;
  /** Bytes of their bodies. */
  readonly queueBytesMax?: number;
  readonly attemptsMax: number;
  /** Of one attempt. */
  readonly timeoutMs: number;
  readonly fetch?: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

export const QUEUE_MAX_DEFAULT = 1_000;
export const QUEUE_BYTES_MAX_DEFAULT = 16 * 1024 ** 2;
/** Requests under way to one server at the same moment. */
export const FORWARDS_AT_ONCE_MAX = 8;
/** Before the second attempt, in milliseconds; doubled before each further one. */
export const RETRY_MS = 500;
/** The longest pause between two attempts that is not the server's wish, in milliseconds. */
export const RETRY_MS_MAX = 60_000;
/** What a stop waits for, in milliseconds. */
export const STOP_MS_MAX = 2_000;
/** How often the log says that requests were lost, in milliseconds. */
const LOSS_LOG_MS = 60_000;

type Attempt = "sent" | "refused" | "failed";

/** Each server has a queue of its own: one that is away, or asks us to wait, holds nothing up that goes to another. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const tally = createTally(options);
  // Addresses are configured, so these are few.
  const byServer = new Map<string, Forwarder>();
  const stopping = new AbortController();
  const queueTo = ({ url }: ForwardedRequest): Forwarder => {
    const server = URL.canParse(url) ? new URL(url).origin : url;
    const known = byServer.get(server) ?? createQueue(options, { tally, stopping: stopping.signal });
    byServer.set(server, known);
    return known;
  };
  return {
    offer: (request) => queueTo(request).offer(request),
    async stop() {
      stopping.abort();
      await Promise.all([...byServer.values()].map((each) => each.stop()));
    },
  };
}

interface Shared {
  readonly tally: Tally;
  /** From then on nothing is taken. */
  readonly stopping: AbortSignal;
}

function createQueue(options: ForwarderOptions, { tally, stopping }: Shared): Forwarder {
  const { queueMax = QUEUE_MAX_DEFAULT, queueBytesMax = QUEUE_BYTES_MAX_DEFAULT, attemptsMax } = options;
  const queue: ForwardedRequest[] = [];
  const over = new AbortController();
  const works = new Set<Promise<void>>();
  let workers = 0;
  const server = createServerLine(options, over.signal);
  let held = 0;
  let heldBytes = 0;

  async function send(request: ForwardedRequest): Promise<ForwardResult> {
    for (let attempt = 1; ; attempt += 1) {
      await pause(server.waitMs());
      const result = await server.try(request);
      if (result !== "failed") return result;
      if (attempt >= attemptsMax || stopping.aborted) return "given_up";
      await pause(Math.min(RETRY_MS * 2 ** (attempt - 1), RETRY_MS_MAX));
    }
  }

  /** A stop ends every pause. */
  async function pause(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: stopping }).catch(() => {});
  }

  async function work(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      tally.note(await send(next));
      held -= 1;
      heldBytes -= next.body.length;
    }
    // In the same turn as the look at the queue: an offer in between would find a worker that looks no more.
    workers -= 1;
  }

  return {
    offer(request) {
      if (stopping.aborted || held >= queueMax || heldBytes + request.body.length > queueBytesMax) {
        tally.note("dropped_full");
        return;
      }
      held += 1;
      heldBytes += request.body.length;
      queue.push(request);
      if (workers >= FORWARDS_AT_ONCE_MAX) return;
      workers += 1;
      const running = work().finally(() => works.delete(running));
      works.add(running);
    },
    async stop() {
      const timer = setTimeout(() => over.abort(), STOP_MS_MAX);
      await Promise.all(works);
      clearTimeout(timer);
    },
  };
}

interface ServerLine {
  /** Until the server wants to hear of us again. */
  waitMs(): number;
  /** Never rejects. */
  try(request: ForwardedRequest): Promise<Attempt>;
}

/** What the server asks for by `Retry-After` holds for all requests to it, and for no other server. */
function createServerLine(options: ForwarderOptions, over: AbortSignal): ServerLine {
  const { timeoutMs, clock, fetch = globalThis.fetch } = options;
  // Of a clock that nobody sets back.
  let notBeforeMs = 0;
  return {
    waitMs: () => notBeforeMs - performance.now(),
    async try({ url, headers, body }) {
      try {
        const response = await fetch(url, {
          method: "POST",
          headers,
          body: new Uint8Array(body),
          // Where a redirect leads nobody has configured.
          redirect: "manual",
          signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), over]),
        });
        const { ok, status } = response;
        const askedMs = retryAfterMs(response.headers.get("retry-after"), clock());
        await response.body?.cancel().catch(() => {});
        if (ok) return "sent";
        // What is refused would be refused again.
        if (status < 500 && status !== 408 && status !== 429) return "refused";
        notBeforeMs = Math.max(notBeforeMs, performance.now() + askedMs);
        return "failed";
      } catch {
        return "failed";
      }
    },
  };
}

interface Tally {
  note(result: ForwardResult): void;
}

/** Each request once. The log: never one line per request. */
function createTally({ name, clock, logger, registry }: ForwarderOptions): Tally {
  const counter = forwardedCounter(registry);
  for (const result of FORWARD_RESULTS) counter.inc({ source: name, result }, 0);
  let lost = 0;
  let saidAtMs = -Infinity;
  return {
    note(result) {
      counter.inc({ source: name, result });
      if (result === "sent") return;
      lost += 1;
      const nowMs = clock();
      if (nowMs - saidAtMs < LOSS_LOG_MS) return;
      logger.warn(
        { source: name, why: result, lost },
        "requests were not sent on: the counters of the server behind miss them, those of Lastgood don't",
      );
      saidAtMs = nowMs;
      lost = 0;
    },
  };
}
