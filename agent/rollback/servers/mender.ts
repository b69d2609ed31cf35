// OTA server of type `mender`, by its management API. Going back is two acts there: every running deployment of the bad
// artifact is aborted (devices in the middle roll themselves back), then the good artifact is deployed to each device
// that was told to install the bad one; in this order, because devices take their oldest deployment first. The decision's
// id is in the name of what is made, so that it is made once. Enters: the port's requests. Leaves: its answers.
import { createHash } from "node:crypto";
import type { Channel, ChannelKey, Version } from "../../../ingest/contract/release-key.ts";
import type { MenderTarget } from "../../config/ota-servers/mender.ts";
import type {
  ChannelAnswer,
  ChannelState,
  OtaServer,
  PauseRequest,
  Refused,
  Release,
  RollbackAnswer,
  RollbackRequest,
  Unavailable,
} from "../ota-server.ts";
import { createInTurn } from "../in-turn.ts";
import { createMenderApi } from "./mender-api.ts";
import type { MenderApi, MenderApiOptions, MenderDeployment } from "./mender-api.ts";
import { MENDER_RELEASES_MAX, deploymentsOf, isComplete, repairName, toState } from "./mender-history.ts";
import type { ChannelDeployment, MenderChannel } from "./mender-history.ts";

/** Pages of deployments that are looked through for a channel's own: a server may hold years of them. */
export const MENDER_HISTORY_PAGES_MAX = 10;
/** Devices of one repair deployment, roughly: more are several, so that no request is too large for a proxy. */
export const MENDER_DEVICES_PER_REPAIR_MAX = 5_000;
/** How long it is believed that the server holds an artifact, or does not, in milliseconds. */
export const MENDER_RELEASE_AGE_MS_MAX = 60_000;
/** Readings of a list whose entries move while it is read. */
export const MENDER_LIST_READINGS_MAX = 3;

export interface MenderOtaServerOptions extends MenderApiOptions {
  /** Channels that are not here are the group of the same name. */
  readonly channels: ReadonlyMap<Channel, MenderTarget>;
  readonly artifact: RegExp | null;
}

interface Mender {
  readonly api: MenderApi;
  readonly channelOf: (key: ChannelKey) => MenderChannel;
  readonly hasRelease: MenderApi["hasRelease"];
}

interface History {
  readonly kind: "history";
  /** Newest first. */
  readonly deployments: readonly ChannelDeployment[];
}

export function createMenderOtaServer(options: MenderOtaServerOptions): OtaServer {
  const api = createMenderApi(options);
  const { channels, artifact, clock } = options;
  const mender: Mender = {
    api,
    channelOf: (key) => ({ key, target: targetOf(channels, key.channel), artifact }),
    hasRelease: rememberReleases(api, clock),
  };
  const inTurn = createInTurn();
  return {
    type: "mender",
    capabilities: { rollback: true, pause: true },
    readChannel: (key) => readChannel(key, mender),
    rollback: (request) => inTurn(request, () => rollback(request, mender)),
    pause: (request) => inTurn(request, () => pause(request, mender)),
  };
}

export function targetOf(channels: ReadonlyMap<Channel, MenderTarget>, channel: Channel): MenderTarget {
  return channels.get(channel) ?? { kind: "group", group: channel };
}

function rememberReleases(api: MenderApi, clock: () => number): MenderApi["hasRelease"] {
  const known = new Map<string, { readonly exists: boolean; readonly atMs: number }>();
  return async (name) => {
    const before = known.get(name);
    if (before !== undefined && Math.abs(clock() - before.atMs) < MENDER_RELEASE_AGE_MS_MAX)
      return { kind: "release", exists: before.exists };
    const answer = await api.hasRelease(name);
    if (answer.kind === "release") known.set(name, { exists: answer.exists, atMs: clock() });
    return answer;
  };
}

async function readHistory(
  key: ChannelKey,
  { api, channelOf }: Mender,
): Promise<History | Refused | Unavailable> {
  const channel = channelOf(key);
  const listed: MenderDeployment[] = [];
  let deployments: readonly ChannelDeployment[] = [];
  for (let page = 1; page <= MENDER_HISTORY_PAGES_MAX; page += 1) {
    const answer = await api.listDeployments(page);
    if (answer.kind !== "page") return answer;
    listed.push(...answer.items);
    deployments = deploymentsOf(channel, listed);
    const versions = new Set(deployments.map(({ version }) => version));
    // One more than is told, so that the oldest that is told has not been cut short.
    if (answer.isLast || versions.size > MENDER_RELEASES_MAX + 1) break;
  }
  return deployments.length > 0 ? { kind: "history", deployments } : unknownChannel(channel);
}

function unknownChannel({ key, target, artifact }: MenderChannel): Refused {
  const to = target.kind === "group" ? `the group "${target.group}"` : "all devices";
  const of = artifact === null ? "" : ` of an artifact that ota_server.artifact (${artifact.source}) knows`;
  return {
    kind: "refused",
    detail: `Mender has no deployment to ${to}${of}, which is what the channel ${key.channel} of ${key.app} is: deploy to it first, or correct ota_server.channels`,
  };
}

async function readChannel(key: ChannelKey, mender: Mender): Promise<ChannelAnswer> {
  const history = await readHistory(key, mender);
  if (history.kind !== "history") return history;
  const state = toState(history.deployments);
  const releases: Release[] = [];
  for (const release of state.releases.slice(0, MENDER_RELEASES_MAX)) {
    // What the channel is on is told in any case: what comes before it is found by its place in this list.
    if (release.version !== state.version) {
      const held = await mender.hasRelease(artifactOf(release.version, history.deployments)!);
      if (held.kind !== "release") return held;
      if (!held.exists) continue;
    }
    releases.push(release);
  }
  return { kind: "channel", state: { ...state, releases } };
}

function artifactOf(version: Version, deployments: readonly ChannelDeployment[]): string | undefined {
  return deployments.find((deployment) => deployment.version === version)?.artifactName;
}

async function rollback(request: RollbackRequest, mender: Mender): Promise<RollbackAnswer> {
  const { decisionId, from, to } = request;
  const history = await readHistory(request, mender);
  if (history.kind !== "history") return history;
  const { deployments } = history;
  const state = toState(deployments);
  const made = deployments.find(({ repair }) => repair?.decisionId === decisionId)?.repair;
  if (made !== undefined && isComplete(made, deployments)) return doneOn(state);
  if (state.version !== from) return staleOn(state, from);
  const artifactName = artifactOf(to, deployments);
  if (artifactName === undefined)
    return { kind: "refused", detail: `the channel never had ${to}: nothing was done` };
  const held = await mender.api.hasRelease(artifactName);
  if (held.kind !== "release") return held;
  if (!held.exists)
    return {
      kind: "refused",
      detail: `the artifact ${artifactName} is not on the Mender server any more: upload it again, or choose another release; nothing was done`,
    };
  const aborted = await abortRunning(deployments, from, mender);
  if (aborted !== undefined) return aborted;
  // Of all its deployments: who has had it since long before is in none of the newest.
  const bad = deployments.filter(({ version }) => version === from);
  const devices = await readTold(bad, mender);
  if (devices.kind !== "devices") return devices;
  const created = await createRepairs(request, { artifactName, devices: devices.ids, deployments }, mender);
  return created ?? lookAgain(request, deployments, mender);
}

/** Undefined when none of them runs any more. */
async function abortRunning(
  deployments: readonly ChannelDeployment[],
  version: Version,
  { api }: Mender,
): Promise<Refused | Unavailable | undefined> {
  for (const { id, isRunning, version: brings } of deployments) {
    if (!isRunning || brings !== version) continue;
    const answer = await api.abort(id);
    if (answer.kind === "refused" || answer.kind === "unavailable") return answer;
  }
  return undefined;
}

const NEVER_TOLD: ReadonlySet<string> = new Set(["pending", "noartifact", "decommissioned"]);

/**
 * Devices that were told to install it: those that have it, that failed (rolled back, or bricked and alive: the server
 * can't tell), and whose attempt the abort cut off. Who is on the target already says so and downloads nothing.
 */
async function readTold(
  deployments: readonly ChannelDeployment[],
  { api }: Mender,
): Promise<{ readonly kind: "devices"; readonly ids: readonly string[] } | Refused | Unavailable> {
  const told = new Set<string>();
  for (const { id } of deployments) {
    const seen = new Set<string>();
    // An entry that changes meanwhile moves, and may move out of sight: then the list is read once more.
    for (let reading = 0; reading < MENDER_LIST_READINGS_MAX; reading += 1) {
      let total: number | undefined;
      for (let page = 1, isLast = false; !isLast; page += 1) {
        const answer = await api.listDevices(id, page);
        if (answer.kind === "gone")
          return { kind: "unavailable", detail: `Mender lists the deployment ${id}, but not its devices` };
        if (answer.kind !== "page") return answer;
        for (const device of answer.items) {
          seen.add(device.id);
          if (!NEVER_TOLD.has(device.status)) told.add(device.id);
        }
        ({ total, isLast } = answer);
      }
      if (total === undefined || seen.size >= total) break;
    }
  }
  return { kind: "devices", ids: [...told] };
}

/** Undefined when all parts are there. */
async function createRepairs(
  request: RollbackRequest,
  {
    artifactName,
    devices,
    deployments,
  }: {
    readonly artifactName: string;
    readonly devices: readonly string[];
    readonly deployments: readonly ChannelDeployment[];
  },
  { api }: Mender,
): Promise<Refused | Unavailable | undefined> {
  const made = deployments.flatMap(({ repair }) =>
    repair?.decisionId === request.decisionId ? [repair] : [],
  );
  const parts = made[0]?.parts ?? Math.ceil(devices.length / MENDER_DEVICES_PER_REPAIR_MAX);
  for (let part = 1; part <= parts; part += 1) {
    if (made.some((repair) => repair.part === part)) continue;
    const answer = await api.create({
      name: repairName(request, { part, parts }),
      artifactName,
      devices: devices.filter((device) => partOf(device, parts) === part),
    });
    if (answer.kind === "unavailable") return answer;
    if (answer.kind === "refused")
      return {
        kind: "refused",
        detail: `${answer.detail}; no device gets ${request.from} any more, its deployments are aborted, but those that have it keep it: deploy ${artifactName} to them`,
      };
  }
  return undefined;
}

/** Of the device alone: a second run makes the parts that are missing, though a device may have left meanwhile. */
function partOf(device: string, parts: number): number {
  return (createHash("sha256").update(device).digest().readUInt32BE(0) % parts) + 1;
}

/**
 * Mender takes no precondition. Somebody who deployed while we acted has the last word: our repair, which devices would
 * take after theirs, is aborted.
 */
async function lookAgain(
  request: RollbackRequest,
  before: readonly ChannelDeployment[],
  mender: Mender,
): Promise<RollbackAnswer> {
  const history = await readHistory(request, mender);
  if (history.kind !== "history") return history;
  const known = new Set(before.map(({ id }) => id));
  const others = history.deployments.find(({ id, repair }) => repair === undefined && !known.has(id));
  if (others === undefined) return doneOn(toState(history.deployments));
  for (const { id, repair, isRunning } of history.deployments) {
    if (repair?.decisionId !== request.decisionId || !isRunning) continue;
    const answer = await mender.api.abort(id);
    if (answer.kind === "refused" || answer.kind === "unavailable") return answer;
  }
  return {
    kind: "stale",
    detail: `${others.version} was deployed to the channel at the same moment; the deployments of ${request.from} are aborted, and so is the one back to ${request.to}`,
  };
}

async function pause(request: PauseRequest, mender: Mender): Promise<RollbackAnswer> {
  const { version } = request;
  const history = await readHistory(request, mender);
  if (history.kind !== "history") return history;
  const state = toState(history.deployments);
  if (state.version !== version) return staleOn(state, version);
  const aborted = await abortRunning(history.deployments, version, mender);
  if (aborted !== undefined) return aborted;
  const after = await readHistory(request, mender);
  if (after.kind !== "history") return after;
  const now = toState(after.deployments);
  // Of one that no device was told of, nothing is left: the channel is what it was before.
  return now.version === version ? { kind: "done", version } : staleOn(now, version);
}

function doneOn({ version }: ChannelState): RollbackAnswer {
  return version === null
    ? { kind: "refused", detail: "the deployment was aborted, and the channel had nothing before it" }
    : { kind: "done", version };
}

function staleOn({ version }: ChannelState, asked: Version): RollbackAnswer {
  return { kind: "stale", detail: `the channel is on ${version ?? "nothing"}, not on ${asked}` };
}
