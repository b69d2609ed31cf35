// `lastgood check-config` as a function: what it prints and its exit code.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { checkConfig } from "../../../../agent/cli/check-config.ts";
import type { CliContext } from "../../../../agent/cli/cli-context.ts";
import { plainHttpWarning } from "../../../../ingest/contract/listener.ts";
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

describe("plain HTTP that other machines reach", () => {
  const listener = { section: "ingest", listen: { host: "0.0.0.0", port: 8080 } } as const;
  const tls = { certFile: "a", keyFile: "b", minVersion: "TLSv1.2" } as const;

  test.each([
    ["on any address", {}, "said"],
    ["on another address", { listen: { host: "192.0.2.1", port: 80 } }, "said"],
    ["on loopback", { listen: { host: "127.0.0.1", port: 80 } }, "not said"],
    ["with TLS", { tls }, "not said"],
    ["behind a proxy that somebody named", { plainHttp: "behind_proxy" }, "not said"],
    ["with trusted proxies", { trustedProxies: ["10.0.0.0/8"] }, "not said"],
  ] as const)("%s: %s", (_name, more, expected) => {
    const warning = plainHttpWarning({ ...listener, ...more });
    expect(warning === undefined ? "not said" : "said").toBe(expected);
  });

  test("is a hint of check-config, with what to set, and code 0", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "lg-hint-"));
    const file = path.join(folder, "lastgood.yaml");
    const text = readFileSync(exampleConfigFile(), "utf8").replace(
      "listen: 127.0.0.1:8080",
      'listen: ":8080"',
    );
    writeFileSync(file, text);
    const { err, code } = run(file, false);
    expect(code).toBe(0);
    expect(err).toMatch(
      /^hint: ingest\.listen takes PLAIN HTTP .*ingest\.tls, or ingest\.plain_http: behind_proxy/,
    );
    expect(JSON.parse(run(file, true).out)).toMatchObject({
      ok: true,
      hints: [expect.stringMatching(/PLAIN/)],
    });
    writeFileSync(
      file,
      text.replace('listen: ":8080"', 'listen: ":8080"\n  tls: { cert_file: no.crt, key_file: no.key }'),
    );
    expect(run(file, false)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/ingest\.tls\.cert_file: .*no such file/),
    });
    rmSync(folder, { recursive: true });
  });
});
