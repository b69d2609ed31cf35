// What an operator's pattern may be: it ends in time whatever text a device sends.
import { describe, expect, test } from "vitest";
import {
  MATCHED_CHARS_MAX,
  PATTERN_CHARS_MAX,
  complaintAbout,
  versionPatternSchema,
} from "../../../../ingest/contract/sources/bounded-pattern.ts";

describe("patterns that people write are fine", () => {
  test.each([
    ["^com\\.acme\\.till@(?<version>[^+]+)\\+", "com.acme.till@1.4.0+12", "1.4.0"],
    ["^.+@(?<version>[^+]+)", "com.acme.till@1.4.0+12", "1.4.0"],
    ["\\+(?<version>v\\d+)$", "com.acme.till@1.4.0+v12", "v12"],
    ["@(?<version>[\\d.]{1,20}(?:-rc|-beta)?)", "a@1.4.0-rc", "1.4.0-rc"],
    [
      "^(?<version>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$",
      "11111111-aaaa-4bbb-8ccc-000000000011",
      "11111111-aaaa-4bbb-8ccc-000000000011",
    ],
    ["[(*+?|]+(?<version>\\(a\\)\\+)", "??(a)+", "(a)+"],
  ])("%s", (pattern, text, version) => {
    expect(versionPatternSchema.parse(pattern).exec(text)?.groups?.["version"]).toBe(version);
  });
});

test.each([
  ["^(a+)+$", "must not repeat a group in which something repeats"],
  ["^(?:a*)*", "must not repeat a group"],
  ["^(?:(?:a+))*b", "must not repeat a group"],
  ["^(?:a|aa)+$", "must not repeat a group"],
  ["^(?:a?){9}", "must not repeat a group"],
  ["^(?:a{2,})+", "must not repeat a group"],
  ["(?<version>a)\\1", "must not refer back"],
  ["(?<version>a)\\k<version>", "must not refer back"],
  ["(?=a)(?<version>b)", "must not look ahead"],
  ["(?<!a)(?<version>b)", "must not look ahead"],
  ["^.*.*.*", "could take too long"],
  [".*.*", "could take too long"],
  ["^.*.*|a", "could take too long"],
  ["^.*.{1,9}.{9,}", "could take too long"],
  ["^.*.*a?a?a?", "could take too long"],
  ["^.*.*(?:a|b)(?:a|b)(?:a|b)", "could take too long"],
])("%s is refused", (pattern, complaint) => {
  expect(complaintAbout(pattern)).toContain(complaint);
});

test("at the edge of what is allowed, the longest text takes no time that matters", () => {
  const dear = [
    "^.*.*a?a?(?<version>x)",
    "^.*a?.*a?(?<version>x)",
    "^a?a?.*.*(?<version>x)",
    "^.*.*(a|a)(a|a)(?<version>x)",
    "^.*(?:a|a)?.*(?<version>x)",
    "^.*.*a{1,4}(?<version>x)",
    ".*a?a?(?<version>x)",
    "(a|a)(a|a).*(?<version>x)",
    ".{0,256}a?a?(?<version>x)",
    "^(?:a|a)(?:a|a)(?:a|a)(?:a|a)(?:a|a)(?:a|a)(?:a|a)(?:a|a)(?:a|a)(?:a|a).*(?<version>x)",
    "a?a?a?a?a?a?a?a?a?a?(?<version>x)",
  ];
  const text = "a".repeat(MATCHED_CHARS_MAX);
  for (const pattern of dear) {
    const compiled = versionPatternSchema.parse(pattern);
    compiled.exec(text);
    const startedAt = performance.now();
    expect(compiled.exec(text)).toBeNull();
    const tookMs = performance.now() - startedAt;
    if (process.env["LASTGOOD_SHOW_TIMES"] !== undefined) console.info(pattern, tookMs);
    // A few milliseconds alone; without bounds it would be hours.
    expect(tookMs).toBeLessThan(500);
  }
});

test("a pattern has a group for the version, is one, and is short enough", () => {
  const complaints = (pattern: string): string =>
    versionPatternSchema
      .safeParse(pattern)
      .error?.issues.map(({ message }) => message)
      .join("; ") ?? "";
  expect(complaints("a")).toContain("must hold a group (?<version>…)");
  expect(complaints("(?<version>a")).toContain("Unterminated group");
  expect(complaints("(?<version>[)")).toContain("Invalid regular expression");
  const longest = `(?<version>${"a".repeat(PATTERN_CHARS_MAX - 12)})`;
  expect(complaints(longest)).toBe("");
  expect(complaints(`${longest}a`)).not.toBe("");
});
