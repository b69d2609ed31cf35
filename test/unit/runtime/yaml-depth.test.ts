// Depth of YAML is told before it is parsed, in each of its forms, at the limit and far beyond it.
import { parse } from "yaml";
import { describe, expect, test } from "vitest";
import { YAML_DEPTH_MAX, tooDeepAt } from "../../../runtime/yaml-depth.ts";

const indented = (depth: number): string =>
  Array.from({ length: depth }, (_, level) => `${" ".repeat(level)}a:`).join("\n");

describe("depth", () => {
  test.each([
    ["lists in brackets", (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}\n`],
    ["mappings in braces", (depth: number) => `${"{a: ".repeat(depth)}1${"}".repeat(depth)}\n`],
    ["mappings by indentation", (depth: number) => `${indented(depth)} 1\n`],
    ["lists on one line", (depth: number) => `${"- ".repeat(depth)}1\n`],
    ["both in turn", (depth: number) => `${"[{a: ".repeat(depth / 2)}1${"}]".repeat(depth / 2)}\n`],
  ])("of %s: the limit passes, more does not", (_name, nested) => {
    expect(tooDeepAt(nested(YAML_DEPTH_MAX))).toBeUndefined();
    expect(parse(nested(YAML_DEPTH_MAX))).toBeDefined();
    for (const more of [YAML_DEPTH_MAX + 2, 1_000, 3_000])
      expect(tooDeepAt(nested(more))).toBeTypeOf("number");
  });

  test("is told at the first list that is too deep", () => {
    expect(tooDeepAt(`a: ${"[".repeat(YAML_DEPTH_MAX)}`)).toBe(3 + YAML_DEPTH_MAX - 1);
    expect(tooDeepAt(`a: ${"[".repeat(YAML_DEPTH_MAX - 1)}`)).toBeUndefined();
  });

  test("many beside one another, and brackets in texts and comments, are not deep", () => {
    expect(tooDeepAt("- [{}]\n".repeat(5_000))).toBeUndefined();
    const many = "[".repeat(1_000);
    expect(tooDeepAt(`a: "${many}"\nb: '${many}' # ${many}\nc: |\n  ${many}\n`)).toBeUndefined();
  });
});
