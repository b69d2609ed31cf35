// How a Lastgood channel maps to Mender, as pure functions. Mender has no channels: it has deployments, each of one
// artifact to devices that are chosen once. A channel is the deployments to one group (or those to all devices), and what
// it offers is what the newest of them brings. Enters: deployments as the server lists them. Leaves: a ChannelState.
import type { MenderTarget } from "../../config/ota-servers/mender.ts";
import { versionSchema } from "../../../ingest/contract/release-key.ts";
import type { ChannelKey, Version } from "../../../ingest/contract/release-key.ts";
import type { ChannelState, Release } from "../ota-server.ts";
import type { MenderDeployment } from "./mender-api.ts";

/** Releases of a channel that are told, newest first: what is older is no place to go back to. */
export const MENDER_RELEASES_MAX = 10;

export interface MenderChannel {
  readonly key: ChannelKey;
  readonly target: MenderTarget;
  /** Its group `version` is the version; null = an artifact's name is one. */
  readonly artifact: RegExp | null;
}

export interface ChannelDeployment {
  readonly id: string;
  readonly artifactName: string;
  readonly version: Version;
  /** RFC 3339. */
  readonly created: string;
  /** Devices may still begin it. */
  readonly isRunning: boolean;
  readonly isAborted: boolean;
  /** A device was told to install it: only then can one have it. */
  readonly wasHandedOut: boolean;
  /** Made by Lastgood; undefined = by somebody else. */
  readonly repair: Repair | undefined;
}

export interface Repair {
  readonly decisionId: string;
  readonly part: number;
  readonly parts: number;
}

const REPAIR_NAME =
  /^Lastgood rollback (?<decision>\S+) \((?<app>[^\s/]+)\/(?<channel>[^\s/]+)\): \S+ -> \S+(?: part (?<part>\d+) of (?<parts>\d+))?$/;

/** The only text that Mender keeps with a deployment: it must tell people what it is, and us that it is ours. */
export function repairName(
  { decisionId, app, channel, from, to }: ChannelKey & { decisionId: string; from: Version; to: Version },
  { part, parts }: { readonly part: number; readonly parts: number },
): string {
  const which = parts === 1 ? "" : ` part ${part} of ${parts}`;
  return `Lastgood rollback ${decisionId} (${app}/${channel}): ${from} -> ${to}${which}`;
}

function readRepairName(
  name: string,
): (Repair & { readonly app: string; readonly channel: string }) | undefined {
  const { groups } = REPAIR_NAME.exec(name) ?? {};
  if (groups === undefined) return undefined;
  const { decision, app, channel, part = "1", parts = "1" } = groups;
  return { decisionId: decision!, app: app!, channel: channel!, part: Number(part), parts: Number(parts) };
}

/** Undefined for an artifact that is not one of this app. */
export function versionOf(artifactName: string, artifact: RegExp | null): Version | undefined {
  const text = artifact === null ? artifactName : artifact.exec(artifactName)?.groups?.["version"];
  const parsed = versionSchema.safeParse(text);
  return parsed.success ? parsed.data : undefined;
}

/** Those of the channel, newest first, each once. */
export function deploymentsOf(
  channel: MenderChannel,
  listed: readonly MenderDeployment[],
): readonly ChannelDeployment[] {
  const byId = new Map(listed.map((deployment) => [deployment.id, deployment]));
  const mine = [...byId.values()].flatMap((deployment) => {
    const read = readDeployment(deployment, channel);
    return read === undefined ? [] : [{ ...read, maxDevices: deployment.max_devices ?? undefined }];
  });
  // A deployment to one device bears that device's groups, as if it were to the group: somebody's trial is no release.
  const isLarge = mine.some(({ repair, maxDevices = 0 }) => repair === undefined && maxDevices > 1);
  return mine
    .filter(({ repair, maxDevices }) => repair !== undefined || maxDevices !== 1 || !isLarge)
    .toSorted((left, right) => Date.parse(right.created) - Date.parse(left.created));
}

function readDeployment(
  deployment: MenderDeployment,
  { key, target, artifact }: MenderChannel,
): ChannelDeployment | undefined {
  const { id, name, artifact_name: artifactName, created, status, groups, type } = deployment;
  if (type === "configuration") return undefined;
  const version = versionOf(artifactName, artifact);
  if (version === undefined) return undefined;
  const repair = readRepairName(name);
  const isOf =
    repair === undefined
      ? isToTarget(groups ?? [], target)
      : repair.app === key.app && repair.channel === key.channel;
  if (!isOf) return undefined;
  const counters = deployment.statistics?.status ?? {};
  const { ended, handedOut, aborted } = addUp(counters);
  const isRunning = status !== "finished";
  return {
    id,
    artifactName,
    version,
    created,
    isRunning,
    // The server keeps no word for it: an aborted deployment is `finished` before all its devices have.
    isAborted: !isRunning && (aborted > 0 || ended < (deployment.max_devices ?? 0)),
    wasHandedOut: handedOut > 0,
    repair:
      repair === undefined
        ? undefined
        : { decisionId: repair.decisionId, part: repair.part, parts: repair.parts },
  };
}

function isToTarget(groups: readonly string[], target: MenderTarget): boolean {
  return target.kind === "all_devices" ? groups.length === 0 : groups.includes(target.group);
}

const ENDED = ["success", "failure", "noartifact", "already-installed", "aborted", "decommissioned"];
/** A device in one of these has been told nothing. */
const NOT_TOLD = ["pending", "noartifact", "decommissioned"];

function addUp(counters: Readonly<Record<string, number>>): {
  readonly ended: number;
  readonly handedOut: number;
  readonly aborted: number;
} {
  const sum = (isCounted: (status: string) => boolean): number =>
    Object.entries(counters).reduce((total, [status, count]) => total + (isCounted(status) ? count : 0), 0);
  return {
    ended: sum((status) => ENDED.includes(status)),
    handedOut: sum((status) => !NOT_TOLD.includes(status)),
    aborted: counters["aborted"] ?? 0,
  };
}

/**
 * Those that make the channel what it is, newest first. Not: one that was aborted before any device was told of it
 * (nobody has it, nobody will), and a repair of which parts are missing yet.
 */
export function effective(deployments: readonly ChannelDeployment[]): readonly ChannelDeployment[] {
  return deployments.filter(
    (deployment) =>
      (deployment.isRunning || deployment.wasHandedOut) &&
      (deployment.repair === undefined || isComplete(deployment.repair, deployments)),
  );
}

export function isComplete(
  { decisionId, parts }: Pick<Repair, "decisionId" | "parts">,
  deployments: readonly ChannelDeployment[],
): boolean {
  const there = new Set(
    deployments.flatMap(({ repair }) => (repair?.decisionId === decisionId ? [repair.part] : [])),
  );
  return Array.from({ length: parts }, (_, index) => index + 1).every((part) => there.has(part));
}

/** The newest deployments in a row that bring what the channel offers, newest first. */
function currentRun(deployments: readonly ChannelDeployment[]): readonly ChannelDeployment[] {
  const all = effective(deployments);
  const other = all.findIndex(({ version }) => version !== all[0]?.version);
  return other < 0 ? all : all.slice(0, other);
}

/** All releases; which of them the server still holds is not known here. */
export function toState(deployments: readonly ChannelDeployment[]): ChannelState {
  const run = currentRun(deployments);
  const newest = run[0];
  const isRunning = run.some((deployment) => deployment.isRunning);
  return {
    version: newest?.version ?? null,
    releases: releasesOf(effective(deployments)),
    // Ended by itself, there is nothing left to pause, and nobody paused it: then it is not said.
    ...(isRunning ? { paused: false } : newest?.isAborted === true ? { paused: true } : {}),
  };
}

/** A repair does not release anew what it brings back; what nobody else deployed has only its repair's time. */
function releasesOf(deployments: readonly ChannelDeployment[]): readonly Release[] {
  const byVersion = new Map<Version, Release>();
  const released = deployments.filter(({ repair }) => repair === undefined);
  for (const { version, created } of [...released, ...deployments])
    if (!byVersion.has(version)) byVersion.set(version, { version, releasedAt: created });
  return [...byVersion.values()].toSorted(
    (left, right) => Date.parse(right.releasedAt) - Date.parse(left.releasedAt),
  );
}
