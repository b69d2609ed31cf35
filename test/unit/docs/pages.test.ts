// The pages people read, held to the code: links lead somewhere, commands exist, the README's configuration
// loads, and docs/api.md lists the events there are with what each makes of a device.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { loadSettings } from "../../../agent/config/load.ts";
import { flagOf, outcomesOf, OUTCOMES } from "../../../agent/health/outcomes.ts";
import { EVENTS } from "../../../ingest/contract/device-report.ts";
import { readTable } from "../../support/markdown-table.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const markdownIn = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.posix.join(folder, name));
const pages = [".", "docs", "docs/adr", "docs/recipes", "docs/runbooks"].flatMap(markdownIn);

test("pages were found", () => {
  expect(pages).toEqual(expect.arrayContaining(["README.md", "AGENTS.md", "docs/api.md"]));
  expect(pages.length).toBeGreaterThan(15);
});

test.each(pages)("the links of %s lead to files that are there", (page) => {
  const links = Array.from(read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g), (match) => match[1]!);
  const local = links.filter((link) => !/^https?:/.test(link));
  const missing = local.filter((link) => !existsSync(path.join(ROOT, path.dirname(page), link)));
  expect(missing).toEqual([]);
});

test.each(pages)("the npm commands of %s exist", (page) => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const named = Array.from(
    read(page).matchAll(/\bnpm (?:run (?:-s )?([\w:-]+)|(start|test)\b)/g),
    (match) => match[1] ?? match[2]!,
  );
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});

test("the index of decisions lists every record", () => {
  const records = markdownIn("docs/adr").filter((file) => !file.endsWith("README.md"));
  expect(records.length).toBeGreaterThanOrEqual(9);
  for (const record of records) {
    const title = /^# (.+)$/m.exec(read(record))?.[1];
    expect(read("docs/adr/README.md")).toContain(`[${title}](${path.basename(record)})`);
  }
});

test("the README's configuration is one that Lastgood starts with", () => {
  const blocks = Array.from(read("README.md").matchAll(/```yaml\n(.*?)```/gs), (match) => match[1]!);
  expect(blocks).toHaveLength(1);
  const folder = mkdtempSync(path.join(tmpdir(), "lg-readme-"));
  try {
    const file = path.join(folder, "lastgood.yaml");
    writeFileSync(file, blocks[0]!);
    const env = { ACME_INGEST_KEY: "a-key-of-acme", OTA_SECRET: "a-secret-of-acme" };
    expect(loadSettings({ file, env })).toMatchObject({ kind: "loaded" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("docs/api.md says of each event what it makes of a device", () => {
  const table = /\n(\| event \|.*?)\n\n/s.exec(read("docs/api.md"))?.[1] ?? "";
  const rows = readTable(`# Events\n\n${table}`, "Events");
  const documented = new Map(
    rows.flatMap(([names, , makes]) =>
      Array.from(names!.matchAll(/`(\w+)`/g), ([, name]) => [name!, makes!] as const),
    ),
  );
  expect([...documented.keys()]).toEqual([...EVENTS]);
  const weighedOutcomes = ["attempted", "failed", "download_failed", "announced"];
  for (const event of EVENTS) {
    const counts = outcomesOf(flagOf(event));
    const made = OUTCOMES.filter(
      (outcome, index) => counts[index] === 1 && weighedOutcomes.includes(outcome),
    );
    const said = documented.get(event)!.replaceAll("*", "").replace("no attempt", "");
    expect([event, said.split(", ").filter(Boolean).toSorted()]).toEqual([event, made.toSorted()]);
  }
});
