// `lastgood token`: what it prints is a token and a line that the configuration takes, for which that token is right.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import type { CliContext } from "../../../../agent/cli/cli-context.ts";
import { TOKEN_DAYS_MAX, printToken, registerToken } from "../../../../agent/cli/token.ts";
import type { TokenOptions } from "../../../../agent/cli/token.ts";
import { exampleConfigFile, loadSettings } from "../../../../agent/config/load.ts";
import { digestOfToken } from "../../../../agent/config/operators.ts";

function contextOf() {
  const seen = { out: "", err: "", code: undefined as number | undefined };
  const context: CliContext = {
    env: {},
    workingDir: tmpdir(),
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text),
    setExitCode: (code) => void (seen.code = code),
  };
  return { seen, context };
}

function print(name: string, options: TokenOptions, token = "lgo_a-token-of-ana") {
  const { seen, context } = contextOf();
  printToken({ name, token, options, nowMs: Date.UTC(2027, 0, 1, 12) }, context);
  return seen;
}

function loadWith(line: string) {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-token-"));
  try {
    const example = readFileSync(exampleConfigFile(), "utf8");
    const file = path.join(folder, "lastgood.yaml");
    writeFileSync(file, example.replace(/^ {2}listen: 127\.0\.0\.1:8082$/m, `$&\n  operators:\n  ${line}`));
    return loadSettings({ file, env: {} });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("lastgood token", () => {
  test.each(["ana", "true", 'o\'neil, "the" admin', "12", "ünï: {x}"])(
    "the line of %s is one that the configuration takes",
    (name) => {
      const { out, err, code } = print(name, { role: "admin", days: "30" });
      expect([err, code]).toEqual(["", undefined]);
      const line = out.split("\n").find((text) => text.startsWith("  - "))!;
      expect(line).not.toContain("a-token-of-ana");
      expect(loadWith(line)).toMatchObject({
        kind: "loaded",
        config: {
          agent: {
            operators: [
              {
                name,
                role: "admin",
                tokenSha256: digestOfToken("lgo_a-token-of-ana"),
                expiresAtMs: Date.UTC(2027, 1, 1),
              },
            ],
          },
        },
      });
    },
  );

  test("--json: the same for programs", () => {
    const { out } = print("ci", { role: "viewer", json: true });
    const token_sha256 = digestOfToken("lgo_a-token-of-ana");
    expect(JSON.parse(out)).toEqual({
      token: "lgo_a-token-of-ana",
      token_sha256,
      operator: { name: "ci", role: "viewer", token_sha256 },
    });
  });

  test.each([
    ["1", undefined],
    [String(TOKEN_DAYS_MAX), undefined],
    ["0", 1],
    [String(TOKEN_DAYS_MAX + 1), 1],
    ["1.5", 1],
    ["soon", 1],
  ])("--days %s: exit code %s", (days, code) => {
    expect(print("ana", { role: "viewer", days }).code).toBe(code);
  });

  test("each is another one, long enough that nobody guesses it", async () => {
    const tokens = new Set<string>();
    for (let count = 0; count < 20; count += 1) {
      const { seen, context } = contextOf();
      const program = new Command();
      registerToken(program, context);
      await program.parseAsync(["token", "ana", "--json"], { from: "user" });
      tokens.add((JSON.parse(seen.out) as { token: string }).token);
    }
    expect(tokens.size).toBe(20);
    for (const token of tokens) expect(token).toMatch(/^lgo_[A-Za-z0-9_-]{43}$/);
  });
});
