// What `lastgood start` prints: which lines of children are shown, the curl, and the last line.
import { describe, expect, test } from "vitest";
import type { CliContext } from "../../../../agent/cli/cli-context.ts";
import { createStartScreen, exampleCurl } from "../../../../agent/cli/start-screen.ts";
import { exampleConfigFile, loadSettings } from "../../../../agent/config/load.ts";
import type { Settings } from "../../../../agent/config/schema.ts";
import type { Environment } from "../../../../runtime/config-file.ts";

function screenOf(verbose: boolean) {
  const seen = { out: "", err: "" };
  const context: CliContext = {
    env: {},
    workingDir: "/",
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text),
    setExitCode: () => {},
  };
  return { seen, screen: createStartScreen(context, { verbose }) };
}

function settingsWith(env: Environment): Settings {
  const result = loadSettings({ file: exampleConfigFile(), env });
  if (result.kind === "invalid") throw new Error("the example is broken");
  return result.config;
}

describe("lines of children", () => {
  const line = (level: string): string => JSON.stringify({ level, msg: `a ${level}` });

  test("only warnings and worse, unless verbose", () => {
    const { seen, screen } = screenOf(false);
    for (const level of ["debug", "info", "warn", "error"]) screen.onChildLine("agent", line(level));
    expect(seen.err).toBe("agent warn: a warn\nagent error: a error\n");
    const verbose = screenOf(true);
    verbose.screen.onChildLine("agent", line("debug"));
    expect(verbose.seen.err).toBe("agent debug: a debug\n");
  });

  test("while stopping only errors: losing connections is what is expected then", () => {
    const { seen, screen } = screenOf(false);
    screen.onEvent({ kind: "stopping", name: "ingest" });
    screen.onChildLine("agent", line("warn"));
    screen.onChildLine("agent", line("error"));
    expect(seen.err).toBe("agent error: a error\n");
  });
});

test("stopping is one line, which names who had to be killed", () => {
  const { seen, screen } = screenOf(false);
  screen.onEvent({ kind: "stopping", name: "ingest" });
  screen.onEvent({ kind: "stopped", name: "ingest", how: "stopped" });
  screen.onEvent({ kind: "stopping", name: "agent" });
  screen.onEvent({ kind: "stopped", name: "agent", how: "killed" });
  screen.finishStopping();
  expect(seen.out).toBe(
    "stopping ingest … agent … stopped, nothing lost (agent did not stop in time and had to be killed)\n",
  );
});

describe("the curl", () => {
  const curlWith = (env: Environment, configText: string): string =>
    exampleCurl({
      settings: settingsWith(env),
      reportsUrl: "http://127.0.0.1:1/v1/reports",
      configText,
      env,
    });

  test("has the key when it stands in the file", () => {
    expect(curlWith({}, 'ingest_keys: ["example-ingest-key"]')).toBe(
      [
        "  curl -sS http://127.0.0.1:1/v1/reports \\",
        "    -H 'Authorization: Bearer example-ingest-key' \\",
        "    -H 'Content-Type: application/json' \\",
        `    -d '{"app":"com.acme.till","channel":"production","device":"till-0001","version":"1.4.2","event":"confirmed"}'`,
      ].join("\n"),
    );
  });

  test("names the variable when the key came from the environment, and quotes what a shell would read", () => {
    const env = { LASTGOOD_INGEST_KEY: "it's secret" };
    const named = curlWith(env, 'ingest_keys: ["${LASTGOOD_INGEST_KEY:-x}"]');
    expect(named).toContain('"Authorization: Bearer $LASTGOOD_INGEST_KEY"');
    expect(named).not.toContain("secret");
    expect(curlWith(env, "ingest_keys: [it's secret]")).toContain(
      String.raw`'Authorization: Bearer it'\''s secret'`,
    );
  });
});
