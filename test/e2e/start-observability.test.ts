// Prometheus, Alertmanager and Grafana beside `lastgood start`: the real first two, a stand-in for Grafana, all on free
// ports; what they load and reach, and what happens when one is missing, has no port, does not start, or is killed.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { sleep } from "../../runtime/clock.ts";
import { findProgram } from "../../runtime/foreign-program.ts";
import { isProcessAlive, readPidFile } from "../../runtime/pid-file.ts";
import { freePorts } from "../simulation/demo-stack.ts";
import { distPath } from "../support/run-demo.ts";

const STAND_IN = path.resolve(import.meta.dirname, "../support/grafana-stand-in.mjs");
const OBSERVERS = ["prometheus", "alertmanager", "grafana"] as const;
type Observer = (typeof OBSERVERS)[number];
/** Rules are evaluated every 15 seconds, and the first alert waits for Alertmanager to be found. */
const WAIT_MS_MAX = 120_000;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Installation {
  readonly folder: string;
  readonly urls: Readonly<Record<Observer, string>>;
  /** The only folder on the PATH. */
  readonly bin: string;
}

/** `programs` are what is on the PATH beside redis-server. */
async function newInstallation({
  programs,
  off = "",
}: {
  programs: Readonly<Record<string, string | undefined>>;
  off?: string;
}): Promise<Installation> {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-observed-start-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const [ingest, operations, agent, ...others] = await freePorts(6);
  const places = OBSERVERS.map((observer, index) => [observer, `127.0.0.1:${others[index]}`] as const);
  const observability = `{ ${places.map(([observer, place]) => `${observer}: "${place}"`).join(", ")} }`;
  writeFileSync(
    path.join(folder, "lastgood.yaml"),
    `
data_dir: ./data
ingest: { listen: "127.0.0.1:${ingest}", operations_listen: "127.0.0.1:${operations}" }
agent: { listen: "127.0.0.1:${agent}" }
observability: ${off === "" ? observability : off}
apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: example-ota-secret }
    channels: { production: { policy: standard } }
policies:
  standard: { action: rollback, rules: [{ signal: update_failure, limit: 5% }] }
`,
  );
  const bin = path.join(folder, "bin");
  mkdirSync(bin);
  for (const [name, script] of Object.entries({ "redis-server": undefined, ...programs })) {
    if (typeof script !== "string") symlinkSync(onThisMachine(name), path.join(bin, name));
    else writeFileSync(path.join(bin, name), `#!/bin/sh\n${String(script)}\n`, { mode: 0o755 });
  }
  const urls = Object.fromEntries(places.map(([observer, place]) => [observer, `http://${place}`]));
  return { folder, bin, urls: urls as Record<Observer, string> };
}

function onThisMachine(name: string): string {
  const found = findProgram([name], process.env["PATH"]);
  if (found === undefined) throw new Error(`${name} is not installed: npm test says how to get it`);
  return found;
}

const ALL = {
  prometheus: undefined,
  "prometheus-alertmanager": undefined,
  grafana: `exec ${process.execPath} ${STAND_IN} "$@"`,
};

interface Run {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown>;
  output(): string;
}

async function start({ folder, bin }: Installation): Promise<Run> {
  const child = spawn(process.execPath, [distPath("agent/cli/lastgood.js"), "start"], {
    cwd: folder,
    env: { ...process.env, PATH: bin },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => void (output += text));
  const exited = once(child, "close");
  cleanups.push(async () => {
    child.kill("SIGTERM");
    await exited;
  });
  await until("Lastgood is up", () => {
    if (child.exitCode !== null) throw new Error(`it ended instead:\n${output}`);
    return output.includes("Ctrl-C stops");
  });
  return { process: child, exited, output: () => output };
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS_MAX;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`did not happen: ${what}`);
    await sleep(100);
  }
}

async function ask<T>(url: string): Promise<T> {
  return (await (await fetch(url)).json()) as T;
}

function pidOf({ folder }: Installation, name: string): number | undefined {
  return readPidFile(path.join(folder, "data", "run", `${name}.pid`));
}

async function healthByJob(prometheus: string): Promise<Record<string, string>> {
  const { data } = await ask<{
    data: { activeTargets: { labels: { job: string }; health: string }[] };
  }>(`${prometheus}/api/v1/targets`);
  return Object.fromEntries(data.activeTargets.map(({ labels, health }) => [labels.job, health]));
}

test("all three are started on the files of the repository, reach each other, and stop in order", async () => {
  const installation = await newInstallation({ programs: ALL });
  const { urls } = installation;
  const run = await start(installation);
  expect(run.output()).toMatch(new RegExp(`graphs +${urls.grafana}\n`));
  expect(run.output()).toMatch(new RegExp(`prometheus +${urls.prometheus}\n`));
  expect(run.output()).toMatch(new RegExp(`alertmanager +${urls.alertmanager}\n`));

  await until("every target is up", async () => {
    const health = await healthByJob(urls.prometheus);
    return ["lastgood-ingest", "lastgood-agent", "prometheus", "alertmanager"].every(
      (job) => health[job] === "up",
    );
  });
  const rules = await ask<{ data: { groups: { rules: { name: string }[] }[] } }>(
    `${urls.prometheus}/api/v1/rules`,
  );
  const names = rules.data.groups.flatMap((group) => group.rules.map(({ name }) => name));
  expect(names).toContain("OtaReleaseFailingNotRolledBack");
  const alerts = async () =>
    ask<{ labels: Record<string, string>; annotations: Record<string, string> }[]>(
      `${urls.alertmanager}/api/v2/alerts`,
    );
  // Prometheus sends this one from the first, and the external labels are in its links, but not on it.
  await until("Prometheus's alert is in Alertmanager", async () =>
    (await alerts()).some(({ labels }) => labels["alertname"] === "OtaWatchdog"),
  );
  const watchdog = (await alerts()).find(({ labels }) => labels["alertname"] === "OtaWatchdog")!;
  expect(Object.keys(watchdog.labels)).not.toContain("grafana_url");
  expect(Object.keys(watchdog.labels)).not.toContain("runbooks_url");
  expect(watchdog.annotations["runbook_url"]).toBe("http://127.0.0.1:8082/runbooks/OtaWatchdog.md");

  const seen = await ask<{
    datasources: { uid: string; url: string }[];
    dashboards: string[];
    settings: Record<string, string>;
  }>(`${urls.grafana}/seen`);
  expect(seen.datasources.map(({ uid, url }) => [uid, url])).toEqual([
    ["prometheus", urls.prometheus],
    ["alertmanager", urls.alertmanager],
  ]);
  expect(seen.dashboards).toEqual(expect.arrayContaining(["lastgood-fleet", "lastgood-release"]));
  expect(seen.settings).toMatchObject({ GF_AUTH_ANONYMOUS_ORG_ROLE: "Viewer", GF_LOG_MODE: "console" });

  const pids = [...OBSERVERS, "redis", "agent"].map((name) => pidOf(installation, name)!);
  run.process.kill("SIGINT");
  await run.exited;
  expect(run.process.exitCode).toBe(0);
  expect(run.output()).toMatch(
    /ingest …[^]* agent …[^]* grafana …[^]* prometheus …[^]* alertmanager …[^]* redis …/,
  );
  expect(run.output()).toContain("stopped, nothing lost");
  expect(pids.filter((pid) => isProcessAlive(pid))).toEqual([]);
});

test("the agent sends its pages to the Alertmanager that was started", async () => {
  const installation = await newInstallation({ programs: ALL });
  const run = await start(installation);
  const agent = /the page +(http:\S+)\//.exec(run.output())![1]!;
  // Somebody breaks the configuration file: that calls a person, and what it said before goes on, Alertmanager included.
  appendFileSync(path.join(installation.folder, "lastgood.yaml"), "\nnothing_of_ours: true\n");
  await until("the agent's page is in Alertmanager", async () => {
    const alerts = await ask<{ labels: Record<string, string> }[]>(
      `${installation.urls.alertmanager}/api/v2/alerts`,
    );
    return alerts.some(({ labels }) => labels["alertname"] === "OtaConfigRefused");
  });
  const metrics = await (await fetch(`${agent}/metrics`)).text();
  expect(metrics).toMatch(/ota_page_posts_total\{[^}]*result="taken"[^}]*\} [1-9]/);
});

test("a killed Prometheus comes back; of a killed supervisor nothing is left beside the next start", async () => {
  const installation = await newInstallation({ programs: ALL });
  const first = await start(installation);
  const before = pidOf(installation, "prometheus")!;
  process.kill(before, "SIGKILL");
  await until("another Prometheus", () => {
    const now = pidOf(installation, "prometheus");
    return now !== undefined && now !== before;
  });
  await until("it answers", async () => {
    const answer = await fetch(`${installation.urls.prometheus}/-/ready`).catch(() => undefined);
    return answer?.ok === true;
  });
  expect(first.output()).toContain("prometheus ended (SIGKILL); it is started again in 500 ms");
  const orphans = OBSERVERS.map((observer) => pidOf(installation, observer)!);
  first.process.kill("SIGKILL");
  await first.exited;
  const second = await start(installation);
  expect(second.output()).toContain("stopping the prometheus that an earlier run left behind");
  expect(orphans.filter((pid) => isProcessAlive(pid))).toEqual([]);
  expect(OBSERVERS.map((observer) => isProcessAlive(pidOf(installation, observer)!))).toEqual([
    true,
    true,
    true,
  ]);
});

test("what is missing, has no port or does not start is said in a line each, and Lastgood is up", async () => {
  const installation = await newInstallation({
    programs: { prometheus: undefined, grafana: "echo no database here >&2; exit 3" },
  });
  const { hostname, port } = new URL(installation.urls.prometheus);
  const other = createServer().listen(Number(port), hostname);
  await once(other, "listening");
  cleanups.push(async () => {
    other.close();
    await once(other, "close");
  });
  const run = await start(installation);
  expect(run.output()).toContain(`Prometheus is not started, for another program has ${hostname}:${port}`);
  expect(run.output()).toContain("Alertmanager is not installed: alerts reach nobody from here");
  expect(run.output()).toMatch(/grafana did not start: exit code 3\n.*no database here\n/);
  expect(run.output()).toContain("grafana is left out; Lastgood goes on without it");
  expect(OBSERVERS.map((observer) => pidOf(installation, observer))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  const agent = /the page +(http:\S+)\//.exec(run.output())![1]!;
  expect((await fetch(`${agent}/readyz`)).status).toBe(200);
});

test("with observability: off nothing is started and nothing is said", async () => {
  const installation = await newInstallation({ programs: ALL, off: "off" });
  const run = await start(installation);
  expect(run.output()).not.toMatch(/prometheus|alertmanager|grafana/i);
  expect(OBSERVERS.map((observer) => pidOf(installation, observer))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(readFileSync(path.join(installation.folder, "lastgood.yaml"), "utf8")).toContain(
    "observability: off",
  );
});
