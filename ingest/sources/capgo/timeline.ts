// When a device switched between bundles, as far as its own events tell: that is what says which release a download
// failure or a crash belongs to. The plugin stamps both with the bundle that runs when it *reports*, which after a
// device has healed itself is the good one (shared reference, ota-systems.md 1.5). Pure.
//
// A timeline is a set of moments, each named by what it says: however often and in whatever order events come, the same
// set comes of them, and an event is only ever held against moments before it. So a batch that is sent again is
// attributed as it was the first time.

export type Moment =
  /** The app was switched to `version`, from `from` where that was told. */
  | {
      readonly kind: "set";
      readonly atMs: number;
      readonly version: string;
      readonly from: string | undefined;
    }
  /** `version` did not boot: the device went back to what it had been switched from. */
  | { readonly kind: "revert"; readonly atMs: number; readonly version: string }
  /** A download of `version` began. */
  | { readonly kind: "download"; readonly atMs: number; readonly version: string };

export type Timeline = readonly Moment[];

/** Moments that are kept of a device: the newest. */
export const MOMENTS_MAX = 8;

/** Oldest first; at the same millisecond in the order in which a plugin says it. */
const ORDER: Readonly<Record<Moment["kind"], number>> = { download: 0, revert: 1, set: 2 };

export function inOrder(moments: Iterable<Moment>): Timeline {
  return [...moments].toSorted(
    (left, right) => left.atMs - right.atMs || ORDER[left.kind] - ORDER[right.kind],
  );
}

/** What the device ran at a time; undefined where its events don't tell. */
export function runningAt(timeline: Timeline, atMs: number): string | undefined {
  const switches = timeline.filter(({ kind }) => kind !== "download");
  const before = switches.filter((moment) => moment.atMs <= atMs);
  const last = before.at(-1);
  // The first switch after it says what it was switched from.
  if (last === undefined) return fromOf(switches[0]);
  return last.kind === "set" ? last.version : beforeRevert(before, last.version);
}

function fromOf(moment: Moment | undefined): string | undefined {
  return moment?.kind === "set" ? moment.from : undefined;
}

/** What the version that did not boot had been switched to from. */
function beforeRevert(switches: Timeline, version: string): string | undefined {
  return fromOf(switches.findLast((moment) => moment.kind === "set" && moment.version === version));
}

/** Whether this `set` only puts back what ran before a bundle that did not boot. */
export function isReturn(timeline: Timeline, { version, atMs }: { version: string; atMs: number }): boolean {
  const before = timeline.filter((moment) => moment.kind !== "download" && moment.atMs < atMs);
  const last = before.at(-1);
  return last?.kind === "revert" && last.version !== version;
}

/**
 * Of which release something failed to be fetched or unpacked; undefined where that can't be told. The bundle that runs
 * was fetched long ago: then it was another, and nobody knows which. A bundle is only blamed where the device is known to
 * run another one, or to have begun to fetch this one.
 */
export function fetchedVersion(
  timeline: Timeline,
  { version, atMs }: { version: string; atMs: number },
): string | undefined {
  const until = timeline.filter((moment) => moment.atMs <= atMs);
  const isSwitched = until.some(({ kind }) => kind !== "download");
  const running = isSwitched ? runningAt(until, atMs) : undefined;
  if (running === version) return undefined;
  const isBegun = until.some((moment) => moment.kind === "download" && moment.version === version);
  return running !== undefined || isBegun ? version : undefined;
}

export interface Crash {
  /** The bundle that ran when it was reported. */
  readonly version: string;
  readonly atMs: number;
  readonly exitedAtMs: number | undefined;
}

/** Without the time of a crash: so long before its report the device must not have switched, in milliseconds. */
export const CRASH_TOLD_MS_MAX = 3_600_000;

/** Which bundle crashed; undefined where that can't be told. */
export function crashedVersion(timeline: Timeline, { version, atMs, exitedAtMs }: Crash): string | undefined {
  const sinceMs = exitedAtMs ?? atMs - CRASH_TOLD_MS_MAX;
  const until = timeline.filter((moment) => moment.atMs <= atMs);
  const isSwitchedSince = until.some((moment) => moment.kind !== "download" && moment.atMs > sinceMs);
  if (!isSwitchedSince) return version;
  return exitedAtMs === undefined ? undefined : runningAt(until, exitedAtMs);
}
