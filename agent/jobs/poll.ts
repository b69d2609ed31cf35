// Polling as one thing: OTA servers that push nothing are read on time, and what they say goes where devices' own
// reports go. Enters: the sources, Redis. Leaves: the job, its wake-up, metrics, and since when devices could be heard.
import { describeMetric } from "../../ingest/contract/metric-names.ts";
import type { AppId } from "../../ingest/contract/release-key.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { Counter, Gauge } from "../../runtime/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import type { Redis } from "../../runtime/redis.ts";
import { POLL_RESULTS, isDue, pollSource, polledFromMs } from "../polling/poll-source.ts";
import type { PollOutcome, PolledSource } from "../polling/poll-source.ts";
import { createPollStore } from "../polling/poll-store.ts";
import type { PollFailing } from "../polling/poll-store.ts";
import type { PolledSources } from "../polling/polled-sources.ts";
import type { Queues } from "./queues.ts";
import type { WakeUp } from "./wake-ups.ts";

/** How often it is looked whose turn it is, in milliseconds. */
const TURN_MS = 1_000;

export interface Polling {
  /** Job `poll`. */
  poll(app: AppId): Promise<void>;
  readonly wakeUp: WakeUp;
  /** Since when devices of an app could be heard through its OTA server; 0 where they report by themselves. */
  readHeardFrom(): Promise<(app: string) => number>;
  /** Servers that can't be read, by app. */
  readonly readUnread: () => Promise<ReadonlyMap<string, PollFailing>>;
}

export interface PollingOptions {
  /** Of the role `request`: a poll must not wait for Redis for ever. */
  readonly redis: Redis;
  readonly shards: number;
  readonly streamEntriesMax: number;
  readonly replicaAcks: number;
  readonly sources: PolledSources;
  readonly queues: Pick<Queues, "poll">;
  readonly registry: Registry;
  readonly isStopping: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What has to be known of a polled server to know since when its devices could be heard. */
export type PolledServer = Pick<PolledSource, "app" | "id" | "everyMs">;

/** Reads {@link Polling.readHeardFrom}. */
export function createHeardFrom({
  redis,
  servers,
  clock,
}: {
  readonly redis: Redis;
  readonly servers: () => readonly PolledServer[];
  readonly clock: Clock;
}): Polling["readHeardFrom"] {
  const store = createPollStore({ redis });
  return async () => {
    const from = new Map<string, number>();
    for (const { app, id, everyMs } of servers())
      from.set(app, polledFromMs(await store.read(id), everyMs, clock()));
    return (app) => from.get(app) ?? 0;
  };
}

export function createPolling(options: PollingOptions): Polling {
  const { redis, sources, queues, isStopping, clock } = options;
  const store = createPollStore({ redis });
  const writer = createStreamWriter(options);
  const note = createNotes(options);
  /** Of the process's own clock: a time of day that is set back must not hold polls up. */
  const wokenAtMs = new Map<string, number>();
  return {
    async poll(app) {
      const source = sources.find(app);
      if (source === undefined) return;
      const record = await store.read(source.id);
      if (!isDue(record, source.everyMs, clock())) return;
      const outcome = await pollSource(source, record, {
        keep: (reports) => writer.write(reports),
        write: (after) => store.write(source.id, after),
        isStopping,
        clock,
      });
      note(source, outcome);
      if (outcome.result === "more") await queues.poll([app]);
    },
    wakeUp: {
      everyMs: TURN_MS,
      async wake() {
        const nowMs = performance.now();
        const turn = sources.all.filter(
          ({ id, everyMs }) => nowMs - (wokenAtMs.get(id) ?? Number.NEGATIVE_INFINITY) >= everyMs,
        );
        for (const { id } of turn) wokenAtMs.set(id, nowMs);
        await queues.poll(turn.map(({ app }) => app));
      },
    },
    readHeardFrom: createHeardFrom({ redis, servers: () => sources.all, clock }),
    async readUnread() {
      const unread = new Map<string, PollFailing>();
      for (const { app, id } of sources.all) {
        const { failing } = await store.read(id);
        if (failing !== null) unread.set(app, failing);
      }
      return unread;
    },
  };
}

/** One log line when a server can't be read any more, one when it can: never one per try. */
function createNotes({
  registry,
  logger,
  clock,
}: Pick<PollingOptions, "registry" | "logger" | "clock">): (
  source: PolledSource,
  outcome: PollOutcome,
) => void {
  const registers = [registry];
  const polls = new Counter({ ...describeMetric("ota_polls_total"), registers });
  const reports = new Counter({ ...describeMetric("ota_poll_reports_total"), registers });
  const complete = new Gauge({ ...describeMetric("ota_poll_complete_timestamp_seconds"), registers });
  const failing = new Set<string>();
  return ({ app, id, poller }, { result, kept, invalid, detail }) => {
    for (const each of POLL_RESULTS) polls.inc({ app, result: each }, each === result ? 1 : 0);
    // Nothing was asked that would tell.
    if (result === "stopped") return;
    reports.inc({ app, result: "kept" }, kept);
    reports.inc({ app, result: "invalid" }, invalid);
    if (result === "complete") complete.set({ app }, clock() / 1_000);
    const isFailing = result !== "complete" && result !== "more";
    if (isFailing && !failing.has(id))
      logger.error(
        { app, result },
        `what devices tell the ${poller.type} server is not read: ${detail}. It is tried again until it is; until then no device of ${app} counts as silent.`,
      );
    if (!isFailing && failing.has(id)) logger.info({ app }, `the ${poller.type} server is read again`);
    if (isFailing) failing.add(id);
    else failing.delete(id);
  };
}
