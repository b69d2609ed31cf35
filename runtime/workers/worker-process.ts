// One worker as a process that the supervisor can keep (runtime/supervisor.ts), and that can be asked things. Enters: what
// it is to run with. Leaves: a handle. It is told to stop by a message and not by a signal: a Ctrl-C reaches it as well as
// the first process, and a second signal would mean "at once".
import cluster from "node:cluster";
import type { Worker } from "node:cluster";
import { setTimeout as delay } from "node:timers/promises";
import { READY_MS_MAX } from "../child-process.ts";
import { STOP_MS_MAX } from "../lifecycle.ts";
import type { MetricsReading } from "../metrics.ts";
import type { ProcessHandle } from "../supervisor.ts";
import { isMessage } from "./messages.ts";
import type { FromWorker, ToWorker, WorkerChecks } from "./messages.ts";

/** A worker that does not answer for so long is left out of a scrape, in milliseconds. */
export const ANSWER_MS_MAX = 2_000;
/** The same of a check: probes often wait no longer than a second. */
const CHECK_MS_MAX = 500;

/** Later than a worker gives up by itself, and sooner than the first process does, in milliseconds. */
const WORKER_STOP_MS_MAX = STOP_MS_MAX - 1_500;

export interface WorkerProcess<News = never> extends ProcessHandle {
  /** What its metrics are now, or undefined: it is not ready, or does not answer. */
  metrics(): Promise<MetricsReading | undefined>;
  checks(): Promise<WorkerChecks | undefined>;
  tell(news: News): void;
  askToStop(): void;
}

export interface WorkerOptions<Start> {
  readonly name: string;
  /** Asked when the worker is there to hear it: what has changed by then is in it. */
  readonly start: () => Start;
  /** It sends its last metrics by itself before it ends. */
  readonly onLastMetrics: (reading: MetricsReading) => void;
}

type Answer = Extract<FromWorker, { readonly kind: "metrics" | "checks" }>;

export function forkWorker<Start, News = never>({
  name,
  start,
  onLastMetrics,
}: WorkerOptions<Start>): WorkerProcess<News> {
  const worker = cluster.fork();
  const questions = new Map<number, (answer: Answer | undefined) => void>();
  const exited = exitOf(worker);
  const ready = new Promise<Readonly<Record<string, string>>>((resolve, reject) => {
    const patience = setTimeout(() => worker.process.kill("SIGKILL"), READY_MS_MAX);
    worker.on("message", (message: unknown) => {
      if (!isMessage(message)) return;
      const said = message as FromWorker;
      if (said.kind === "hello") send(worker, { kind: "start", start: start() });
      else if (said.kind === "ready") {
        clearTimeout(patience);
        resolve(said.urls);
      } else if (said.kind === "metrics" && said.question === "last") onLastMetrics(said.reading);
      else questions.get(Number(said.question))?.(said);
    });
    void exited.then((reason) => {
      clearTimeout(patience);
      reject(new Error(`${name} did not start: ${reason}; the log has the cause`));
      for (const answer of questions.values()) answer(undefined);
    });
  });
  let asked = 0;
  let isReady = false;
  ready.then(
    () => (isReady = true),
    () => {},
  );
  const ask = async (what: "metrics" | "checks"): Promise<Answer | undefined> => {
    // Nobody listens yet.
    if (!isReady) return undefined;
    const question = (asked += 1);
    let timer: NodeJS.Timeout | undefined;
    const answered = new Promise<Answer | undefined>((resolve) => {
      questions.set(question, resolve);
      timer = setTimeout(() => resolve(undefined), what === "checks" ? CHECK_MS_MAX : ANSWER_MS_MAX);
      if (!send(worker, { kind: "ask", question, what })) resolve(undefined);
    });
    return await answered.finally(() => {
      clearTimeout(timer);
      questions.delete(question);
    });
  };
  const askToStop = (): void => void send(worker, { kind: "stop" });
  return {
    pid: worker.process.pid,
    ready,
    exited,
    async metrics() {
      const answer = await ask("metrics");
      return answer?.kind === "metrics" ? answer.reading : undefined;
    },
    async checks() {
      const answer = await ask("checks");
      return answer?.kind === "checks" ? answer.checks : undefined;
    },
    tell: (news) => void send(worker, { kind: "news", news }),
    askToStop,
    stop: () => stopWorker(worker, { exited, askToStop }),
    kill: () => void worker.process.kill("SIGKILL"),
  };
}

/** Once all that it said has been read as well: its last metrics may come after word of its end. */
async function exitOf(worker: Worker): Promise<string> {
  const exit = new Promise<string>((resolve) => {
    worker.once("exit", (code: number, signal: string | null) => resolve(signal ?? `exit code ${code}`));
    // It could not even be spawned: then there is no exit.
    worker.on("error", (error: Error) => resolve(error.message));
  });
  const disconnected = new Promise<void>((resolve) => void worker.once("disconnect", () => resolve()));
  const reason = await exit;
  await Promise.race([disconnected, delay(ANSWER_MS_MAX)]);
  return reason;
}

async function stopWorker(
  worker: Worker,
  { exited, askToStop }: Pick<WorkerProcess, "exited" | "askToStop">,
): Promise<"stopped" | "killed"> {
  askToStop();
  let wasKilled = false;
  const timer = setTimeout(() => {
    wasKilled = true;
    worker.process.kill("SIGKILL");
  }, WORKER_STOP_MS_MAX);
  await exited;
  clearTimeout(timer);
  return wasKilled ? "killed" : "stopped";
}

/** False when nobody is there any more: it died a moment ago, and its end is told by itself. */
function send(worker: Worker, message: ToWorker<unknown, unknown>): boolean {
  if (!worker.isConnected() || worker.isDead()) return false;
  worker.send(message, (_error: Error | null) => {});
  return true;
}
