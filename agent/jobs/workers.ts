// The BullMQ workers: one per queue, each running the job file of the same name. A job that throws is
// logged and found again by the sweep; a worker that dies loses its lock within seconds and its job is
// taken up by another.
import { settledWithin } from "../../runtime/clock.ts";
import { Worker } from "bullmq";
import type { Job, Processor } from "bullmq";
import type { ErrorReporter } from "../../runtime/sentry.ts";
import type { Logger } from "../../runtime/logger.ts";
import { QUEUE_NAMES, QUEUE_PREFIX } from "./queues.ts";
import type {
  EvaluateJob,
  FoldJob,
  PollJob,
  QueueConnection,
  QueueName,
  RollbackJob,
  SummaryJob,
} from "./queues.ts";

/** A job whose worker has not renewed its lock for this long is taken from it, in milliseconds. */
export const LOCK_MS = 5_000;
/** How often locks that ran out are looked for, in milliseconds. */
const STALLED_INTERVAL_MS = 2_000;
/** A stall only means that a process died: the job is never given up for it. */
const STALLS_MAX = 1_000_000;

/** What closing without waiting for jobs may take, in milliseconds. */
const FORCED_CLOSE_MS_MAX = 1_000;

/**
 * Jobs at once. Evaluations, rollbacks and polls mostly wait for OTA servers: one that hangs must not hold up the
 * others; nor may a roll-up, the retention, or an Alertmanager or Grafana that hangs hold up the sweep.
 */
const CONCURRENCY: Readonly<Record<QueueName, number>> = {
  fold: 4,
  evaluate: 64,
  rollback: 32,
  poll: 16,
  upkeep: 8,
};

export interface Handlers {
  fold(job: FoldJob): Promise<void>;
  evaluate(job: EvaluateJob): Promise<void>;
  rollback(job: RollbackJob): Promise<void>;
  poll(job: PollJob): Promise<void>;
  sweep(): Promise<void>;
  rollUp(): Promise<void>;
  retention(): Promise<void>;
  page(): Promise<void>;
  tell(): Promise<void>;
  summary(job: SummaryJob): Promise<void>;
}

export interface Workers {
  start(): void;
  /** Lets the jobs that run finish, within the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

export interface WorkersOptions<Handled = Handlers> {
  readonly connection: QueueConnection;
  readonly handlers: Handled;
  readonly logger: Logger;
  readonly errors: ErrorReporter;
}

function upkeep({ name, data }: Job, handlers: Handlers): Promise<void> {
  switch (name) {
    case "roll-up":
      return handlers.rollUp();
    case "retention":
      return handlers.retention();
    case "page":
      return handlers.page();
    case "tell":
      return handlers.tell();
    case "summary":
      return handlers.summary(data as SummaryJob);
    default:
      return handlers.sweep();
  }
}

/** Of an agent. */
export function createWorkers({ handlers, ...options }: WorkersOptions): Workers {
  return keepWorking(options, {
    ...processorsOfFolding(handlers),
    evaluate: (job: Job<EvaluateJob>) => handlers.evaluate(job.data),
    rollback: (job: Job<RollbackJob>) => handlers.rollback(job.data),
    poll: (job: Job<PollJob>) => handlers.poll(job.data),
    upkeep: (job: Job) => upkeep(job, handlers),
  });
}

/** Of a process that does nothing but fold. */
export function createFoldWorkers({ handlers, ...options }: WorkersOptions<Pick<Handlers, "fold">>): Workers {
  return keepWorking(options, processorsOfFolding(handlers));
}

type Processors = Partial<Record<QueueName, Processor>>;

function processorsOfFolding(handlers: Pick<Handlers, "fold">): Processors {
  return { fold: (job: Job<FoldJob>) => handlers.fold(job.data) };
}

function keepWorking(
  { connection, logger, errors }: Omit<WorkersOptions, "handlers">,
  processors: Processors,
): Workers {
  const makeWorker = (name: QueueName, process: Processor): Worker => {
    const worker = new Worker(name, process, {
      connection: connection.options,
      prefix: QUEUE_PREFIX,
      autorun: false,
      concurrency: CONCURRENCY[name],
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_INTERVAL_MS,
      maxStalledCount: STALLS_MAX,
    });
    worker.on("error", (error) =>
      logger.warn({ err: error, queue: name }, "a worker lost Redis or a lock, going on"),
    );
    worker.on("failed", (job, error) => {
      logger.error(
        { err: error, queue: name, job: job?.name },
        "a job failed; the sweep will find its work again",
      );
      errors.capture(error, { queue: name });
    });
    return worker;
  };
  const workers = QUEUE_NAMES.flatMap((name) => {
    const process = processors[name];
    return process === undefined ? [] : [makeWorker(name, process)];
  });
  return {
    start: () =>
      workers.forEach((worker) => {
        worker
          .run()
          .catch((error: unknown) =>
            logger.error({ err: error, queue: worker.name }, "a worker stopped working"),
          );
      }),
    async stop(deadlineMs) {
      const closed = Promise.all(workers.map((worker) => worker.close()));
      if ((await settledWithin(deadlineMs, closed)) === "settled") return;
      logger.warn("jobs were still running at the deadline; they are taken up again at the next start");
      await settledWithin(FORCED_CLOSE_MS_MAX, Promise.all(workers.map((worker) => worker.close(true))));
    },
  };
}
