// Reads what a replay needs of one channel. Enters: a channel, the stores. Leaves: its releases with all their windows,
// as many as may be held at once, and what was decided about them.
import { isOnChannel } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { HealthStore } from "../health/health-store.ts";
import { ALL_WINDOWS } from "../health/release-windows.ts";
import type { HealthWindow, ReleaseHealth } from "../health/health-window.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import type { ChannelFacts, PastDecision, ReleaseFacts } from "./channel-facts.ts";
import { devicesExposed } from "./replay-channel.ts";

/** Releases of a channel that are looked at, at most: those reported about last. */
export const REPLAY_RELEASES_MAX = 64;
/** Windows of a channel that are held at once: some hundred megabytes. A release that goes beyond it is left out. */
export const REPLAY_WINDOWS_MAX = 200_000;

export interface ReadChannelDeps {
  readonly health: Pick<HealthStore, "listReleases" | "readRelease" | "readFirstContacts" | "streamWindows">;
  readonly decisions: Pick<DecisionStore, "list">;
}

export interface ReadChannelOptions {
  readonly key: ChannelKey;
  readonly minimumVersion: Version | undefined;
  readonly releasesMax?: number;
  readonly windowsMax?: number;
}

export async function readChannelFacts(
  {
    key,
    minimumVersion,
    releasesMax = REPLAY_RELEASES_MAX,
    windowsMax = REPLAY_WINDOWS_MAX,
  }: ReadChannelOptions,
  { health, decisions }: ReadChannelDeps,
): Promise<ChannelFacts> {
  const known: ReleaseHealth[] = [];
  for (const release of await health.listReleases())
    if (isOnChannel(release, key)) known.push(await health.readRelease(release));
  const newestFirst = known.filter(({ lastReportAtMs }) => lastReportAtMs > 0).toSorted(byNewestReport);
  const releases: ReleaseFacts[] = [];
  let windowsLeft = windowsMax;
  for (const each of newestFirst.slice(0, releasesMax)) {
    const windows = await readWindows(each.release, health, windowsLeft);
    if (windows === "too_many") break;
    windowsLeft -= windows.length;
    releases.push({ health: each, windows, contacts: await health.readFirstContacts(each.release) });
  }
  const others = newestFirst
    .slice(releases.length)
    .map(({ release, firstReportAtMs }) => ({ version: release.version, sinceMs: firstReportAtMs }));
  return { key, minimumVersion, releases, others, decisions: await readDecisions(key, decisions) };
}

/** The order in which a shard tells its releases says nothing. */
function byNewestReport(left: ReleaseHealth, right: ReleaseHealth): number {
  const later = right.lastReportAtMs - left.lastReportAtMs;
  return later === 0 ? (left.release.version < right.release.version ? 1 : -1) : later;
}

async function readWindows(
  release: ReleaseKey,
  health: ReadChannelDeps["health"],
  most: number,
): Promise<HealthWindow[] | "too_many"> {
  const windows: HealthWindow[] = [];
  for await (const ofSlot of health.streamWindows(release, ALL_WINDOWS)) {
    windows.push(...ofSlot);
    if (windows.length > most) return "too_many";
  }
  return windows;
}

async function readDecisions(
  key: ChannelKey,
  decisions: ReadChannelDeps["decisions"],
): Promise<PastDecision[]> {
  const all = (await decisions.list()).filter((decision) => isOnChannel(decision, key));
  return all
    .map(toPastDecision)
    .toSorted((left, right) => left.atMs - right.atMs || (left.id < right.id ? -1 : 1));
}

function toPastDecision({
  id,
  at,
  version,
  action,
  mode,
  target,
  evidence,
  outcome,
}: DecisionRecord): PastDecision {
  return {
    id,
    atMs: Date.parse(at),
    version,
    action,
    mode,
    target,
    devices: devicesExposed(evidence.devices),
    outcome: outcome?.kind ?? null,
  };
}
