// JSON of strangers: right values come through whatever their texts hold, at most so deep.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JSON_DEPTH_MAX, readJson } from "../../../runtime/json.ts";

const listsOf = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const objectsOf = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

describe("depth", () => {
  test.each([
    ["lists", listsOf],
    ["objects", objectsOf],
    ["both in turn", (depth: number) => `${'[{"a":'.repeat(depth / 2)}1${"}]".repeat(depth / 2)}`],
  ])("of %s: the limit passes, one more does not", (_name, nested) => {
    expect(readJson(nested(JSON_DEPTH_MAX)).kind).toBe("value");
    for (const more of [JSON_DEPTH_MAX + 2, 1_000_000])
      expect(readJson(nested(more))).toEqual({
        kind: "malformed",
        detail: `Lists and objects may be ${JSON_DEPTH_MAX} deep in one another.`,
      });
  });

  test("one more than the limit is too deep, wherever it stands", () => {
    const tooDeep = listsOf(JSON_DEPTH_MAX + 1);
    expect(readJson(tooDeep).kind).toBe("malformed");
    expect(readJson(`[1, ${listsOf(JSON_DEPTH_MAX)}]`).kind).toBe("malformed");
    expect(readJson(String.raw`{"a":"\"[","b":${tooDeep}}`).kind).toBe("malformed");
  });

  test("who reads what nests by its form gives another limit", () => {
    const limit = 4 * JSON_DEPTH_MAX;
    expect(readJson(listsOf(limit), limit).kind).toBe("value");
    expect(readJson(listsOf(limit + 1), limit)).toEqual({
      kind: "malformed",
      detail: `Lists and objects may be ${limit} deep in one another.`,
    });
  });

  test("nor does it pass between long texts, where brackets are few", () => {
    const between = (depth: number): string =>
      `${`["${"x".repeat(40)}",`.repeat(depth - 1)}[]${"]".repeat(depth - 1)}`;
    expect(readJson(between(JSON_DEPTH_MAX)).kind).toBe("value");
    for (const more of [JSON_DEPTH_MAX + 1, 100_000])
      expect(readJson(between(more))).toMatchObject({ detail: expect.stringMatching(/64 deep/) });
  });

  test("many beside one another are not deep", () => {
    const wide = Array.from({ length: 10_000 }, () => [{}]);
    expect(readJson(JSON.stringify(wide))).toEqual({ kind: "value", value: wide });
  });

  test("brackets in a text, also behind quotes that are escaped, are no depth", () => {
    for (const text of [
      "[".repeat(1_000),
      '"'.repeat(9) + "[".repeat(1_000),
      "\\".repeat(7) + "{".repeat(1_000),
    ])
      expect(readJson(JSON.stringify({ [text]: text }))).toEqual({ kind: "value", value: { [text]: text } });
  });
});

test("what nests less deep than the limit is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), (text) => {
      expect(readJson(text)).toEqual({ kind: "value", value: JSON.parse(text) as unknown });
    }),
  );
});

test("what is no JSON says where", () => {
  expect(readJson('{"a": ')).toMatchObject({
    kind: "malformed",
    detail: expect.stringMatching(/^Not JSON: ./),
  });
});
