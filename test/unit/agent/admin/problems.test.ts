// The codes of the agent's API and its part of docs/errors.md say the same.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ADMIN_PROBLEMS } from "../../../../agent/admin/problems.ts";
import {
  BAD_REQUEST,
  HEADERS_TOO_LARGE,
  INTERNAL_ERROR,
  METHOD_NOT_ALLOWED,
  NOT_FOUND,
  REQUEST_TIMEOUT,
} from "../../../../runtime/problem.ts";
import { readTable } from "../../../support/markdown-table.ts";

const page = readFileSync(new URL("../../../../docs/errors.md", import.meta.url), "utf8");

test("docs/errors.md lists each code of the agent's API, with status, title and remedy", () => {
  const kinds = [...Object.values(ADMIN_PROBLEMS), NOT_FOUND, METHOD_NOT_ALLOWED, INTERNAL_ERROR];
  const rows = readTable(page, "The agent's API");
  expect(rows.map((row) => row.slice(0, 3))).toEqual(
    kinds.map(({ code, status, title }) => [`\`${code}\``, String(status), title]),
  );
  for (const row of rows) expect(row[3]).toMatch(/\w{3}/);
});

test("each problem is listed under its own code", () => {
  expect(Object.values(ADMIN_PROBLEMS).map(({ code }) => code)).toEqual(Object.keys(ADMIN_PROBLEMS));
});

test("docs/errors.md lists what never becomes a request", () => {
  const rows = readTable(page, "It never became a request");
  expect(rows.map((row) => row.slice(0, 3))).toEqual(
    [BAD_REQUEST, HEADERS_TOO_LARGE, REQUEST_TIMEOUT].map(({ code, status, title }) => [
      `\`${code}\``,
      String(status),
      title,
    ]),
  );
});
