// Runs every fuzz target for a number of cases, on a real Redis that is emptied now and then. Enters: how many cases, how
// long at most, a seed. Leaves: what became of the cases of each target, after all that was stored could be decoded and
// the metrics could be read. A failing case is thrown with its seed and path, as fast-check writes them.
import * as fc from "fast-check";
import type { Redis } from "../../runtime/redis.ts";
import { FUZZ_BODY_BYTES_MAX, FUZZ_SOURCES, configProperty, httpProperty } from "./fuzz-targets.ts";
import type { HttpTarget } from "./fuzz-targets.ts";
import { TEST_SHARDS, createTestIngest, storedReports } from "./ingest-app.ts";

export interface FuzzOptions {
  readonly cases: number;
  readonly seed: number;
  /** No new case after so long, in milliseconds; undefined = all of them. */
  readonly msMax?: number;
}

export interface FuzzResult {
  readonly cases: number;
  readonly seconds: number;
  /** Cases by status, or by whether a file was loaded. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Reports that Redis held and that could be decoded. */
  readonly stored: number;
}

/** Cases after which Redis is looked at and emptied. */
const LOOK_EVERY = 2_000;
const SAMPLE_LINE =
  /^(?:#.*|[a-z_:][a-z0-9_:]*(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? [0-9.eE+-]+|.* (?:NaN|\+Inf))$/;

export async function fuzzHttp(target: HttpTarget, redis: Redis, options: FuzzOptions): Promise<FuzzResult> {
  const startedAtMs = performance.now();
  const outcomes: Record<string, number> = {};
  let cases = 0;
  let stored = 0;
  const { app, registry } = createTestIngest({
    redis,
    bodyBytesMax: FUZZ_BODY_BYTES_MAX,
    streamEntriesMax: 1_000_000,
    sources: FUZZ_SOURCES,
  });
  const look = async (): Promise<void> => {
    stored += (await storedReports(redis, TEST_SHARDS)).length;
    await redis.flushall();
    const wrong = (await registry.metrics())
      .split("\n")
      .find((line) => line !== "" && !SAMPLE_LINE.test(line));
    if (wrong !== undefined) throw new Error(`not a line of metrics: ${wrong}`);
  };
  const property = httpProperty(target, app, async (outcome) => {
    cases += 1;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (cases % LOOK_EVERY === 0) await look();
  });
  await fc.assert(property, parametersOf(options));
  await look();
  return { cases, outcomes, stored, seconds: (performance.now() - startedAtMs) / 1_000 };
}

export function fuzzConfig(options: FuzzOptions): FuzzResult {
  const startedAtMs = performance.now();
  const outcomes: Record<string, number> = {};
  let cases = 0;
  const property = configProperty((outcome) => {
    cases += 1;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  });
  fc.assert(property, parametersOf(options));
  return { cases, outcomes, stored: 0, seconds: (performance.now() - startedAtMs) / 1_000 };
}

function parametersOf({ cases, seed, msMax }: FuzzOptions): fc.Parameters<unknown> {
  return {
    numRuns: cases,
    seed,
    ...(msMax === undefined ? {} : { interruptAfterTimeLimit: msMax, markInterruptAsFailure: false }),
  };
}
