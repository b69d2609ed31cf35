// `npm run bench`: how fast Lastgood is, each figure beside a reference that is measured in the same run, in turns. Enters:
// flags. Starts real processes from dist/ on this machine, with wrk as the client. Leaves: tables on stdout, or JSON;
// how far it is, on stderr. Nothing here passes or fails: docs/performance.md has the figures to reach.
import { cpus } from "node:os";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { createProgress } from "./progress.ts";
import type { Progress } from "./progress.ts";
import { parseWholeNumbers } from "./options.ts";
import { benchBatches, renderBatches } from "./speed/batches.ts";
import { benchDetection, renderDetection } from "./speed/detection.ts";
import { benchEndToEnd, renderEndToEnd } from "./speed/end-to-end.ts";
import { benchGrowth, renderGrowth } from "./speed/growth.ts";
import { benchProcesses, renderProcesses } from "./speed/processes.ts";
import { benchSingle, renderSingle } from "./speed/single.ts";

/** Seconds of a sustained load, and of one turn of those that take turns. */
const SUSTAINED_SECONDS = 60;
const TURN_SECONDS = 2;
const ROUNDS = 11;

interface Flags {
  readonly seconds: number;
  readonly rounds: number;
  readonly only?: readonly Part[];
  readonly json?: true;
}

interface Lengths {
  readonly sustainedSeconds: number;
  readonly turnSeconds: number;
  readonly rounds: number;
}

interface Measured {
  readonly result: unknown;
  readonly text: string;
}

const PARTS = {
  single: async ({ turnSeconds, rounds }: Lengths, progress: Progress): Promise<Measured> => {
    const result = await benchSingle({ seconds: turnSeconds, rounds }, progress);
    return { result, text: renderSingle(result) };
  },
  batches: async ({ turnSeconds, rounds }: Lengths, progress: Progress): Promise<Measured> => {
    const result = await benchBatches({ seconds: turnSeconds, rounds }, progress);
    return { result, text: renderBatches(result) };
  },
  "end-to-end": async ({ sustainedSeconds }: Lengths, progress: Progress): Promise<Measured> => {
    const result = await benchEndToEnd(sustainedSeconds, progress);
    return { result, text: renderEndToEnd(result) };
  },
  detection: async ({ sustainedSeconds }: Lengths, progress: Progress): Promise<Measured> => {
    const result = await benchDetection(sustainedSeconds, progress);
    return { result, text: renderDetection(result) };
  },
  growth: async ({ turnSeconds }: Lengths, progress: Progress): Promise<Measured> => {
    const result = await benchGrowth(turnSeconds, progress);
    return { result, text: renderGrowth(result) };
  },
  processes: async ({ turnSeconds, rounds }: Lengths, progress: Progress): Promise<Measured> => {
    const result = await benchProcesses({ seconds: turnSeconds, rounds }, progress);
    return { result, text: renderProcesses(result) };
  },
} as const;
type Part = keyof typeof PARTS;

function readFlags(): Flags {
  const whole = (text: string): number => parseWholeNumbers(text)[0]!;
  return new Command("bench")
    .usage("[flags]   (npm run bench -- [flags])")
    .description("How fast Lastgood is, beside references that are measured in the same run.")
    .option("--seconds <n>", "length of the sustained load; everything else is scaled with it", whole, 60)
    .option("--rounds <n>", "turns of each that is compared", whole, ROUNDS)
    .option("--only <parts>", `some of ${Object.keys(PARTS).join(",")}`, parseParts)
    .option("--json", "print the measurements as JSON")
    .parse()
    .opts<Flags>();
}

function parseParts(text: string): Part[] {
  return text.split(",").map((part) => {
    if (!Object.hasOwn(PARTS, part))
      throw new InvalidArgumentError(`there are ${Object.keys(PARTS).join(", ")}`);
    return part as Part;
  });
}

async function main(): Promise<void> {
  const flags = readFlags();
  const progress = createProgress();
  const lengths: Lengths = {
    sustainedSeconds: flags.seconds,
    turnSeconds: Math.max(1, Math.round((TURN_SECONDS * flags.seconds) / SUSTAINED_SECONDS)),
    rounds: flags.rounds,
  };
  const results: Record<string, unknown> = { cores: cpus().length, node: process.version };
  for (const part of flags.only ?? (Object.keys(PARTS) as Part[])) {
    const { result, text } = await PARTS[part](lengths, progress);
    progress.end();
    results[part] = result;
    if (flags.json !== true) process.stdout.write(`${text}\n`);
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}

process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));
await main();
