// Every code that Lastgood can give as a reason stands in docs/reasons.md with a meaning and a remedy, and
// the page names no code that there is not.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { VERDICT_KIND_OF, VERDICT_REASONS } from "../../../agent/judge/verdict.ts";
import { DECISION_REASONS, GUARDS } from "../../../agent/policy/decision.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../../../agent/rollback/outcome.ts";
import { readTable } from "../../support/markdown-table.ts";

const page = readFileSync(new URL("../../../docs/reasons.md", import.meta.url), "utf8");

describe.each([
  { heading: "Why a verdict is what it is", codes: VERDICT_REASONS, columns: 4 },
  { heading: "Why a decision is what it is", codes: DECISION_REASONS, columns: 4 },
  { heading: "Guards", codes: GUARDS, columns: 4 },
  { heading: "Outcomes of a rollback", codes: ROLLBACK_OUTCOME_KINDS, columns: 3 },
])("$heading", ({ heading, codes, columns }) => {
  const rows = readTable(page, heading);

  test("the page lists exactly the codes that there are, each once", () => {
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map((row) => row[0]!).toSorted()).toEqual(codes.map((code) => `\`${code}\``).toSorted());
  });

  test("each row says something in every column", () => {
    for (const row of rows) {
      expect(row).toHaveLength(columns);
      for (const cell of row) expect(cell).toMatch(/\w{2}/);
    }
  });
});

test("each reason of a verdict stands beside the kind of verdict that it belongs to", () => {
  const rows = readTable(page, "Why a verdict is what it is").map(([code, kind]) => [
    code!.slice(1, -1),
    kind,
  ]);
  expect(Object.fromEntries(rows)).toEqual(VERDICT_KIND_OF);
});

test("each reason to hold back stands beside exactly one guard, and the others beside none", () => {
  const decisions = readTable(page, "Why a decision is what it is");
  const held = decisions.flatMap(([code, kind]) => (kind === "hold" ? [code!] : []));
  const guarded = readTable(page, "Guards").flatMap((row) => row[2]!.split(", "));
  expect(guarded.toSorted()).toEqual(held.toSorted());
});
