// What the channel was like at an earlier time, as far as counts tell: what it offered, and how many devices ran what.
// Pure. Enters: releases in order, what was done by then, counts by then. Leaves: a ChannelView; running and active devices.
import type { Version } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { ChannelView, PastRollback } from "../policy/situation.ts";
import type { KnownRelease } from "./channel-facts.ts";

/** The newest release offered, or, where it was left, what it was left for; `releases` in order, oldest first. */
export function channelViewAt(
  releases: readonly KnownRelease[],
  pastRollbacks: readonly PastRollback[],
  nowMs: number,
): ChannelView {
  const seen = releases.filter(({ sinceMs }) => sinceMs <= nowMs).map(({ version }) => version);
  return {
    kind: "known",
    version: offered(seen.at(-1), pastRollbacks),
    releases: seen.toReversed().map((version) => ({ version })),
  };
}

function offered(newest: Version | undefined, pastRollbacks: readonly PastRollback[]): Version | null {
  const left = new Set<Version>();
  let version = newest;
  while (version !== undefined && !left.has(version)) {
    left.add(version);
    const hop = pastRollbacks.find(({ from }) => from === version);
    if (hop === undefined) return version;
    version = hop.to;
  }
  return version ?? null;
}

/** One release's part in it; in the order in which they came. */
export interface Takers {
  /** As of now. */
  readonly now: OutcomeCounts;
  /** Of the windows, as it was. */
  readonly byThen: OutcomeCounts;
  /** Whether devices were known to use it by then. */
  readonly isUsed: boolean;
}

export interface DevicesThen {
  readonly running: number;
  readonly active: number;
}

/**
 * Neither carries a time. Whoever confirmed by then took the release up, and left the newest release before it; who only
 * ever used it was there since its first hour of use. As many of those who took it up are active as are of all today.
 */
export function devicesThen(releases: readonly Takers[]): DevicesThen[] {
  const running: number[] = [];
  const active: number[] = [];
  for (const { now, byThen, isUsed } of releases) {
    const ever = Math.max(now.confirmed, now.active, now.running);
    const untried = isUsed ? ever - now.confirmed : 0;
    let movers = byThen.confirmed;
    for (let index = running.length - 1; index >= 0 && movers > 0; index -= 1) {
      const moved = Math.min(running[index]!, movers);
      running[index]! -= moved;
      movers -= moved;
    }
    running.push(byThen.confirmed + untried);
    active.push(ever === 0 ? 0 : Math.round((now.active * (byThen.confirmed + untried)) / ever));
  }
  return running.map((devices, index) => ({ running: devices, active: active[index]! }));
}
