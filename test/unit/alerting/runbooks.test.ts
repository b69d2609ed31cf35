// docs/runbooks/: a page for each alert and for nothing else, with the sections that somebody looks for at night, and
// with PromQL and commands that exist.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { ALERTS } from "../../../alerting/catalogue.ts";
import { RECORDING_GROUPS } from "../../../alerting/recording-rules.ts";
import { faultsOfPromql } from "../../support/promql-lint.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const FOLDER = path.join(ROOT, "docs/runbooks");
const SECTIONS = ["What it means", "How to check", "What to do", "What it costs if ignored"];
const WORDS_MAX = 500;
const recorded = new Set(RECORDING_GROUPS.flatMap(({ rules }) => rules.map(({ record }) => record)));
const commands = readCommands();
const PROGRAMS = ["npm", "curl", "redis-cli", "df"];

/** Names that `program.command("…")` is called with; approve and reject are made in a loop. */
function readCommands(): Set<string> {
  const folder = path.join(ROOT, "agent/cli");
  const source = readdirSync(folder).map((file) => readFileSync(path.join(folder, file), "utf8"));
  const named = source.flatMap((text) =>
    [...text.matchAll(/\.command\("([a-z-]+)"\)/g)].map(([, name]) => name!),
  );
  return new Set([...named, "approve", "reject"]);
}

function blocksOf(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].flatMap(([, block]) =>
    block!.trim().split("\n"),
  );
}

/** What is wrong with a page; empty = nothing. */
function faultsOfPage(text: string): string[] {
  const faults = SECTIONS.filter((section) => !text.includes(`\n## ${section}\n\n`)).map(
    (section) => `no section ${section}`,
  );
  for (const expr of blocksOf(text, "promql")) faults.push(...faultsOfPromql(expr, recorded));
  for (const line of blocksOf(text, "sh")) {
    if (!PROGRAMS.includes(line.split(" ")[0]!)) faults.push(`what is ${line}`);
    const [, command] = /^npm run -s lastgood -- (\S+)/.exec(line) ?? [];
    if (line.startsWith("npm") && (command === undefined || !commands.has(command)))
      faults.push(`no command in ${line}`);
  }
  for (const [, command] of text.matchAll(/`lastgood ([a-z-]+)/g))
    if (!commands.has(command!)) faults.push(`no command ${command!}`);
  if (text.split(/\s+/).length > WORDS_MAX) faults.push("too long for 3 a.m.");
  return faults;
}

const pages = readdirSync(FOLDER).filter((name) => name !== "README.md");

describe("runbooks", () => {
  test("there is one for each alert, and none without", () => {
    expect(pages.toSorted()).toEqual(ALERTS.map(({ name }) => `${name}.md`));
    expect(commands.size).toBeGreaterThan(15);
  });

  test.each(pages)("%s can be followed", (page) => {
    const text = readFileSync(path.join(FOLDER, page), "utf8");
    expect(faultsOfPage(text)).toEqual([]);
    const { name, summary, severities } = ALERTS.find((alert) => `${alert.name}.md` === page)!;
    expect(text.startsWith(`# ${name}\n\n${summary}. Severity: ${severities.join(", ")}.\n`)).toBe(true);
  });

  test("bad pages are caught", () => {
    const text =
      "# OtaX\n\n```sh\nnpm run -s lastgood -- dance\nrm -rf x\n```\n\n```promql\nota_nothing\n```\n`lastgood sing`";
    expect(faultsOfPage(text)).toEqual([
      ...SECTIONS.map((section) => `no section ${section}`),
      "there is no metric ota_nothing",
      "no command in npm run -s lastgood -- dance",
      "what is rm -rf x",
      "no command sing",
    ]);
  });

  test("the index lists them all", () => {
    const index = readFileSync(path.join(FOLDER, "README.md"), "utf8");
    const rows = ALERTS.map(
      ({ name, severities, summary }) => `| [${name}](${name}.md) | ${severities.join(", ")} | ${summary} |`,
    );
    expect(index.split("\n").filter((line) => line.startsWith("| [Ota"))).toEqual(rows);
  });

  test("links lead to pages that are there", () => {
    for (const page of [...pages, "README.md"]) {
      const text = readFileSync(path.join(FOLDER, page), "utf8");
      for (const [, link] of text.matchAll(/\]\(([^)#]+)/g))
        expect(() => readFileSync(path.join(FOLDER, link!)), `${page}: ${link!}`).not.toThrow();
    }
  });
});
