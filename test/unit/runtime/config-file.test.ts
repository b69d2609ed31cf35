// Reading a configuration file: places, excerpts, variables, and that no secret gets out.
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { YAML_TOO_DEEP } from "../../../runtime/yaml-depth.ts";
import { formatProblems, readConfigFile } from "../../../runtime/config-file.ts";
import type { ConfigProblem, Environment } from "../../../runtime/config-file.ts";

const schema = z.strictObject({
  name: z.string().min(3).optional(),
  secret: z.string().min(8).optional(),
  url: z.string().optional(),
  list: z.array(z.strictObject({ token: z.string().min(8), size: z.number().optional() })).optional(),
});

function write(text: string): string {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "lg-file-")), "c.yaml");
  writeFileSync(file, text);
  return file;
}

function read(text: string, env: Environment = {}): ReturnType<typeof readConfigFile<typeof schema>> {
  return readConfigFile({ file: write(text), schema, env });
}

function problemsOf(text: string, env: Environment = {}): readonly ConfigProblem[] {
  const result = read(text, env);
  return result.kind === "invalid" ? result.problems : [];
}

describe("excerpt and format", () => {
  test("file, place, path, message, the line and a caret under the place", () => {
    const [problem] = problemsOf("# a comment\nname: ab\n");
    expect(formatProblems([{ ...problem!, file: "c.yaml" }])).toBe(
      ["c.yaml:2:7: name: must have at least 3 characters", "    2 | name: ab", "      |       ^"].join("\n"),
    );
  });

  test("a long line is cut around the caret", () => {
    const [problem] = problemsOf(`{ url: "${"x".repeat(500)}", name: ab }\n`);
    const [line, caret] = problem!.excerpt.split("\n") as [string, string];
    expect(problem!.column).toBe(518);
    expect(line.length).toBeLessThan(140);
    expect(line.slice(caret.indexOf("^")).startsWith("ab }")).toBe(true);
  });

  test("several mistakes come in the order of the file", () => {
    expect(problemsOf("nam: abc\nurl: 1\nname: a\n").map(({ line }) => line)).toEqual([1, 2, 3]);
  });

  test("a mistake in an alias is shown where the alias stands", () => {
    const [problem] = problemsOf("url: &x ab\nname: *x\n");
    expect([problem!.line, problem!.column]).toEqual([2, 7]);
  });

  test("line ends of Windows do not move a place", () => {
    const [problem] = problemsOf("url: abc\r\nname: ab\r\n");
    expect([problem!.line, problem!.column, problem!.excerpt]).toEqual([
      2,
      7,
      "    2 | name: ab\n      |       ^",
    ]);
  });
});

describe("the file itself", () => {
  test("is not there", () => {
    const result = readConfigFile({ file: "/nowhere/c.yaml", schema, env: {} });
    expect(result).toEqual({
      kind: "invalid",
      problems: [
        {
          file: "/nowhere/c.yaml",
          line: 1,
          column: 1,
          path: "",
          message: "there is no such file: check the path given",
          excerpt: "",
        },
      ],
    });
  });

  test("is a folder", () => {
    const result = readConfigFile({ file: tmpdir(), schema, env: {} });
    expect(JSON.stringify(result)).toContain("this is a folder: name the file in it");
  });

  test.skipIf(process.getuid?.() === 0)("may not be read", () => {
    const file = write("name: abc\n");
    chmodSync(file, 0o000);
    expect(JSON.stringify(readConfigFile({ file, schema, env: {} }))).toContain("may not read the file");
  });

  test("nests without end", () => {
    const problems = problemsOf(`# first\nlist: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n`);
    expect(problems).toMatchObject([{ line: 2, column: 70, path: "", message: YAML_TOO_DEEP, excerpt: "" }]);
  });

  test("holds aliases that unfold without end", () => {
    const levels = Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}]`);
    const [problem] = problemsOf(`a0: &a0 [1]\n${levels.join("\n")}\n`);
    expect(problem!.message).toBe("aliases (*name) unfold too often: write the values out");
  });
});

describe("variables", () => {
  test("are filled in from the environment, with defaults, several in one value", () => {
    const result = read('url: "${HOST}:${PORT:-80}/${EMPTY:-none}"\n', { HOST: "h", EMPTY: "" });
    expect(result).toEqual({ kind: "loaded", config: { url: "h:80/none" } });
  });

  test("$${ stands for itself", () => {
    expect(read("url: $${HOST}\n")).toEqual({ kind: "loaded", config: { url: "${HOST}" } });
  });

  test("can't change the structure of the file, nor the type of a value", () => {
    const env = { X: "abc\nname: injected", Y: "{ a: 1 }", Z: "12" };
    expect(read("url: ${X}\n", env)).toEqual({ kind: "loaded", config: { url: env.X } });
    expect(read("url: ${Y}\n", env)).toEqual({ kind: "loaded", config: { url: env.Y } });
    expect(read("url: ${Z}\n", env)).toEqual({ kind: "loaded", config: { url: "12" } });
  });

  test("are not filled in twice", () => {
    const env = { A: "${B}", B: "no" };
    expect(read("url: ${A}\n", env)).toEqual({ kind: "loaded", config: { url: "${B}" } });
  });

  test("that are missing are one problem each, at their place, and not a second one of the schema", () => {
    const problems = problemsOf("name: ${A}\nlist:\n  - { token: ab }\n  - { token: '${B}' }\n");
    expect(problems.map(({ line, column, path, message }) => [line, column, path, message])).toEqual([
      [1, 7, "name", "the environment variable A is not set: set it, or write ${A:-default}"],
      [3, 14, "list[0].token", "must have at least 8 characters"],
      [4, 14, "list[1].token", "the environment variable B is not set: set it, or write ${B:-default}"],
    ]);
  });

  test("without quotes inside braces are not YAML, and the message says what to do", () => {
    const [problem] = problemsOf("list: [{ token: ${B} }]\n");
    expect(problem!.message).toBe('inside { } and [ ] a value with ${NAME} needs quotes: "${NAME}"');
  });

  test("in comments do not count", () => {
    expect(read("# ${NOPE}\nname: abc # ${NOPE}\n").kind).toBe("loaded");
  });
});

describe("secrets", () => {
  test("from the environment are in no problem", () => {
    const problems = problemsOf("secret: ${S}\nname: ${S}\nlist: ${S}\n", { S: "hunter" });
    expect(problems.map(({ path }) => path)).toEqual(["secret", "list"]);
    expect(formatProblems(problems)).not.toContain("hunter");
  });

  test("written into the file are covered in excerpts, references to variables are not", () => {
    const text =
      "list: [{ token: hunter, size: x }, { token: '${T}', size: y }]\nsecret: &s hunter\nurl: [*s]\n";
    const problems = problemsOf(text, { T: "long enough" });
    expect(problems[0]!.excerpt).toContain("{ token: ******, size: x }, { token: '${T}', size: y }");
    expect(formatProblems(problems)).not.toContain("hunter");
  });

  test("behind an alias are covered where they are written", () => {
    const problems = problemsOf("unknown: &s hunter\nsecret: *s\n");
    expect(problems).toHaveLength(2);
    expect(formatProblems(problems)).not.toContain("hunter");
  });

  test("behind an alias of a list that holds itself are covered, and the list is refused", () => {
    const problems = problemsOf("unknown: &a [hunter, *a, *a]\nsecret: *a\n");
    expect(problems.length).toBeGreaterThan(0);
    expect(formatProblems(problems)).not.toContain("hunter");
  });

  test("in a file that is not YAML are covered too", () => {
    for (const text of [
      "secret: hunter: x\n",
      "list: [{ token: hunter }\n",
      "secret: 'hunter\n",
      "\tsecret: hunter\n",
    ]) {
      const problems = problemsOf(text);
      expect(problems.length).toBeGreaterThan(0);
      expect(formatProblems(problems)).not.toContain("hunter");
    }
  });

  test("in the password of a URL are covered", () => {
    const [problem] = problemsOf("{ url: 'redis://me:hunter@h:1', nam: x }\n");
    expect(problem!.excerpt).toContain("redis://me:******@h:1");
  });
});

describe("what only a look outside can tell", () => {
  const inspect = (): { path: string[]; message: string }[] => [
    { path: ["url"], message: "nobody answers there" },
    { path: ["name"], message: "is taken" },
  ];

  test("has its place, in the order of the file", () => {
    const file = write("name: abc\nurl: here\n");
    const result = readConfigFile({ file, schema, env: {}, inspect });
    const problems = result.kind === "invalid" ? result.problems : [];
    expect(problems.map(({ line, column, message }) => [line, column, message])).toEqual([
      [1, 7, "is taken"],
      [2, 6, "nobody answers there"],
    ]);
  });

  test("is not asked about a file that is wrong in itself", () => {
    const result = readConfigFile({ file: write("name: ab\n"), schema, env: {}, inspect });
    expect(result).toMatchObject({ problems: [{ message: "must have at least 3 characters" }] });
  });

  test("a file about which there is nothing to say is loaded", () => {
    const file = write("name: abc\n");
    expect(readConfigFile({ file, schema, env: {}, inspect: () => [] }).kind).toBe("loaded");
  });
});
