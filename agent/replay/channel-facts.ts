// What a replay is given: all that is stored of a channel's releases, and what was decided about them. Types, and the
// order in which the releases came. Pure.
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import type { FirstContacts, HealthWindow, ReleaseHealth } from "../health/health-window.ts";
import { cameBefore } from "../judge/baseline-choice.ts";
import { isWeaker } from "../policy/decision.ts";
import type { PolicyAction } from "../policy/decision.ts";
import type { PastRollback } from "../policy/situation.ts";

export interface ReleaseFacts {
  /** As of now. */
  readonly health: ReleaseHealth;
  /** All there are, told apart by stratum. */
  readonly windows: readonly HealthWindow[];
  /** As of now: when devices came to accuse is not kept. Left out = none does. */
  readonly contacts?: FirstContacts;
}

/** What really was decided about a release. */
export interface PastDecision {
  readonly id: string;
  readonly atMs: number;
  readonly version: Version;
  readonly action: PolicyAction;
  readonly mode: string;
  /** Null in an act that moves no device. */
  readonly target: Version | null;
  /** Devices that had tried the release by then. */
  readonly devices: number;
  /** Null = none yet. */
  readonly outcome: string | null;
}

export interface ChannelFacts {
  readonly key: ChannelKey;
  readonly minimumVersion: Version | undefined;
  readonly releases: readonly ReleaseFacts[];
  /** Those of which no more than this is looked at. */
  readonly others: readonly KnownRelease[];
  /** Oldest first. */
  readonly decisions: readonly PastDecision[];
}

/** Outcomes after which nothing had been done. */
const UNDONE: ReadonlySet<string> = new Set(["stale", "expired", "withdrawn", "rejected"]);

export interface PastActs {
  readonly condemned: Set<string>;
  /** Versions that have had this act, or a stronger one. */
  readonly acted: Set<string>;
  /** Newest first. */
  readonly pastRollbacks: PastRollback[];
}

/** What had been done before a time, as the policy wants it; shadow decisions touch nothing. */
export function actsBefore(
  decisions: readonly PastDecision[],
  { beforeMs, action }: { readonly beforeMs: number; readonly action: PolicyAction },
): PastActs {
  const real = decisions.filter(({ atMs, mode }) => atMs < beforeMs && mode !== "shadow");
  const own = real.filter(({ mode }) => mode !== "manual");
  const done = real.filter(({ outcome }) => outcome === null || !UNDONE.has(outcome));
  return {
    condemned: new Set(own.map(({ version }) => version)),
    acted: new Set(
      done
        .filter((decision) => decision.mode !== "manual" && !isWeaker(decision.action, action))
        .map(({ version }) => version),
    ),
    pastRollbacks: done
      .filter(({ outcome }) => outcome !== "refused")
      .flatMap(({ version, target, atMs, mode }) =>
        target === null
          ? []
          : [
              {
                from: version,
                to: target,
                as: target,
                atMs,
                by: mode === "manual" ? ("operator" as const) : ("lastgood" as const),
              },
            ],
      )
      .toReversed(),
  };
}

export interface KnownRelease {
  readonly version: Version;
  /** When it was first heard of, epoch milliseconds. */
  readonly sinceMs: number;
}

/**
 * Oldest first: by number where both have one, as a baseline is chosen, so that a straggler with an old version does not
 * look like the newest release; else by when they were first heard of. Versions that only decisions tell of are among them.
 */
export function releasesInOrder({ releases, others, decisions }: ChannelFacts): KnownRelease[] {
  const known = new Map(others.map((each): [string, KnownRelease] => [each.version, each]));
  for (const { health } of releases)
    if (health.firstReportAtMs > 0)
      known.set(health.release.version, {
        version: health.release.version,
        sinceMs: health.firstReportAtMs,
      });
  for (const { version, target, atMs } of decisions) {
    if (target === null || known.has(target)) continue;
    // It was there before the version that was left for it.
    known.set(target, { version: target, sinceMs: (known.get(version)?.sinceMs ?? atMs) - 1 });
  }
  return [...known.values()]
    .toSorted((left, right) => left.sinceMs - right.sinceMs || (left.version < right.version ? -1 : 1))
    .toSorted((left, right) => (cameBefore(left, right) ? -1 : cameBefore(right, left) ? 1 : 0));
}
