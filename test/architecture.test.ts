// The shape of the program as a test: every rule of test/support/architecture-rules.ts on every source
// file. It fails as well when it read too little, or when a rule lets a bad sample through.
import { describe, expect, test } from "vitest";
import { RULES } from "./support/architecture-rules.ts";
import type { Rule, Sample } from "./support/architecture-rules.ts";
import { ROOMS, parseSource, readSources } from "./support/source-files.ts";
import type { Room, SourceFile } from "./support/source-files.ts";

const FILES_AT_LEAST: Readonly<Record<Room, number>> = {
  agent: 50,
  ingest: 15,
  runtime: 18,
  dashboards: 21,
  alerting: 0,
  test: 30,
};

const sources = readSources();

function violations(rule: Rule, files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => rule.appliesTo(path))
    .flatMap((file) => rule.find(file).map((what) => `${file.path} ${what}. ${rule.name}: ${rule.reason}.`));
}

function violationsOf(rule: Rule, [path, text]: Sample): string[] {
  return violations(rule, [parseSource(path, text)]);
}

test.each(ROOMS)("the sources of %s were read", (room) => {
  const read = sources.filter(({ path }) => path.startsWith(`${room}/`));
  expect(read.length).toBeGreaterThanOrEqual(FILES_AT_LEAST[room]);
});

test("imports were read, and relative ones lead to files that were read", () => {
  const paths = new Set(sources.map(({ path }) => path));
  const imported = sources.flatMap(({ imports }) => imports).filter((one) => /\.(ts|mjs)$/.test(one));
  expect(imported.length).toBeGreaterThan(250);
  expect(
    [...new Set(imported)].filter((one) => !paths.has(one) && !/^(vitest\.|docs\/recipes\/)/.test(one)),
  ).toEqual([]);
});

test("every rule has a name of its own and says why it is there", () => {
  expect(new Set(RULES.map(({ name }) => name)).size).toBe(RULES.length);
  for (const { reason } of RULES) expect(reason.split(" ").length).toBeGreaterThan(8);
});

describe.each(RULES)("$name", (rule) => {
  test("holds in every file it is for", () => {
    const files = sources.filter(({ path }) => rule.appliesTo(path));
    expect(files.length).toBeGreaterThanOrEqual(rule.filesAtLeast);
    expect(violations(rule, files)).toEqual([]);
  });

  test.each(rule.bad)("catches a bad %s", (...sample) => {
    expect(violationsOf(rule, sample)).not.toEqual([]);
    expect(violationsOf(rule, sample)[0]).toContain(rule.reason);
  });

  test.each(rule.good)("lets a good %s through", (...sample) => {
    expect(violationsOf(rule, sample)).toEqual([]);
  });
});
