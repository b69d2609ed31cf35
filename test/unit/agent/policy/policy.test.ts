// A policy's rules as the file has them: what each signal takes, what a rule without a word on it gets.
import { describe, expect, it } from "vitest";
import { SILENCE_DEADLINE_MS_DEFAULT } from "../../../../agent/health/counting-rules.ts";
import {
  SILENCE_DEADLINE_MS_LEAST,
  SILENCE_DEADLINE_MS_MAX,
  policySchema,
} from "../../../../agent/policy/policy.ts";

/** The rules that come out, or what is said on which of them. */
function read(...rules: readonly object[]): unknown {
  const result = policySchema.safeParse({ rules });
  if (result.success) return result.data.rules;
  return result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const SILENCE = { signal: "silence", limit: "2%" };
const OUT_OF_RANGE = ["rules.0.deadline: must be from 5m to 7d"];
const NO_DEADLINE_HERE = ["rules.0.deadline: only a rule for silence has a deadline: take it out here"];
const NOT_A_DURATION = "not a duration: write a number and ms, s, m, h or d, such as 90s or 6h";

describe("a rule for silence", () => {
  it("has a deadline of 6 hours unless told", () => {
    expect(SILENCE_DEADLINE_MS_DEFAULT).toBe(6 * 3_600_000);
    expect(read(SILENCE)).toEqual([
      { signal: "silence", limit: 0.02, deadlineMs: SILENCE_DEADLINE_MS_DEFAULT },
    ]);
  });

  it.each([
    { deadline: "5m", deadlineMs: SILENCE_DEADLINE_MS_LEAST },
    { deadline: "90m", deadlineMs: 90 * 60_000 },
    { deadline: "7d", deadlineMs: SILENCE_DEADLINE_MS_MAX },
  ])("deadline: $deadline", ({ deadline, deadlineMs }) => {
    expect(read({ ...SILENCE, deadline })).toEqual([{ signal: "silence", limit: 0.02, deadlineMs }]);
  });

  it.each(["0s", `${SILENCE_DEADLINE_MS_LEAST - 1}ms`, `${SILENCE_DEADLINE_MS_MAX + 1}ms`])(
    "deadline: %s is refused",
    (deadline) => {
      expect(read({ ...SILENCE, deadline })).toEqual(OUT_OF_RANGE);
    },
  );

  it.each(["soon", "6", 6])("deadline: %o is refused once, for what it is", (deadline) => {
    expect(read({ ...SILENCE, deadline })).toEqual([`rules.0.deadline: ${NOT_A_DURATION}`]);
  });

  it("may stand once, like every signal, whatever the deadlines", () => {
    expect(read(SILENCE, { ...SILENCE, deadline: "1h" })).toEqual([
      "rules.1.signal: a rule above has this signal already: keep one of the two",
    ]);
  });
});

describe.each(["update_failure", "download_failure"])("a rule for %s", (signal) => {
  it("leaves without a deadline", () => {
    expect(read({ signal, limit: "5%" })).toEqual([{ signal, limit: 0.05 }]);
  });

  it.each(["6h", "1m"])("says that a deadline (%s) has no place there, and only that", (deadline) => {
    expect(read({ signal, limit: "5%", deadline })).toEqual(NO_DEADLINE_HERE);
  });
});
