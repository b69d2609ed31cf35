// Spreads trials over the cores: each worker takes the next chunk when it is done with one. Enters: experiments.
// Leaves: what every trial of every case found, in the order of the trials, whatever worker ran them.
import { Worker } from "node:worker_threads";
import { trialsOf } from "./experiment.ts";
import type { Chunk, Experiment, Found } from "./experiment.ts";

/** Trials in a chunk at most: short enough for a progress bar that moves. */
const CHUNK_TRIALS_MAX = 50;

export interface PoolOptions {
  readonly seed: number;
  readonly releases: number;
  readonly workers: number;
  readonly onProgress: (progress: { done: number; all: number; what: string }) => void;
}

/** By experiment, then by case. */
export type AllFound = ReadonlyMap<string, ReadonlyMap<string, readonly Found[]>>;

export async function runExperiments(
  experiments: readonly Experiment[],
  { seed, releases, workers, onProgress }: PoolOptions,
): Promise<AllFound> {
  const waiting = chunksOf(experiments, releases);
  const all = waiting.reduce((sum, { first, last }) => sum + last - first, 0);
  const results = new Map<Chunk, readonly Found[]>();
  const order = [...waiting];
  let done = 0;
  await Promise.all(Array.from({ length: workers }, work));
  return gather(experiments, order, results);

  async function work(): Promise<void> {
    const worker = new Worker(new URL("./trial-worker.js", import.meta.url), { workerData: { seed } });
    try {
      for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) {
        results.set(chunk, await ask(worker, chunk));
        done += chunk.last - chunk.first;
        onProgress({ done, all, what: `${chunk.experiment}: ${chunk.case}` });
      }
    } finally {
      await worker.terminate();
    }
  }
}

function chunksOf(experiments: readonly Experiment[], releases: number): Chunk[] {
  return experiments.flatMap((experiment) =>
    experiment.cases.flatMap((each) => {
      const trials = trialsOf(each, releases);
      return Array.from({ length: Math.ceil(trials / CHUNK_TRIALS_MAX) }, (_, index): Chunk => ({
        experiment: experiment.name,
        case: each.name,
        first: index * CHUNK_TRIALS_MAX,
        last: Math.min(trials, (index + 1) * CHUNK_TRIALS_MAX),
      }));
    }),
  );
}

function ask(worker: Worker, chunk: Chunk): Promise<readonly Found[]> {
  return new Promise((resolve, reject) => {
    const onFound = (found: readonly Found[]): void => {
      worker.off("error", onError);
      resolve(found);
    };
    const onError = (error: Error): void => {
      worker.off("message", onFound);
      reject(error);
    };
    worker.once("message", onFound);
    worker.once("error", onError);
    worker.postMessage(chunk, []);
  });
}

function gather(
  experiments: readonly Experiment[],
  order: readonly Chunk[],
  results: ReadonlyMap<Chunk, readonly Found[]>,
): AllFound {
  return new Map(
    experiments.map(({ name, cases }) => [
      name,
      new Map(
        cases.map((each) => [
          each.name,
          order
            .filter((chunk) => chunk.experiment === name && chunk.case === each.name)
            .flatMap((chunk) => results.get(chunk)!),
        ]),
      ),
    ]),
  );
}
