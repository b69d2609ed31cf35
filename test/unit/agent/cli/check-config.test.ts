// `lastgood check-config` as a function: what it prints and its exit code.
import path from "node:path";
import { describe, expect, test } from "vitest";
import { checkConfig } from "../../../../agent/cli/check-config.ts";
import type { CliContext } from "../../../../agent/cli/cli-context.ts";
import { exampleConfigFile } from "../../../../agent/config/load.ts";

const FIXTURES = path.join(import.meta.dirname, "../config/fixtures");

function run(given: string, asJson: boolean): { out: string; err: string; code: number | undefined } {
  const seen = { out: "", err: "", code: undefined as number | undefined };
  const context: CliContext = {
    env: {},
    workingDir: FIXTURES,
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text),
    setExitCode: (code) => void (seen.code = code),
  };
  checkConfig({ given, asJson }, context);
  return seen;
}

describe("check-config", () => {
  test("a right file: what is in it, on stdout, code 0", () => {
    const file = exampleConfigFile();
    expect(run(file, false)).toEqual({
      out: `${file} is right: 1 app, 1 channel, 1 policy\n`,
      err: "",
      code: 0,
    });
  });

  test("mistakes: each with place and excerpt, on stderr, code 2", () => {
    const file = path.join(FIXTURES, "policy-unknown.yaml");
    const message = 'there is no such policy under policies (did you mean "standard"?)';
    const place = 'apps["com.acme.till"].channels.production.policy';
    expect(run("policy-unknown.yaml", false)).toEqual({
      out: "",
      err:
        `${file}:6:29: ${place}: ${message}\n` +
        "    6 |       production: { policy: standrad }\n" +
        "      |                             ^\n" +
        "1 mistake\n",
      code: 2,
    });
  });

  test("--json: the same for programs, on stdout", () => {
    const { out, err, code } = run("several-mistakes.yaml", true);
    const answer = JSON.parse(out) as { file: string; ok: boolean; problems: { line: number }[] };
    expect([err, code, answer.ok, answer.file]).toEqual([
      "",
      2,
      false,
      path.join(FIXTURES, "several-mistakes.yaml"),
    ]);
    expect(answer.problems.map(({ line }) => line)).toEqual([4, 6, 6, 11]);
    expect(JSON.parse(run("right.yaml", true).out)).toMatchObject({ ok: true, problems: [] });
  });
});
