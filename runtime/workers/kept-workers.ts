// The workers of a program with several processes, as its first process has them: started, started again when they die,
// asked for their metrics and their readiness, told what has changed, and stopped all at once. Enters: how many, and
// what they work with. Leaves: them as one.
import cluster from "node:cluster";
import type { Logger } from "../logger.ts";
import { readWhole, withTexts } from "../metrics.ts";
import type { Registry } from "../metrics.ts";
import { createSupervisor } from "../supervisor.ts";
import type { SupervisorEvent } from "../supervisor.ts";
import type { WorkerChecks } from "./messages.ts";
import { createWorkerMetrics } from "./worker-metrics.ts";
import { forkWorker } from "./worker-process.ts";
import type { WorkerProcess } from "./worker-process.ts";

export interface KeptWorkersOptions<Start> {
  readonly count: number;
  /** Whether the program can do without them: then nobody waits for one that does not start. */
  readonly kind: "essential" | "helper";
  /** From 1 on. */
  readonly nameOf: (number: number) => string;
  /** Asked whenever one is started. */
  readonly start: () => Start;
  readonly logger: Logger;
}

export interface KeptWorkers<News = never> {
  /** Resolves when all essential ones are ready; stops those before and rejects when one does not become it. */
  start(): Promise<void>;
  /** Where the first of them listens, by name. */
  urls(): Readonly<Record<string, string>>;
  tell(news: News): void;
  /** The process's own metrics, and with them what all workers count, and dead ones had counted. */
  metrics(own: Registry): Promise<Registry>;
  /** Undefined for one that does not answer. */
  checks(): Promise<readonly (WorkerChecks | undefined)[]>;
  stop(): Promise<void>;
  /** SIGKILL, without waiting: what hangs does not notice that the first process has ended. */
  kill(): void;
}

interface Living<News> {
  readonly life: number;
  readonly worker: WorkerProcess<News>;
}

export function keepWorkers<Start, News = never>({
  count,
  kind,
  nameOf,
  start,
  logger,
}: KeptWorkersOptions<Start>): KeptWorkers<News> {
  // What they work with holds maps, sets and patterns: JSON would lose them.
  cluster.setupPrimary({ serialization: "advanced" });
  const metrics = createWorkerMetrics();
  const workers = new Map<number, Living<News>>();
  let lives = 0;
  const launch = (number: number): WorkerProcess<News> => {
    const life = (lives += 1);
    const worker = forkWorker<Start, News>({
      name: nameOf(number),
      start,
      onLastMetrics: (reading) => metrics.note(life, reading),
    });
    workers.set(number, { life, worker });
    void worker.exited.then(async () => {
      if (workers.get(number)?.life === life) workers.delete(number);
      await metrics.noteEnd(life);
    });
    return worker;
  };
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const supervisor = createSupervisor({
    specs: numbers.map((number) => ({
      name: nameOf(number),
      kind,
      launch: () => launch(number),
    })),
    onEvent: (event) => logEvent(logger, event),
  });
  return {
    start: () => supervisor.start(),
    urls: () => supervisor.urls()[nameOf(1)] ?? {},
    tell: (news) => workers.forEach(({ worker }) => worker.tell(news)),
    async metrics(own) {
      // At the same moment as the workers': one scrape is one reading.
      const ownReading = readWhole(own);
      await Promise.all(
        [...workers].map(async ([number, { life, worker }]) => {
          const reading = await worker.metrics();
          // One that does not answer in time stands with what it said last; what one that is dead had counted is noted already.
          if (reading !== undefined && workers.get(number)?.life === life) metrics.note(life, reading);
        }),
      );
      const { metrics: ours, texts } = await ownReading;
      return withTexts(metrics.merged(ours), texts);
    },
    checks: () => Promise.all(numbers.map(async (number) => await workers.get(number)?.worker.checks())),
    async stop() {
      // From here on none is started again. All at once: one after the other would take as many times as long.
      const stopped = supervisor.stop();
      for (const { worker } of workers.values()) worker.askToStop();
      await stopped;
    },
    kill: () => supervisor.killAll(),
  };
}

function logEvent(logger: Logger, event: SupervisorEvent): void {
  if (event.kind === "died")
    logger.error({ reason: event.reason, pauseMs: event.pauseMs }, `${event.name} died: it is started again`);
  if (event.kind === "stopped" && event.how === "killed")
    logger.error(`${event.name} did not stop in time, and was killed`);
}
