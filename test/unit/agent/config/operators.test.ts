// Operators as the configuration names them: tokens and digests, ends, and what is refused.
import { describe, expect, test } from "vitest";
import {
  OPERATOR_NAME_CHARS_MAX,
  digestOfToken,
  operatorsSchema,
  tokenDigestOf,
} from "../../../../agent/config/operators.ts";

const DIGEST = digestOfToken("a-token-of-ana");

function mistakesOf(...operators: unknown[]): string[] {
  const { success, error } = operatorsSchema.safeParse(operators);
  return success ? [] : error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("a token or its digest", () => {
  test("both lead to the same digest, however it is written", () => {
    const operators = operatorsSchema.parse([
      { name: "ana", role: "admin", token: "a-token-of-bo" },
      { name: "bo", role: "viewer", token_sha256: DIGEST.toUpperCase() },
    ]);
    expect(operators.map(tokenDigestOf)).toEqual([digestOfToken("a-token-of-bo"), DIGEST]);
    expect(JSON.stringify(operators[1])).not.toContain("a-token");
  });

  test.each([63, 65, 0])("%s hex digits are no digest", (digits) => {
    expect(mistakesOf({ name: "ana", role: "admin", token_sha256: "a".repeat(digits) })).toEqual([
      expect.stringContaining("0.token_sha256: must be the 64 hex digits"),
    ]);
  });

  test("exactly one of the two", () => {
    expect(mistakesOf({ name: "ana", role: "admin" })).toEqual([
      expect.stringContaining("0.token: this setting is missing"),
    ]);
    const both = { name: "ana", role: "admin", token: "a-token-of-ana", token_sha256: DIGEST };
    expect(mistakesOf(both)).toEqual([expect.stringContaining("0.token_sha256: token is set too")]);
  });

  test("a token is one operator's, also when one gives it and the other its digest", () => {
    expect(
      mistakesOf(
        { name: "ana", role: "admin", token: "a-token-of-ana" },
        { name: "bo", role: "viewer", token_sha256: DIGEST },
        { name: "ana", role: "viewer", token: "another-token" },
      ),
    ).toEqual([
      "1.token_sha256: an operator above has this token already: each needs their own",
      "2.name: an operator above has this name already: each needs their own",
    ]);
  });

  test(`a name has at most ${OPERATOR_NAME_CHARS_MAX} characters`, () => {
    const named = (name: string) => ({ name, role: "admin", token: "a-token-of-ana" });
    expect(mistakesOf(named("a".repeat(OPERATOR_NAME_CHARS_MAX)))).toEqual([]);
    expect(mistakesOf(named("a".repeat(OPERATOR_NAME_CHARS_MAX + 1)))).toHaveLength(1);
  });
});

describe("expires", () => {
  const expiryOf = (expires: string) =>
    operatorsSchema.parse([{ name: "ana", role: "admin", token_sha256: DIGEST, expires }])[0]!.expiresAtMs;

  test.each([
    ["2027-01-31", Date.UTC(2027, 1, 1)],
    ["2027-01-31T18:00:00Z", Date.UTC(2027, 0, 31, 18)],
    ["2027-01-31T18:00:00+02:00", Date.UTC(2027, 0, 31, 16)],
  ])("%s: a date is whole, a time is that moment", (text, expected) => {
    expect(expiryOf(text)).toBe(expected);
  });

  test.each(["31.1.2027", "2027-02-30", "2027-01-31T18:00:00", "tomorrow", "90d", ""])(
    "%s is refused",
    (expires) => {
      expect(mistakesOf({ name: "ana", role: "admin", token_sha256: DIGEST, expires })).toEqual([
        expect.stringContaining("0.expires: must be a date"),
      ]);
    },
  );
});
