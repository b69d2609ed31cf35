// The bench of detection, as a developer runs it, shortly: it starts Prometheus and Alertmanager beside the agent, and takes
// a minute. No time is asserted.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { distPath } from "../support/run-demo.ts";

it("the bench of detection times a rollback, and the classic way on the same release", async () => {
  const flags = ["--only", "detection", "--seconds", "1", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, [distPath("test/bench/speed.js"), ...flags]);
  const { detection } = JSON.parse(stdout) as {
    detection: readonly Readonly<Record<"lastgoodMs" | "tunedMs", readonly number[]>>[];
  };
  expect(detection.map(({ lastgoodMs }) => lastgoodMs.length)).toEqual([1, 1]);
  expect(detection.map(({ tunedMs }) => tunedMs.length)).toEqual([1, 1]);
});
