// Log lines of a child as people read them on the terminal.
import { describe, expect, test } from "vitest";
import { humanLogLine, isAtLeast } from "../../../runtime/log-line.ts";

describe("humanLogLine", () => {
  test.each([
    ["ERROR", "error"],
    ["eror", "error"],
    ["WARN", "warn"],
    ["warning", "warn"],
    ["critical", "fatal"],
    ["DEBUG", "debug"],
    ["strange", "error"],
  ])("level=%s, as some programs write it, is %s", (told, level) => {
    const line = `time=2026-01-02T03:04:05Z level=${told} source=main.go:639 msg="Error loading config"`;
    expect(humanLogLine("prometheus", line)).toMatchObject({ level, message: "Error loading config" });
  });

  test.each(["Error: the log level=foo is not known", `ts=${"a".repeat(100_000)} level=info`])(
    "a line that only looks a little like logfmt, or is endless, is shown as it is",
    (line) => {
      expect(humanLogLine("a", line)).toEqual({ level: "error", text: `a: ${line}`, message: line });
    },
  );

  test("a line of Prometheus, Alertmanager or Grafana is told in the same form", () => {
    const line =
      'ts=2026-01-02T03:04:05.678Z caller=main.go:823 level=warn component="rule manager" msg="Received \\"SIGTERM\\"" err="open x: no such file"';
    expect(humanLogLine("prometheus", line)).toEqual({
      level: "warn",
      text: '03:04:05 prometheus warn: Received "SIGTERM": open x: no such file (component=rule manager)',
      message: 'Received "SIGTERM": open x: no such file',
    });
    expect(humanLogLine("grafana", "logger=http t=2026-01-02T03:04:05Z level=info msg=Listen").text).toBe(
      "03:04:05 grafana info: Listen (logger=http)",
    );
  });

  test("time, name, level, message, and what else the line holds", () => {
    const line = JSON.stringify({
      level: "warn",
      time: "2026-01-02T03:04:05.678Z",
      pid: 1,
      name: "agent",
      role: "worker",
      n: 2,
      msg: "lost Redis",
    });
    expect(humanLogLine("agent", line)).toEqual({
      level: "warn",
      text: "03:04:05 agent warn: lost Redis (role=worker, n=2)",
      message: "lost Redis",
    });
  });

  test("the cause is added unless the message has it", () => {
    const line = (msg: string | undefined): string =>
      JSON.stringify({ level: "error", msg, err: { message: "boom", stack: "…" } });
    expect(humanLogLine("a", line("failed")).message).toBe("failed: boom");
    expect(humanLogLine("a", line("boom happened")).message).toBe("boom happened");
    expect(humanLogLine("a", line(undefined)).message).toBe("boom");
  });

  test.each(["Error: plain text", "{ not json", ""])("%o, which is no JSON, is shown as an error", (line) => {
    expect(humanLogLine("a", line)).toEqual({ level: "error", text: `a: ${line}`, message: line });
  });
});

test("levels have an order", () => {
  expect([isAtLeast("warn", "warn"), isAtLeast("info", "warn"), isAtLeast("fatal", "error")]).toEqual([
    true,
    false,
    true,
  ]);
});

test("what somebody wrote into a message does not reach the terminal as a command", () => {
  const line = JSON.stringify({ level: "warn", msg: "frozen by \u001b]0;PWN\u0007ana", reason: "\u202ered" });
  expect(humanLogLine("agent", line).text).toBe("agent warn: frozen by ?]0;PWN?ana (reason=?red)");
  expect(humanLogLine("agent", "a\ttrace\nof \u001b[31mtwo lines").text).toBe(
    "agent: a\ttrace\nof ?[31mtwo lines",
  );
});
