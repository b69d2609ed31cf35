// Strata: which values of what a device tells stay, and the text of them.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  NO_STRATUM,
  STRATUM_FIELDS,
  formatStratum,
  mergeStratum,
  parseStratum,
} from "../../../../agent/health/stratum.ts";
import type { Stratum, StratumField } from "../../../../agent/health/stratum.ts";
import { toReport } from "./memory-shard.ts";
import type { Told } from "./memory-shard.ts";

type Fields = Pick<Told, StratumField>;

function merge(known: Stratum, fields: Fields, asked: readonly StratumField[] = STRATUM_FIELDS): Stratum {
  return mergeStratum(known, toReport({ event: "active", ...fields }), asked);
}

it("keeps the stored order of fields", () => {
  expect(STRATUM_FIELDS).toEqual(["platform", "model", "os_version", "native_version"]);
  expect(NO_STRATUM).toEqual(["", "", "", ""]);
});

describe("mergeStratum", () => {
  it("adds what was not told before", () => {
    const android = merge(NO_STRATUM, { platform: "android" });
    expect(android).toEqual(["android", "", "", ""]);
    const all = { model: "T1", os_version: "14", native_version: "7" };
    expect(merge(android, all)).toEqual(["android", "T1", "14", "7"]);
  });

  it("of different values the first by its text stays: 10 is before 9", () => {
    const nine = merge(NO_STRATUM, { os_version: "9" });
    expect(merge(nine, { os_version: "10" })).toEqual(["", "", "10", ""]);
    const ten = merge(NO_STRATUM, { os_version: "10" });
    expect(merge(ten, { os_version: "9" })).toBe(ten);
  });

  it("leaves the same object where nothing is new, an empty value, or a field that is not asked for", () => {
    const known = merge(NO_STRATUM, { platform: "android", model: "T1" });
    expect(merge(known, {})).toBe(known);
    expect(merge(known, { platform: "android", model: "T2" })).toBe(known);
    expect(merge(known, { platform: "", os_version: "" })).toBe(known);
    expect(merge(NO_STRATUM, { platform: "android", model: "T1" }, ["os_version"])).toBe(NO_STRATUM);
    expect(merge(NO_STRATUM, { platform: "android", model: "T1" }, ["model"])).toEqual(["", "T1", "", ""]);
    expect(merge(NO_STRATUM, { platform: "android" }, [])).toBe(NO_STRATUM);
  });

  it("does not change what it is given", () => {
    const known = Object.freeze(["b", "", "", ""]);
    expect(merge(known, { platform: "a" })).toEqual(["a", "", "", ""]);
    expect(known).toEqual(["b", "", "", ""]);
  });
});

/** Sorted by UTF-8 or by code point, the last two would change places. */
const value = fc.constantFrom("", "a", "b", "10", "9", "B", "é", "e\u0301", "__proto__", '"', "\uFFFD", "😀");
const fields: fc.Arbitrary<Fields> = fc.record(
  { platform: value, model: value, os_version: value, native_version: value },
  { requiredKeys: [] },
);

test("the stratum does not depend on the order or the repetition of reports", () => {
  fc.assert(
    fc.property(fc.array(fields, { maxLength: 8 }), (told) => {
      const stratum = told.reduce((known, each) => merge(known, each), NO_STRATUM);
      const reversed = [...told.toReversed(), ...told].reduce(
        (known, each) => merge(known, each),
        NO_STRATUM,
      );
      expect(reversed).toEqual(stratum);
      const least = STRATUM_FIELDS.map((field) => {
        const values = told.map((each) => each[field] ?? "").filter((each) => each !== "");
        return values.reduce((left, right) => (left < right ? left : right), values[0] ?? "");
      });
      expect(stratum).toEqual(least);
      expect(parseStratum(formatStratum(stratum))).toEqual(stratum);
    }),
  );
});
