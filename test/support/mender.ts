// A Mender server for tests, on a real port: its double, a clock that tests move, and short ways to a history of
// deployments. Enters: what is special about it. Leaves: the double with a URL, and what people and devices do to it.
import { afterEach } from "vitest";
import type { MenderOtaServerSettings } from "../../agent/config/ota-servers/mender.ts";
import type { Settings } from "../../agent/config/schema.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import { createMenderOtaServer } from "../../agent/rollback/servers/mender.ts";
import type { MenderOtaServerOptions } from "../../agent/rollback/servers/mender.ts";
import { appIdSchema, channelSchema } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { createMenderDouble } from "../doubles/mender.ts";
import type { MenderDouble } from "../doubles/mender.ts";
import type { MenderDeployment, RowStatus } from "../doubles/mender-state.ts";
import { startHttpServer } from "../../runtime/http-server.ts";

export const MENDER_TOKEN = "example-mender-token";
export const MENDER_TIMEOUT_MS = 400;
export const MENDER_KEY: ChannelKey = {
  app: appIdSchema.parse("com.acme.till"),
  channel: channelSchema.parse("production"),
};
const GROUP = "production";
const DAY_MS = 86_400_000;

const running: TestMender[] = [];
afterEach(async () => {
  for (const mender of running.splice(0)) await mender.stop();
});

export interface TestMender extends MenderDouble {
  readonly url: string;
  readonly nowMs: () => number;
  passMs(ms: number): void;
  /** Somebody deploys an artifact to a group; the artifact is uploaded first if it is not there. */
  deploy(
    artifact: string,
    to?: { readonly group?: string; readonly devices?: readonly string[] },
  ): MenderDeployment;
  /** A device asks, and reports these. */
  report(deviceId: string, ...told: readonly (RowStatus | { status: RowStatus; substate: string })[]): void;
  stop(): Promise<void>;
}

/** Without a clock, time stands still until a test moves it. */
export async function startMender(options: { readonly clock?: () => number } = {}): Promise<TestMender> {
  let nowMs = Date.now() - 3_600_000;
  const clock = options.clock ?? ((): number => nowMs);
  const double = createMenderDouble({ token: MENDER_TOKEN, clock });
  const listening = await startHttpServer(double.express, { host: "127.0.0.1", port: 0 });
  const { state } = double;
  let stopped: Promise<void> | undefined;
  let deployments = 0;
  const mender: TestMender = {
    ...double,
    url: listening.url,
    nowMs: clock,
    passMs: (ms) => void (nowMs += ms),
    deploy(artifact, { group = GROUP, devices } = {}) {
      if (!state.artifacts.some(({ name }) => name === artifact)) state.addArtifact(artifact);
      deployments += 1;
      const created = state.create({
        name: `release ${artifact} no. ${deployments}`,
        artifactName: artifact,
        ...(devices === undefined ? { group } : { devices }),
      });
      if (created.kind !== "created") throw new Error(created.error);
      return created.deployment;
    },
    report(deviceId, ...told) {
      const { deviceType } = state.devices.get(deviceId)!;
      const answer = state.next(deviceId, { artifactName: "what runs", deviceType });
      if (answer.kind !== "deployment") throw new Error(`${deviceId} was told nothing`);
      for (const each of told)
        state.setStatus(deviceId, answer.deployment.id, typeof each === "string" ? { status: each } : each);
    },
    stop: () => (stopped ??= listening.stop(100)),
  };
  running.push(mender);
  return mender;
}

/** 1.2.0 and 1.3.0 are on all ten devices; 1.4.0 has succeeded, failed, is under way, has been asked for, or not. */
export async function startMenderWithHistory(): Promise<{
  readonly mender: TestMender;
  readonly devices: readonly string[];
}> {
  const mender = await startMender();
  mender.passMs(-4 * DAY_MS);
  const devices = mender.state.addDevices(10);
  for (const artifact of ["1.2.0", "1.3.0"]) {
    mender.deploy(artifact);
    for (const device of devices) mender.report(device, "downloading", "success");
    mender.passMs(DAY_MS);
  }
  mender.deploy("1.4.0");
  for (const device of devices.slice(0, 3))
    mender.report(device, "downloading", "installing", "rebooting", "success");
  mender.report(devices[3]!, "downloading", { status: "failure", substate: "ArtifactCommit_Enter_00" });
  mender.report(devices[4]!, "downloading", "installing", "rebooting");
  mender.report(devices[5]!);
  return { mender, devices };
}

/** Settings of the agent with this server for each of its apps, polled every second. */
export function withMender(settings: Settings, mender: TestMender, artifact: RegExp): Settings {
  const otaServer: MenderOtaServerSettings = {
    type: "mender",
    url: mender.url,
    token: MENDER_TOKEN,
    channels: new Map(),
    artifact,
    timeoutMs: 2_000,
    pollEveryMs: 1_000,
  };
  return { ...settings, apps: new Map([...settings.apps].map(([app, of]) => [app, { ...of, otaServer }])) };
}

export function menderServer(mender: TestMender, options: Partial<MenderOtaServerOptions> = {}): OtaServer {
  return createMenderOtaServer({
    url: mender.url,
    token: MENDER_TOKEN,
    channels: new Map(),
    artifact: null,
    timeoutMs: MENDER_TIMEOUT_MS,
    clock: mender.nowMs,
    ...options,
  });
}
