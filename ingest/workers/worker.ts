// A worker of an ingest with several processes: the whole of ingest but for the operations address, which it answers over
// IPC. Enters: settings, from the first process. Leaves: a process that takes reports until it is told to stop.
import { setTimeout as delay } from "node:timers/promises";
import type { RunningServer } from "../../runtime/http-server.ts";
import { STOP_MS_MAX, announceReady, runProcess } from "../../runtime/lifecycle.ts";
import { createLogger } from "../../runtime/logger.ts";
import type { Logger } from "../../runtime/logger.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { startIngest } from "../ingest.ts";
import type { OperationsOfProcess } from "../ingest.ts";
import { isMessage } from "./messages.ts";
import type { FromWorker, ToWorker, WorkerChecks } from "./messages.ts";

/** So much sooner than the first process gives up waiting, in milliseconds. */
const SOONER_MS = 2_000;
/** What the last words to the first process may take, in milliseconds. */
const LAST_WORDS_MS_MAX = 500;

type Start = Extract<ToWorker, { readonly kind: "start" }>;

export async function runWorker(): Promise<void> {
  const asked: { stop?: (reason: string) => void; isAsked: boolean } = { isAsked: false };
  const started = new Promise<Start>((resolve) => {
    onMessage((message) => {
      if (message.kind === "start") resolve(message);
      if (message.kind !== "stop") return;
      asked.isAsked = true;
      asked.stop?.("asked by the first process");
    });
  });
  await tell({ kind: "hello" });
  const { settings, redisUrl, version } = await started;
  const logger = createLogger({ name: "ingest", level: settings.logLevel });
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
      const ingest = await startIngest({
        settings,
        redisUrl,
        version,
        logger,
        serveOperations: answerFirstProcess,
      });
      announceReady({ http: ingest.url });
      return ingest;
    },
  });
}

function answerFirstProcess({ registry, checks, logger }: OperationsOfProcess): Promise<RunningServer> {
  onMessage((message) => {
    if (message.kind !== "ask") return;
    const { question, what } = message;
    void orNothing(logger, async () => {
      if (what === "metrics") await tell({ kind: "metrics", question, reading: await readMetrics(registry) });
      else await tell({ kind: "checks", question, checks: await answersOf(checks) });
    });
  });
  return Promise.resolve({
    url: "",
    // What was counted since the last scrape is not lost with the process.
    stop: () =>
      orNothing(logger, async () => {
        const reading = await readMetrics(registry);
        await Promise.race([tell({ kind: "metrics", question: "last", reading }), delay(LAST_WORDS_MS_MAX)]);
      }),
  });
}

/** The first process waits for an answer only so long; a worker that ended for the lack of one would take its requests along. */
export async function orNothing(logger: Logger, answer: () => Promise<void>): Promise<void> {
  try {
    await answer();
  } catch (error) {
    logger.error({ err: error }, "the first process gets no answer: metrics or checks could not be read");
  }
}

async function answersOf(checks: OperationsOfProcess["checks"]): Promise<WorkerChecks> {
  return Object.fromEntries(
    await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await check()] as const)),
  );
}

function onMessage(listen: (message: ToWorker) => void): void {
  process.on("message", (message: unknown) => {
    if (isMessage(message)) listen(message as ToWorker);
  });
}

/** Resolves when it is on its way; a first process that is gone hears nothing, and this one is about to end. */
function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve();
    process.send(message, undefined, undefined, () => resolve());
  });
}
