// The first five minutes: the example configuration, and the curl that the start prints, pasted into a
// shell. start.test.ts has the life of the processes; here it is about what a newcomer types.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { sleep } from "../../runtime/clock.ts";
import { freePorts } from "../simulation/demo-stack.ts";
import { distPath } from "../support/run-demo.ts";

const EXAMPLE = new URL("../../lastgood.example.yaml", import.meta.url);
const PORTS_OF_EXAMPLE = ["8080", "8081", "8082"] as const;
const WAIT_MS_MAX = 60_000;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** The example as it is, but for its ports: the test can run beside a Lastgood in use. */
async function copyExample(): Promise<{ file: string; missing: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), "lastgood-example-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const ports = await freePorts(PORTS_OF_EXAMPLE.length);
  let text = readFileSync(EXAMPLE, "utf8");
  const missing = PORTS_OF_EXAMPLE.filter((port) => !text.includes(`127.0.0.1:${port}`));
  PORTS_OF_EXAMPLE.forEach((port, index) => {
    text = text.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${ports[index]}`);
  });
  const file = join(folder, "lastgood.yaml");
  writeFileSync(file, text);
  return { file, missing };
}

/** Starts it and returns what it prints until it is up. */
async function start(file: string): Promise<string> {
  const child = spawn(process.execPath, [
    distPath("agent/cli/lastgood.js"),
    "start",
    "--no-observability",
    "--config",
    file,
  ]);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => void (output += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => void (output += chunk));
  const ended = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  cleanups.push(async () => {
    child.kill("SIGINT");
    await ended;
  });
  await until("the summary", () => {
    if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
    return output.includes("Ctrl-C");
  });
  return output;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS_MAX;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${WAIT_MS_MAX} ms for ${what}`);
    await sleep(50);
  }
}

/** The lines of the curl command, as a person would mark and copy them. */
function printedCurl(output: string): string {
  const lines = output.split("\n");
  const first = lines.findIndex((line) => line.trimStart().startsWith("curl "));
  const last = lines.findIndex((line, index) => index >= first && !line.endsWith("\\"));
  return lines.slice(first, last + 1).join("\n");
}

async function confirmedDevices(output: string): Promise<number> {
  const url = /http:\S+\/v1\/status/.exec(output)![0];
  const { channels } = (await (await fetch(url)).json()) as {
    channels: { releases: { devices: { confirmed: number } }[] }[];
  };
  const releases = channels.flatMap((channel) => channel.releases);
  return releases.reduce((sum, { devices }) => sum + devices.confirmed, 0);
}

test("the example starts, and the printed curl works when pasted, once and again", async () => {
  const { file, missing } = await copyExample();
  expect(missing).toEqual([]);
  const output = await start(file);
  for (const round of [1, 2]) {
    const pasted = spawnSync("sh", ["-c", printedCurl(output)], { encoding: "utf8" });
    expect(pasted.stdout, `round ${round}: ${pasted.stderr}`).toContain('"accepted":1');
  }
  await until("the device to be counted", async () => (await confirmedDevices(output)) > 0);
  // The same device said the same twice: one device.
  expect(await confirmedDevices(output)).toBe(1);
});
