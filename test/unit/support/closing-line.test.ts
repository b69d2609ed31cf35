// The closing line counts every test once, and lets nothing that went wrong look like a pass.
import { expect, test } from "vitest";
import { closingLineOf } from "../../support/closing-line.ts";
import type { TestedModule } from "../../support/closing-line.ts";

type State = "passed" | "failed" | "skipped" | "pending";

function moduleWith(states: readonly State[], errors: readonly unknown[] = []): TestedModule {
  const cases = states.map((state) => ({ result: () => ({ state }) }));
  return { children: { allTests: () => cases }, errors: () => errors };
}

test("sums over files", () => {
  const modules = [moduleWith(["passed", "passed", "skipped"]), moduleWith(["failed", "passed"])];
  expect(closingLineOf(modules, [])).toBe("3 passed, 1 failed, 1 skipped");
});

test("a file that does not load, an unhandled error and a test that never ended are failures", () => {
  expect(closingLineOf([moduleWith([], ["cannot be loaded"])], [])).toBe("0 passed, 1 failed, 0 skipped");
  expect(closingLineOf([moduleWith(["passed"])], ["unhandled"])).toBe("1 passed, 1 failed, 0 skipped");
  expect(closingLineOf([moduleWith(["pending"])], [])).toBe("0 passed, 1 failed, 0 skipped");
});
