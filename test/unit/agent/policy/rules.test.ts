// The rules of a policy as the file has them: which statements each of them becomes, what one without a word on it
// gets, and what is said of one that makes no sense.
import { describe, expect, it } from "vitest";
import { SILENCE_DEADLINE_MS_DEFAULT } from "../../../../agent/health/counting-rules.ts";
import { policySchema } from "../../../../agent/policy/policy.ts";
import {
  PLAIN_FOR_MS_MAX,
  PLAIN_WINDOW_MS_LEAST,
  PLAIN_WINDOW_MS_MAX,
  SILENCE_DEADLINE_MS_LEAST,
  SILENCE_DEADLINE_MS_MAX,
} from "../../../../agent/policy/rules.ts";

/** The statements that come out, or what is said on which of the rules. */
function read(...rules: readonly object[]): unknown {
  const result = policySchema.safeParse({ rules });
  if (result.success) return result.data.rules;
  return result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const SILENCE = { signal: "silence", limit: "2%" };
const OUT_OF_RANGE = ["rules.0.deadline: must be from 5m to 7d"];
const NO_DEADLINE_HERE = ["rules.0.deadline: only a rule for silence has a deadline: take it out here"];
const NOT_A_DURATION = "not a duration: write a number and ms, s, m, h or d, such as 90s or 6h";
const NOT_AN_ALLOWANCE =
  "not something to be allowed beside the baseline: write how many times as often (1x to 100x, such as 1.5x) or how many percentage points more (0.01pp to 50pp, such as +1pp)";

function silenceStatements(deadlineMs: number): object[] {
  return [
    { form: "limit", signal: "silence", limit: 0.02, deadlineMs },
    { form: "worse_than_baseline", signal: "silence", allowance: { ratio: 1.5, points: 0 }, deadlineMs },
  ];
}

describe("a rule for silence", () => {
  it("has a deadline of 6 hours, and compares how fast devices come back, unless told", () => {
    expect(SILENCE_DEADLINE_MS_DEFAULT).toBe(6 * 3_600_000);
    expect(read(SILENCE)).toEqual(silenceStatements(SILENCE_DEADLINE_MS_DEFAULT));
  });

  it("compares with another margin, or not at all, or only compares", () => {
    expect(read({ ...SILENCE, worse_than_baseline: "3x" })).toMatchObject([{}, { allowance: { ratio: 3 } }]);
    expect(read({ ...SILENCE, worse_than_baseline: "off" })).toEqual(
      silenceStatements(SILENCE_DEADLINE_MS_DEFAULT).slice(0, 1),
    );
    expect(read({ signal: "silence", worse_than_baseline: "2x" })).toMatchObject([
      { form: "worse_than_baseline", allowance: { ratio: 2, points: 0 } },
    ]);
  });

  it.each([
    { deadline: "5m", deadlineMs: SILENCE_DEADLINE_MS_LEAST },
    { deadline: "90m", deadlineMs: 90 * 60_000 },
    { deadline: "7d", deadlineMs: SILENCE_DEADLINE_MS_MAX },
  ])("deadline: $deadline", ({ deadline, deadlineMs }) => {
    expect(read({ ...SILENCE, deadline })).toEqual(silenceStatements(deadlineMs));
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

  it("has no percentage points, and no plain test", () => {
    expect(read({ ...SILENCE, worse_than_baseline: "+1pp" })).toEqual([
      "rules.0.worse_than_baseline: silence is compared by how much slower devices come back: write 1.5x",
    ]);
    expect(read({ ...SILENCE, test: "plain" })).toEqual([
      "rules.0.test: silence has no plain test: its deadline is one already",
    ]);
  });

  it("may stand once in each form, whatever the deadlines", () => {
    expect(read(SILENCE, { ...SILENCE, worse_than_baseline: "off", deadline: "1h" })).toEqual([
      "rules.1.signal: a rule above has a limit for this signal already: keep one of the two",
    ]);
  });
});

describe.each(["update_failure", "download_failure", "crash", "not_responding"])(
  "a rule for %s",
  (signal) => {
    it("has a limit, a comparison or both, and no deadline", () => {
      const limit = { form: "limit", signal, limit: 0.05 };
      const comparison = { form: "worse_than_baseline", signal, allowance: { ratio: 2, points: 0 } };
      expect(read({ signal, limit: "5%" })).toEqual([limit]);
      expect(read({ signal, worse_than_baseline: "2x" })).toEqual([comparison]);
      expect(read({ signal, limit: "5%", worse_than_baseline: "2x" })).toEqual([limit, comparison]);
      expect(read({ signal, limit: "5%" }, { signal, worse_than_baseline: "2x" })).toEqual([
        limit,
        comparison,
      ]);
    });

    it.each(["6h", "1m"])("says that a deadline (%s) has no place there, and only that", (deadline) => {
      expect(read({ signal, limit: "5%", deadline })).toEqual(NO_DEADLINE_HERE);
    });

    it("that says nothing is told what it can say", () => {
      expect(read({ signal })).toEqual([
        "rules.0.signal: the rule says nothing about it: give it a limit (5%), or worse_than_baseline (1.5x or +1pp)",
      ]);
    });

    it("can't be told off what it does not do", () => {
      expect(read({ signal, limit: "5%", worse_than_baseline: "off" })).toEqual([
        "rules.0.worse_than_baseline: only a rule for silence with a limit compares unless told `off`: take it out here",
      ]);
    });

    it("each form may stand once", () => {
      expect(read({ signal, worse_than_baseline: "2x" }, { signal, worse_than_baseline: "+1pp" })).toEqual([
        "rules.1.signal: a rule above has a comparison for this signal already: keep one of the two",
      ]);
    });
  },
);

describe("worse_than_baseline", () => {
  it.each([
    ["1x", { ratio: 1, points: 0 }],
    ["1.5x", { ratio: 1.5, points: 0 }],
    ["100x", { ratio: 100, points: 0 }],
    ["+0.01pp", { ratio: 1, points: 0.0001 }],
    ["+1pp", { ratio: 1, points: 0.01 }],
    [" +50 pp ", { ratio: 1, points: 0.5 }],
  ])("%s", (text, allowance) => {
    expect(read({ signal: "crash", worse_than_baseline: text })).toMatchObject([{ allowance }]);
  });

  it.each(["0.99x", "100.1x", "+0.009pp", "+50.1pp", "1pp", "-1pp", "2", "2 times", "x", "+1%", 2])(
    "%o is refused, with what to write",
    (text) => {
      expect(read({ signal: "crash", worse_than_baseline: text })).toEqual([
        `rules.0.worse_than_baseline: ${NOT_AN_ALLOWANCE}`,
      ]);
    },
  );
});

describe("test: plain", () => {
  const PLAIN = { signal: "update_failure", limit: "5%", test: "plain" };

  it("looks at an hour, for ten minutes, at 50 devices unless told", () => {
    expect(read(PLAIN)).toEqual([
      {
        form: "plain",
        signal: "update_failure",
        limit: 0.05,
        windowMs: 3_600_000,
        forMs: 600_000,
        minDevices: 50,
      },
    ]);
    expect(read({ ...PLAIN, window: "5m", for: "0s", min_devices: 1 })).toMatchObject([
      { windowMs: PLAIN_WINDOW_MS_LEAST, forMs: 0, minDevices: 1 },
    ]);
    expect(read({ ...PLAIN, window: "48h", for: "24h", min_devices: "1000" })).toMatchObject([
      { windowMs: PLAIN_WINDOW_MS_MAX, forMs: PLAIN_FOR_MS_MAX, minDevices: 1_000 },
    ]);
  });

  it.each([
    [{ window: "4m" }, "window: must be from 5m to 48h"],
    [{ window: "49h" }, "window: must be from 5m to 48h"],
    [{ for: "25h" }, "for: must be at most 24h"],
    [{ min_devices: 0 }, "min_devices: must be a whole number from 1 to 1000000000"],
    [
      { worse_than_baseline: "2x" },
      "worse_than_baseline: a plain rule only has a limit: take one of the two out",
    ],
  ])("%o is refused", (fields, message) => {
    expect(read({ ...PLAIN, ...fields })).toEqual([`rules.0.${message}`]);
  });

  it.each([{ window: "1h" }, { for: "1m" }, { min_devices: 3 }])("%o belongs to it alone", (fields) => {
    const [field] = Object.keys(fields);
    expect(read({ signal: "update_failure", limit: "5%", ...fields })).toEqual([
      `rules.0.${field}: only a rule with \`test: plain\` has it: take it out here`,
    ]);
  });

  it("may stand beside an always-valid rule for the same signal", () => {
    expect(read(PLAIN, { signal: "update_failure", limit: "5%" })).toMatchObject([
      { form: "plain" },
      { form: "limit" },
    ]);
  });
});

describe("when", () => {
  it("is any share unless told", () => {
    const guards = (when?: object) => policySchema.parse({ rules: [SILENCE], when }).guards;
    expect(guards()).toMatchObject({ shareOfFleetLeast: 0 });
    expect(guards({ share_of_fleet: "10%" })).toMatchObject({ shareOfFleetLeast: 0.1 });
    expect(policySchema.safeParse({ rules: [SILENCE], when: { share_of_fleet: "101%" } }).success).toBe(
      false,
    );
    expect(policySchema.safeParse({ rules: [SILENCE], when: { share: "10%" } }).success).toBe(false);
  });
});
