// `lastgood start` as users run it: the real command line from dist/ (npm test builds it) with its real children and a
// real Redis: start, what is printed, a second start, crashes of each part, and stopping in order.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { sleep } from "../../runtime/clock.ts";
import { isProcessAlive, readPidFile } from "../../runtime/pid-file.ts";
import { freePort } from "../support/redis.ts";

const CLI = path.resolve(import.meta.dirname, "../../dist/agent/cli/lastgood.js");
const PARTS = ["lastgood", "ingest", "agent", "redis"] as const;

const CONFIG = `
data_dir: ./data
observability: off
ingest: { listen: "127.0.0.1:0", operations_listen: "127.0.0.1:0" }
agent: { listen: "127.0.0.1:0" }
apps:
  com.acme.till:
    ingest_keys: ["\${E2E_INGEST_KEY}"]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: example-ota-secret }
    channels: { production: { policy: standard } }
policies:
  standard: { action: rollback, rules: [{ signal: update_failure, limit: 5% }] }
`;
const ENV = { ...process.env, E2E_INGEST_KEY: "a-key-from-the-environment" };

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function newInstallation(config = CONFIG): string {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-start-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(path.join(folder, "lastgood.yaml"), config);
  return folder;
}

interface Run {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  output(): string;
}

function runCli(folder: string, args: readonly string[]): Run {
  const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, env: ENV });
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  child.stderr.on("data", (data: Buffer) => (output += data.toString()));
  const exited = once(child, "close").then(([code]) => code as number | null);
  cleanups.push(async () => {
    child.kill("SIGTERM");
    await exited;
  });
  return { process: child, exited, output: () => output };
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`did not happen: ${what}`);
    await sleep(50);
  }
}

async function startUp(folder: string): Promise<Run> {
  const run = runCli(folder, ["start"]);
  await Promise.race([
    until("Lastgood is up", () => run.output().includes("Ctrl-C stops")),
    run.exited.then(() => Promise.reject(new Error(`it ended instead:\n${run.output()}`))),
  ]);
  return run;
}

function pidOf(folder: string, part: (typeof PARTS)[number]): number | undefined {
  return readPidFile(path.join(folder, "data", "run", `${part}.pid`));
}

function urlIn(output: string, pattern: RegExp): string {
  const url = pattern.exec(output)?.[1];
  if (url === undefined) throw new Error(`no ${String(pattern)} in:\n${output}`);
  return url;
}

async function report(output: string, device: string): Promise<number> {
  const url = urlIn(output, /reports go to\s+(\S+)/);
  const body = { app: "com.acme.till", channel: "production", device, version: "1.0.0", event: "confirmed" };
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${ENV.E2E_INGEST_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.status;
}

/** Devices that confirmed 1.0.0, as the agent tells; undefined while it can't be asked. */
async function confirmed(output: string): Promise<number | undefined> {
  try {
    const response = await fetch(urlIn(output, /status, decisions\s+(\S+)/));
    const status = (await response.json()) as {
      channels: { releases: { devices: { confirmed: number } }[] }[];
    };
    return status.channels[0]?.releases[0]?.devices.confirmed;
  } catch {
    return undefined;
  }
}

test("starts, says where everything is, counts a report, stops in order, and goes on where it stopped", async () => {
  const folder = newInstallation();
  const first = await startUp(folder);
  expect(first.output()).toContain(`${path.join(folder, "lastgood.yaml")} (found in this folder)`);
  expect(first.output()).toContain('-H "Authorization: Bearer $E2E_INGEST_KEY"');
  expect(first.output()).not.toContain(ENV.E2E_INGEST_KEY);
  expect(PARTS.map((part) => isProcessAlive(pidOf(folder, part)!))).toEqual([true, true, true, true]);
  expect(await report(first.output(), "till-1")).toBe(202);
  first.process.kill("SIGINT");
  expect(await first.exited).toBe(0);
  expect(first.output().trimEnd().split("\n").at(-1)).toBe(
    "stopping ingest … agent … redis … stopped, nothing lost",
  );
  expect(PARTS.map((part) => pidOf(folder, part))).toEqual([undefined, undefined, undefined, undefined]);
  expect(existsSync(path.join(folder, "data", "log", "ingest.log"))).toBe(true);
  const second = await startUp(folder);
  expect(await report(second.output(), "till-2")).toBe(202);
  await until("both devices are counted", async () => (await confirmed(second.output())) === 2);
});

test("a second start on the same data is refused, and names the first", async () => {
  const folder = newInstallation();
  const first = await startUp(folder);
  const second = runCli(folder, ["start"]);
  expect(await second.exited).toBe(1);
  expect(second.output()).toBe(
    `Lastgood runs on ${path.join(folder, "data")} already, as process ${first.process.pid}: ` +
      `stop it first (kill ${first.process.pid}), or set another data_dir\n`,
  );
  expect(await report(first.output(), "till-1")).toBe(202);
});

test("each part that is killed is started again", async () => {
  const agentPort = await freePort();
  const folder = newInstallation(
    CONFIG.replace('agent: { listen: "127.0.0.1:0"', `agent: { listen: "127.0.0.1:${agentPort}"`),
  );
  const run = await startUp(folder);
  expect(await report(run.output(), "till-1")).toBe(202);
  for (const part of ["redis", "ingest", "agent"] as const) {
    const pid = pidOf(folder, part)!;
    process.kill(pid, "SIGKILL");
    await until(`${part} is back`, () => {
      const next = pidOf(folder, part);
      return next !== undefined && next !== pid && isProcessAlive(next);
    });
    expect(run.output()).toContain(`starting ${part} …`);
    expect(run.output()).toMatch(new RegExp(`${part} ended \\(.*\\); it is started again in 500 ms`));
  }
  await until("the agent counts again", async () => (await confirmed(run.output())) === 1);
  run.process.kill("SIGTERM");
  expect(await run.exited).toBe(0);
  expect(run.output()).toContain("stopped, nothing lost");
});

test("children of a killed supervisor stop by themselves; the next start takes over with everything", async () => {
  const folder = newInstallation();
  const first = await startUp(folder);
  expect(await report(first.output(), "till-1")).toBe(202);
  const orphans = PARTS.map((part) => pidOf(folder, part)!);
  first.process.kill("SIGKILL");
  await first.exited;
  const second = await startUp(folder);
  expect(orphans.filter((pid) => isProcessAlive(pid))).toEqual([]);
  expect(await report(second.output(), "till-2")).toBe(202);
  await until("both devices are counted", async () => (await confirmed(second.output())) === 2);
});

test("a mistake in the configuration starts nothing and exits with 2", async () => {
  const folder = newInstallation(CONFIG.replace("5%", "0%"));
  const run = runCli(folder, ["start"]);
  expect(await run.exited).toBe(2);
  expect(run.output()).toContain(`${path.join(folder, "lastgood.yaml")}:12:`);
  expect(run.output()).toContain("1 mistake: nothing was started");
  expect(existsSync(path.join(folder, "data"))).toBe(false);
  expect(readFileSync(path.join(folder, "lastgood.yaml"), "utf8")).toContain("0%");
});

test("a port that is taken ends the start with the reason, and everything is stopped again", async () => {
  const folder = newInstallation();
  const first = await startUp(folder);
  const port = new URL(urlIn(first.output(), /reports go to\s+(\S+)/)).port;
  const other = newInstallation(CONFIG.replace('listen: "127.0.0.1:0"', `listen: "127.0.0.1:${port}"`));
  const run = runCli(other, ["start"]);
  expect(await run.exited).toBe(1);
  expect(run.output()).toContain(
    `ingest did not start: cannot listen on 127.0.0.1:${port}: another program has that port`,
  );
  expect(PARTS.map((part) => pidOf(other, part))).toEqual([undefined, undefined, undefined, undefined]);
});
