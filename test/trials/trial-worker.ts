// A worker of `npm run simulate`. Enters: chunks of trials. Leaves: what they found. Ends when its parent does.
import { parentPort, workerData } from "node:worker_threads";
import type { Chunk } from "./experiment.ts";
import { runChunk } from "./experiment.ts";
import { EXPERIMENTS } from "./experiments.ts";

const { seed } = workerData as { seed: number };
const port = parentPort!;

port.on("message", (chunk: Chunk) => {
  const experiment = EXPERIMENTS.find(({ name }) => name === chunk.experiment)!;
  port.postMessage(runChunk(experiment, chunk, seed));
});
