// A whole Lastgood for the tests of what people look at: real processes on a Redis of their own, two OTA servers, apps and
// channels in every state that a dashboard or an alert speaks of. Enters: where pages go. Leaves: the ways to drive it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import { appIdSchema, channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { systemClock } from "../../runtime/clock.ts";
import { startHttpServer } from "../../runtime/http-server.ts";
import { readPidFile } from "../../runtime/pid-file.ts";
import { createSimulatedOtaServer } from "../simulation/ota-server.ts";
import type { SimulatedOtaServer } from "../simulation/ota-server.ts";
import { startJsonDouble } from "./json-double.ts";
import { addTargets, rollOut, startHawkbit } from "./hawkbit.ts";
import type { TestHawkbit } from "./hawkbit.ts";
import { freePort, startTestRedis } from "./redis.ts";
import { distPath } from "./run-demo.ts";
import { waitUntil } from "./wait-until.ts";

export const TILL_APP = "com.acme.till";
export const GATEWAY_APP = "com.acme.gateway";
/** By what happens there to a release that fails. */
export const CHANNELS = {
  rolledBack: "production",
  approval: "beta",
  shadow: "canary",
  held: "kiosk",
  frozen: "field",
} as const;
const INGEST_KEY = "observed-ingest-key";
const OTA_SECRET = "observed-ota-secret";
const REDIS_BYTES_MAX = 1_073_741_824;
const UP_MS_MAX = 60_000;
const DAY_MS = 86_400_000;

export interface ObservedStack {
  readonly agentUrl: string;
  readonly ingestUrl: string;
  /** `host:port`, for Prometheus. */
  readonly agentTarget: string;
  readonly ingestTarget: string;
  readonly otaServer: SimulatedOtaServer;
  readonly hawkbit: TestHawkbit;
  /** Sends reports; throws when ingest does not take all of them. */
  report(reports: readonly Readonly<Record<string, unknown>>[]): Promise<void>;
  publish(channel: string, version: string): void;
  /** Capgo's own words, as a device sends them. */
  sayInCapgo(events: readonly Readonly<Record<string, unknown>>[]): Promise<void>;
  spoilAnEntry(): Promise<void>;
  act(act: string, body: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** SIGKILL to the agent, and to the one that is started in its place, until it is let go. */
  killAgent(): Promise<{ letGo(): void }>;
  stop(): Promise<void>;
}

export async function startObservedStack({
  alertmanagerUrl,
}: {
  alertmanagerUrl: string;
}): Promise<ObservedStack> {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-observed-"));
  const redis = await startTestRedis();
  const control = new Redis(redis.url);
  // So that there is a limit to be seen.
  await control.config("SET", "maxmemory", REDIS_BYTES_MAX);
  const clock = systemClock;
  const otaServer = createSimulatedOtaServer({ secret: OTA_SECRET, clock });
  const otaListener = await startHttpServer(otaServer.express, { host: "127.0.0.1", port: 0 });
  const statsServer = await startJsonDouble();
  const hawkbit = await startHawkbit({ clock });
  const targets = addTargets(hawkbit, 10);
  rollOut(hawkbit, "2.0.0", targets);
  const ports = { ingest: await freePort(), operations: await freePort(), agent: await freePort() };
  const configFile = path.join(folder, "lastgood.yaml");
  writeFileSync(
    configFile,
    configText({
      ports,
      redisUrl: redis.url,
      otaUrl: otaListener.url,
      hawkbitUrl: hawkbit.url,
      statsUrl: statsServer.url,
      alertmanagerUrl,
    }),
  );
  const publish = (channel: string, version: string, daysAgo = 0): void =>
    otaServer.publish({
      app: appIdSchema.parse(TILL_APP),
      channel: channelSchema.parse(channel),
      version: versionSchema.parse(version),
      releasedAtMs: clock() - daysAgo * DAY_MS,
    });
  for (const channel of Object.values(CHANNELS)) {
    publish(channel, "1.3.0", 10);
    publish(channel, "1.4.0", 5);
  }
  const lastgood = spawn(
    process.execPath,
    [distPath("agent/cli/lastgood.js"), "start", "--config", configFile],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let said = "";
  for (const stream of [lastgood.stdout, lastgood.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => void (said = `${said}${text}`.slice(-8_000)));
  const exited = once(lastgood, "close");
  const ended = exited.then(() => Promise.reject(new Error(`Lastgood ended before it was up:\n${said}`)));
  ended.catch(() => {});
  await Promise.race([
    waitUntil(
      () => said,
      (text) => text.includes("Ctrl-C stops"),
      UP_MS_MAX,
    ),
    ended,
  ]);
  const agentUrl = `http://127.0.0.1:${ports.agent}`;
  const ingestUrl = `http://127.0.0.1:${ports.ingest}`;
  return {
    agentUrl,
    ingestUrl,
    agentTarget: `127.0.0.1:${ports.agent}`,
    ingestTarget: `127.0.0.1:${ports.operations}`,
    otaServer,
    hawkbit,
    publish,
    async report(reports) {
      const response = await post(`${ingestUrl}/v1/reports`, reports);
      const answer = (await response.json()) as { accepted?: number };
      if (answer.accepted !== reports.length)
        throw new Error(`${response.status}: ${JSON.stringify(answer)}`);
    },
    async sayInCapgo(events) {
      const response = await post(`${ingestUrl}/capgo/stats`, events);
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    },
    spoilAnEntry: async () => void (await control.xadd(reportStream(0), "*", "no", "entry of ours")),
    async act(act, body) {
      const response = await post(`${agentUrl}/v1/${act}`, body);
      if (!response.ok) throw new Error(`${act}: ${response.status} ${await response.text()}`);
      return await response.json();
    },
    killAgent: () => holdDown(path.join(folder, "data", "run", "agent.pid")),
    async stop() {
      lastgood.kill("SIGTERM");
      await exited;
      control.disconnect();
      await redis.stop();
      await otaListener.stop(1_000);
      await statsServer.close();
      await hawkbit.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${INGEST_KEY}` },
    body: JSON.stringify(body),
  });
}

/** The supervisor starts the agent again, ever later: each one is killed at once. */
async function holdDown(pidFile: string): Promise<{ letGo(): void }> {
  const kill = (): void => {
    const pid = readPidFile(pidFile);
    if (pid === undefined) return;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone, which is what was wanted.
    }
  };
  kill();
  const timer = setInterval(kill, 50);
  return { letGo: () => clearInterval(timer) };
}

interface ConfigParts {
  readonly ports: { readonly ingest: number; readonly operations: number; readonly agent: number };
  readonly redisUrl: string;
  readonly otaUrl: string;
  readonly hawkbitUrl: string;
  readonly statsUrl: string;
  readonly alertmanagerUrl: string;
}

function configText({ ports, ...urls }: ConfigParts): string {
  return `
data_dir: ./data
observability: off
shards: 2
redis: { url: "${urls.redisUrl}" }
ingest: { listen: "127.0.0.1:${ports.ingest}", operations_listen: "127.0.0.1:${ports.operations}" }
agent: { listen: "127.0.0.1:${ports.agent}" }
alertmanager: { url: "${urls.alertmanagerUrl}" }
apps:
  ${TILL_APP}:
    ingest_keys: [${INGEST_KEY}, ${INGEST_KEY}-of-devices]
    ota_server: { type: http, url: "${urls.otaUrl}", secret: ${OTA_SECRET} }
    sources: { capgo: { channel: production, relay: "${urls.statsUrl}" } }
    device_auth: { type: hmac, secret: observed-device-secret-of-32-characters, mode: observe, trusted_keys: [${INGEST_KEY}] }
    channels:
      ${CHANNELS.rolledBack}: { policy: automatic }
      ${CHANNELS.approval}: { policy: approval }
      ${CHANNELS.shadow}: { policy: shadow }
      ${CHANNELS.held}: { policy: held }
      ${CHANNELS.frozen}: { policy: automatic }
  ${GATEWAY_APP}:
    ingest_keys: [${INGEST_KEY}-of-gateways]
    ota_server:
      type: hawkbit
      url: "${urls.hawkbitUrl}"
      username: admin
      password: example-password
      distribution_set: till-firmware
      channels: { production: { targets: "tag==production" } }
      poll_every: 1s
    channels: { production: { policy: automatic } }
policies:
  automatic: &automatic
    mode: automatic
    rules: &rules
      - { signal: update_failure, limit: 5% }
      - { signal: download_failure, limit: 20% }
      - { signal: crash, worse_than_baseline: 2x, limit: 90% }
      - { signal: silence, limit: 2%, deadline: 10m }
    guards: { min_devices: 5, cooldown: 1m }
  approval: { mode: approval, rules: *rules }
  shadow: { mode: shadow, rules: *rules }
  held: { mode: automatic, rules: *rules, guards: { min_devices: 100000 } }
`;
}
