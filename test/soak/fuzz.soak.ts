// 100,000 near-valid inputs for each parser that something outside reaches, on a real Redis: never a crash, never a 5xx.
// Prints the seed (`SEED=…` repeats a run), what became of the cases, and cases per second; each target ends after a time.
import { expect, test } from "vitest";
import { fuzzConfig, fuzzHttp } from "../support/fuzz-run.ts";
import type { FuzzResult } from "../support/fuzz-run.ts";
import { HTTP_TARGETS } from "../support/fuzz-targets.ts";
import { useIngestRedis } from "../support/listening-ingest.ts";

const CASES = 100_000;
/** Of one target, in milliseconds: a slow machine sends fewer. On two cores the slowest, the file's, took under 3 minutes. */
const TARGET_MS_MAX = 600_000;
const SEED = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const OPTIONS = { cases: CASES, seed: SEED, msMax: TARGET_MS_MAX };

const redis = useIngestRedis();

function tell(name: string, { cases, seconds, outcomes, stored }: FuzzResult): void {
  const rate = Math.round(cases / seconds);
  process.stdout.write(
    `fuzz: ${name}: ${cases} cases, ${rate}/s, seed ${SEED}, ${JSON.stringify(outcomes)}, ${stored} reports stored\n`,
  );
}

test.each(HTTP_TARGETS)(
  "$name",
  async (target) => {
    const result = await fuzzHttp(target, redis(), OPTIONS);
    tell(target.name, result);
    expect(result.cases).toBeGreaterThan(CASES / 20);
    expect(result.stored).toBeGreaterThan(0);
  },
  TARGET_MS_MAX + 120_000,
);

test(
  "configuration files",
  () => {
    const result = fuzzConfig(OPTIONS);
    tell("configuration files", result);
    expect(result.cases).toBeGreaterThan(CASES / 20);
  },
  TARGET_MS_MAX + 120_000,
);
