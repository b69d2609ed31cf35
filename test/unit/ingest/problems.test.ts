// The catalogue of codes and its page in the documentation say the same.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  PROBLEMS,
  PROBLEM_CODES,
  REPORT_CODES,
  UNAVAILABLE_CODES,
  problem,
} from "../../../ingest/problems.ts";

const wholePage = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
const [page = ""] = wholePage.split("\n## The agent's API\n");
const rows = Array.from(page.matchAll(/^\| `(\w+)` \| (\d{3}) \| (.+?) \| (.+?) \|$/gm), (match) => ({
  code: match[1]!,
  status: Number(match[2]),
  title: match[3]!,
  remedy: match[4]!,
}));

test("docs/errors.md lists each code once, with its status and title", () => {
  expect(rows.map(({ code }) => code).toSorted()).toEqual(PROBLEM_CODES.toSorted());
  for (const { code, status, title, remedy } of rows) {
    expect({ code, ...PROBLEMS[code as keyof typeof PROBLEMS] }).toMatchObject({ code, status, title });
    expect(remedy).toMatch(/\w{3}/);
  }
});

test("docs/errors.md puts the codes into the catalogue's order and groups", () => {
  expect(rows.map(({ code }) => code)).toEqual(PROBLEM_CODES);
  expect(PROBLEM_CODES.slice(0, REPORT_CODES.length + UNAVAILABLE_CODES.length)).toEqual([
    ...REPORT_CODES,
    ...UNAVAILABLE_CODES,
  ]);
});

test("a Problem carries the catalogue's status and title and the detail of the case", () => {
  const made = problem("backlog_full", "Come back.", { retryAfterSeconds: 5 });
  expect(made.kind).toEqual({ code: "backlog_full", ...PROBLEMS.backlog_full });
  expect(made.details).toEqual({ detail: "Come back.", retryAfterSeconds: 5 });
});
