// A worker of a program with several processes: hears from the first process what it is to work with, answers what that
// asks, and stops when it is told to. Enters: how the work is started. Leaves: a process that works until then.
import { setTimeout as delay } from "node:timers/promises";
import type { ReadinessChecks } from "../http-server.ts";
import { STOP_MS_MAX, announceReady, runProcess } from "../lifecycle.ts";
import type { Running } from "../lifecycle.ts";
import type { Logger } from "../logger.ts";
import { readMetrics } from "../metrics.ts";
import type { Registry } from "../metrics.ts";
import { isMessage } from "./messages.ts";
import type { FromWorker, ToWorker, WorkerChecks } from "./messages.ts";

/** So much sooner than the first process gives up waiting, in milliseconds. */
const SOONER_MS = 2_000;
/** What the last words to the first process may take, in milliseconds. */
const LAST_WORDS_MS_MAX = 500;

export interface WorkersOperations {
  readonly registry: Registry;
  readonly checks: ReadinessChecks;
}

/** The first process, as a worker has it. */
export interface FirstProcess<News> {
  /** From here on its questions are answered. Leaves: what is to be done last of all at a stop. */
  answer(operations: WorkersOperations, logger: Logger): { stop(): Promise<void> };
  /** Also of what came before anybody listened: the newest of it. */
  onNews(listen: (news: News) => void): void;
}

export interface WorkerRun<Start, News> {
  readonly loggerOf: (start: Start) => Logger;
  readonly run: (work: {
    readonly start: Start;
    readonly logger: Logger;
    readonly firstProcess: FirstProcess<News>;
  }) => Promise<Running & { readonly urls: Readonly<Record<string, string>> }>;
}

export async function runWorker<Start, News = never>({
  loggerOf,
  run,
}: WorkerRun<Start, News>): Promise<void> {
  const asked: { stop?: (reason: string) => void; isAsked: boolean } = { isAsked: false };
  const news = createNewsstand<News>();
  const started = new Promise<Start>((resolve) => {
    onMessage<Start, News>((message) => {
      if (message.kind === "start") resolve(message.start);
      if (message.kind === "news") news.put(message.news);
      if (message.kind !== "stop") return;
      asked.isAsked = true;
      asked.stop?.("asked by the first process");
    });
  });
  await tell({ kind: "hello" });
  const start = await started;
  const logger = loggerOf(start);
  // The first process says what there is to say; by default a hang-up would end this one.
  process.on("SIGHUP", () => {});
  await runProcess({
    logger,
    stopMsMax: STOP_MS_MAX - SOONER_MS,
    onStopAsked(stop) {
      asked.stop = stop;
      if (asked.isAsked) stop("asked by the first process");
    },
    start: async () => {
      const running = await run({
        start,
        logger,
        firstProcess: { answer: answerFirstProcess, onNews: news.onNews },
      });
      announceReady(running.urls);
      return running;
    },
  });
}

/** What has changed since the start replaces what came before it. */
function createNewsstand<News>(): Pick<FirstProcess<News>, "onNews"> & { put(news: News): void } {
  let listen: ((news: News) => void) | undefined;
  let unheard: { readonly news: News } | undefined;
  return {
    put(news) {
      if (listen === undefined) unheard = { news };
      else listen(news);
    },
    onNews(to) {
      listen = to;
      if (unheard !== undefined) to(unheard.news);
      unheard = undefined;
    },
  };
}

function answerFirstProcess(
  { registry, checks }: WorkersOperations,
  logger: Logger,
): { stop(): Promise<void> } {
  const answer = async (question: number, what: "metrics" | "checks"): Promise<void> => {
    if (what === "metrics") await tell({ kind: "metrics", question, reading: await readMetrics(registry) });
    else await tell({ kind: "checks", question, checks: await answersOf(checks) });
  };
  onMessage((message) => {
    if (message.kind === "ask") void orNothing(logger, () => answer(message.question, message.what));
  });
  return {
    // What was counted since the last scrape is not lost with the process.
    stop: () =>
      orNothing(logger, async () => {
        const reading = await readMetrics(registry);
        await Promise.race([tell({ kind: "metrics", question: "last", reading }), delay(LAST_WORDS_MS_MAX)]);
      }),
  };
}

/** The first process waits for an answer only so long; a worker that ended for the lack of one would take its work along. */
export async function orNothing(logger: Logger, answer: () => Promise<void>): Promise<void> {
  try {
    await answer();
  } catch (error) {
    logger.error({ err: error }, "the first process gets no answer: metrics or checks could not be read");
  }
}

async function answersOf(checks: ReadinessChecks): Promise<WorkerChecks> {
  return Object.fromEntries(
    await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await check()] as const)),
  );
}

function onMessage<Start, News>(listen: (message: ToWorker<Start, News>) => void): void {
  process.on("message", (message: unknown) => {
    if (isMessage(message)) listen(message as ToWorker<Start, News>);
  });
}

/** Resolves when it is on its way; a first process that is gone hears nothing, and this one is about to end. */
function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve();
    process.send(message, undefined, undefined, () => resolve());
  });
}
