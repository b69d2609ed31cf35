// A few thousand near-valid inputs for each parser that something outside reaches; `npm run test:soak` sends 100,000 each.
import { describe, expect, test } from "vitest";
import { fuzzConfig, fuzzHttp } from "../support/fuzz-run.ts";
import { HTTP_TARGETS, checkAnswer } from "../support/fuzz-targets.ts";
import { useIngestRedis } from "../support/listening-ingest.ts";

const CASES = 2_000;
const CONFIG_CASES = 500;
const SEED = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

const redis = useIngestRedis();

describe(`near-valid input, SEED=${SEED}`, () => {
  test.each(HTTP_TARGETS)(
    "$name: never a crash, never a 5xx, always in its own form",
    async (target) => {
      const { cases, outcomes, stored } = await fuzzHttp(target, redis(), { cases: CASES, seed: SEED });
      expect(cases).toBe(CASES);
      // Both ends are reached: otherwise the inputs are too wrong, or too right, to find anything.
      expect(outcomes[String(target.good)]).toBeGreaterThan(CASES / 20);
      expect(Object.keys(outcomes).length).toBeGreaterThan(1);
      expect(stored).toBeGreaterThan(0);
    },
    120_000,
  );

  test("a configuration file: loaded, or refused with the place of each mistake", () => {
    const { outcomes } = fuzzConfig({ cases: CONFIG_CASES, seed: SEED });
    expect(outcomes["loaded"]).toBeGreaterThan(0);
    expect(outcomes["invalid"]).toBeGreaterThan(CONFIG_CASES / 10);
  }, 120_000);
});

test.each([
  ["a 500", 500, "application/problem+json", '{"code":"internal_error"}'],
  ["a 503", 503, "application/problem+json", '{"code":"redis_unavailable"}'],
  ["a 429", 429, "application/problem+json", '{"code":"rate_limited"}'],
  ["a page of HTML", 400, "text/html", "<p>no</p>"],
  ["JSON of another form", 400, "application/json", '{"code":"malformed_json"}'],
  ["a code of another status", 400, "application/problem+json", '{"code":"body_too_large"}'],
  ["an unknown code", 400, "application/problem+json", '{"code":"toString"}'],
  ["a batch without counts", 202, "application/json", '{"rejected":[]}'],
])("the check of a native answer catches %s", (_name, status, type, text) => {
  const [native] = HTTP_TARGETS;
  expect(() => checkAnswer(native!, { status, headers: { "content-type": type }, text })).toThrow(
    /^(neither good|not |a code|Unexpected token)/,
  );
});
