// Guesses for mistyped names: near ones are found, far ones are not offered.
import { describe, expect, test } from "vitest";
import { closestName, didYouMean } from "../../../runtime/closest-name.ts";

describe("closestName", () => {
  test.each([
    ["shard", ["shards", "agent"], "shards"],
    ["dataDir", ["data_dir"], "data_dir"],
    ["fasle_rolback_budgte", ["false_rollback_budget"], undefined],
    ["false_rolback_budgte", ["false_rollback_budget"], "false_rollback_budget"],
    ["polciy", ["policy", "police"], "policy"],
    ["zebra", ["standard"], undefined],
    ["ab", ["xy"], undefined],
    ["x", [], undefined],
  ])("%s among %o is %s", (name, known, expected) => {
    expect(closestName(name, known)).toBe(expected);
  });
});

test("didYouMean is empty without a guess", () => {
  expect([didYouMean("shard", ["shards"]), didYouMean("zebra", ["shards"])]).toEqual([
    ' (did you mean "shards"?)',
    "",
  ]);
});
