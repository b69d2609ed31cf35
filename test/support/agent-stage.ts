// The stage of the fault tests of the agent: Redis, an OTA server for apps that it will fail, another for an app that must go
// on, and ingest and agent, each a process of its own from dist/ on one configuration file. Enters: faults, by whoever uses it.
// Leaves: what the agent decided, what the OTA servers were asked, and the means to report failures.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect } from "vitest";
import type { DecisionRecord } from "../../agent/rollback/decision-record.ts";
import type { RecordedCall } from "../simulation/ota-server.ts";
import type { FaultInput } from "../simulation/ota-server-faults.ts";
import { OTA_SECRET, createTestFleet } from "./agent.ts";
import { FAULT_APP, FAULT_KEY, FAULT_SHARDS, openFaultStage } from "./fault-stage.ts";
import type { FaultStage } from "./fault-stage.ts";
import { startPart } from "./part-process.ts";
import type { PartProcess, PartStart } from "./part-process.ts";
import { distPath } from "./run-demo.ts";
import { waitUntil } from "./wait-until.ts";

/** Of the agent process, whatever happens around it, in bytes; idle it takes some 130 MiB. */
export const AGENT_RSS_BYTES_MAX = 400 * 1024 ** 2;
/** What failures are about; before it came 1.3.0. */
export const BAD_VERSION = "1.4.0";
export const GOOD_VERSION = "1.3.0";
/** An app on the OTA server that nothing happens to. */
export const CALM_APP = "com.acme.calm";
/** Reports of them come over HTTP, to ingest. */
export const LOADED_APP = FAULT_APP;

export interface OtaProcess {
  readonly url: string;
  /** SIGSTOP: the kernel goes on accepting connections, and nobody ever answers. */
  freeze(): void;
  thaw(): void;
  setFaults(faults: readonly FaultInput[]): Promise<void>;
  /** Rollbacks of the app that it was asked for. */
  rollbacks(app: string): Promise<readonly RecordedCall[]>;
  offered(app: string): Promise<string | null>;
}

export interface AgentStage extends FaultStage {
  /** Of every app but the calm one. */
  readonly ota: OtaProcess;
  readonly configFile: string;
  /** As the agent is configured at first. */
  readonly configText: string;
  startAgent(start?: Pick<PartStart, "nodeArgs" | "env">): Promise<PartProcess>;
  /** On the same file as the agent. */
  startIngestBeside(): Promise<PartProcess>;
  /** A third of the devices that tried 1.4.0 of each app failed. */
  failEach(apps: readonly string[]): Promise<void>;
}

export interface AgentStageOptions {
  /** On the OTA server that will fail, beside LOADED_APP. */
  readonly apps?: readonly string[];
  readonly otaTimeout?: string;
  /** YAML of further settings of `agent`, such as `processes: 2`. */
  readonly agentSettings?: string;
  /** Address of an Alertmanager. */
  readonly alertmanagerUrl?: string;
  /** YAML of rules beside the one for failed updates. */
  readonly rules?: string;
}

export async function openAgentStage(options: AgentStageOptions = {}): Promise<AgentStage> {
  const stage = await openFaultStage();
  const apps = [...(options.apps ?? []), LOADED_APP];
  const running = new Set<ChildProcess>();
  const [ota, calm] = await Promise.all([
    startOtaProcess(apps, running),
    startOtaProcess([CALM_APP], running),
  ]);
  const configFile = path.join(stage.folder, "both.yaml");
  const configText = textOf({ ...options, folder: stage.folder, apps, ota, calm });
  writeFileSync(configFile, configText);
  const start = (
    part: "ingest" | "agent",
    more: Pick<PartStart, "nodeArgs" | "env"> = {},
  ): Promise<PartProcess> =>
    startPart({ part, config: configFile, redisUrl: stage.server().url, running, ...more });
  return {
    ...stage,
    ota,
    configFile,
    configText,
    startAgent: (more) => start("agent", more),
    startIngestBeside: () => start("ingest"),
    async failEach(failing) {
      const fleet = await createTestFleet(stage.server().url);
      for (const app of failing) {
        const tried = { app, version: BAD_VERSION };
        await fleet.report({ ...tried, devices: [1, 20], events: ["installed", "install_failed"] });
        await fleet.report({ ...tried, devices: [21, 60], events: ["confirmed"] });
      }
      fleet.close();
    },
    async close() {
      for (const child of running) child.kill("SIGKILL");
      await stage.close();
    },
  };
}

function textOf({
  folder,
  apps,
  ota,
  calm,
  otaTimeout = "1s",
  agentSettings = "processes: 1",
  alertmanagerUrl,
  rules = "",
}: AgentStageOptions & {
  folder: string;
  apps: readonly string[];
  ota: OtaProcess;
  calm: OtaProcess;
}): string {
  const appOn = ({ url }: OtaProcess, app: string): string => `
  ${app}:
    ingest_keys: ["${app === LOADED_APP ? FAULT_KEY : `example-key-of-${app}`}"]
    ota_server: { type: http, url: "${url}", secret: ${OTA_SECRET}, timeout: ${otaTimeout} }
    channels: { production: { policy: standard } }`;
  return `
data_dir: ${folder}/data
shards: ${FAULT_SHARDS}
ingest: { listen: "127.0.0.1:0", operations_listen: "127.0.0.1:0" }
agent: { listen: "127.0.0.1:0", ${agentSettings} }
${alertmanagerUrl === undefined ? "" : `alertmanager: { url: "${alertmanagerUrl}", timeout: 1s }`}
apps:${apps.map((app) => appOn(ota, app)).join("")}${appOn(calm, CALM_APP)}
policies:
  standard:
    rules: [{ signal: update_failure, limit: 5% }, ${rules}]
    guards: { min_devices: 5, max_rollbacks: { per_channel_per_day: 10, overall_per_hour: 1000 } }
`;
}

async function startOtaProcess(apps: readonly string[], running: Set<ChildProcess>): Promise<OtaProcess> {
  const child = spawn(
    process.execPath,
    [
      distPath("test/simulation/ota-server-main.js"),
      `--app=${apps[0]!}`,
      "--channel=production",
      `--secret=${OTA_SECRET}`,
      `--versions=${GOOD_VERSION},${BAD_VERSION}`,
    ],
    { stdio: ["ignore", "pipe", "inherit", "ipc"] },
  );
  running.add(child);
  child.once("exit", () => running.delete(child));
  const [line] = (await once(createInterface(child.stdout!), "line")) as [string];
  const { url } = JSON.parse(line) as { url: string };
  const channelOf = (app: string): string => `${url}/apps/${app}/channels/production`;
  for (const app of apps.slice(1))
    for (const version of [GOOD_VERSION, BAD_VERSION]) await sendTo(`${channelOf(app)}/publish`, { version });
  return {
    url,
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    setFaults: (faults) => sendTo(`${url}/faults`, { faults }),
    async rollbacks(app) {
      const { calls } = (await (await fetch(`${url}/calls`)).json()) as { calls: RecordedCall[] };
      return calls.filter((call) => call.app === app && call.call === "rollback");
    },
    async offered(app) {
      const answer = await fetch(channelOf(app));
      return ((await answer.json()) as { version: string | null }).version;
    },
  };
}

async function sendTo(url: string, body: object): Promise<void> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
}

/** The newest decision of each app that has one. */
export async function decisionsOf(agent: PartProcess): Promise<ReadonlyMap<string, DecisionRecord>> {
  const answer = await fetch(`${agent.url}/v1/decisions?limit=1000`);
  const { decisions } = (await answer.json()) as { decisions: DecisionRecord[] };
  return new Map(decisions.toReversed().map((decision) => [decision.app, decision]));
}

/** Waits until the newest decision of each of the apps has moved its channel. */
export async function untilRolledBack(
  agent: PartProcess,
  apps: readonly string[],
  msMax = 60_000,
): Promise<ReadonlyMap<string, DecisionRecord>> {
  return await waitUntil(
    () => decisionsOf(agent),
    (decisions) =>
      apps.every((app) => ["applied", "already_applied"].includes(decisions.get(app)?.outcome?.kind ?? "")),
    msMax,
  );
}

/** Its OTA server moved the channel of each app a single time, to the version before. */
export async function expectRolledBackOnce(stage: AgentStage, apps: readonly string[]): Promise<void> {
  for (const app of apps) {
    const calls = await stage.ota.rollbacks(app);
    expect(calls.filter(({ acted }) => acted)).toHaveLength(1);
    expect(new Set(calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
    expect(await stage.ota.offered(app)).toBe(GOOD_VERSION);
  }
}
