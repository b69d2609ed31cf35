// What is known of which bundle a device ran when: the moments at which it switched, reverted, fetched a bundle, or was seen
// to run one. Pure. Enters: moments, in any order, repeated or not. Leaves: answers that are a function of the set of moments.
//
// It is needed because Capgo's events do not always name the bundle that they are about (ota-systems 1.5). Times are by the
// device's own clock, as the times that they are compared with: a clock that is wrong by years changes nothing. But Android's
// background downloads tell no time: those are by our clock, and compared with nothing else.

export interface Moment {
  readonly kind: MomentKind;
  readonly atMs: number;
  readonly version: string;
  /** Of a `set`: what ran until then, as far as it says. */
  readonly from?: string;
}

export type MomentKind =
  /** The version runs from then on. */
  | "set"
  /** It runs no more. What does follows from a `set`, if the device told one: the store build is told by none. */
  | "revert"
  /** A download of it was under way. */
  | "download"
  /** The same, by our clock. */
  | "fetch"
  /** It was seen to run. */
  | "runs";

/** A bundle that is fallen back to is set by the plugin at once; so long may it seem to take, in milliseconds. */
export const RETURN_MS_MAX = 10_000;

export interface Running {
  readonly version: string;
  /** Of the moment by which it is known. */
  readonly sinceMs: number;
}

/** By the newest moment until then; undefined = unknown. */
export function runningAt(moments: readonly Moment[], atMs: number): Running | undefined {
  const before = moments.filter((moment) => !isDownload(moment) && moment.atMs <= atMs);
  const sinceMs = before.reduce((latestMs, moment) => Math.max(latestMs, moment.atMs), -Infinity);
  const version = runningAfter(before.filter((moment) => moment.atMs === sinceMs));
  return version === undefined ? undefined : { version, sinceMs };
}

/** Moments of one millisecond. Who is set, runs; a bundle that ends in it, is what ran before. */
function runningAfter(moments: readonly Moment[]): string | undefined {
  const ended = versionsOf(moments, "revert");
  const set = versionsOf(moments, "set").filter((version) => !ended.includes(version));
  if (set.length > 0) return only(set);
  return ended.length > 0 ? undefined : only(versionsOf(moments, "runs"));
}

function versionsOf(moments: readonly Moment[], kind: Moment["kind"]): string[] {
  return [...new Set(moments.filter((moment) => moment.kind === kind).map(({ version }) => version))];
}

/** Two at the same moment: nobody can say. */
function only(versions: readonly string[]): string | undefined {
  return versions.length === 1 ? versions[0] : undefined;
}

/** Whether the device switched after `fromMs`, and no later than `toMs`. */
export function switchedBetween(moments: readonly Moment[], fromMs: number, toMs: number): boolean {
  return moments.some(
    ({ kind, atMs }) => (kind === "set" || kind === "revert") && atMs > fromMs && atMs <= toMs,
  );
}

/** What ran at a time before all that is known, by the first switch after it; undefined = it does not say. */
export function ranBeforeSwitch(moments: readonly Moment[], atMs: number): string | undefined {
  const later = moments.filter(({ kind, atMs: ms }) => (kind === "set" || kind === "revert") && ms > atMs);
  const firstMs = later.reduce((earliest, moment) => Math.min(earliest, moment.atMs), Infinity);
  const first = later.filter((moment) => moment.atMs === firstMs);
  // A way back names the store build, whatever ran.
  if (first.some((moment) => moment.kind === "revert" || isReturn(moments, moment))) return undefined;
  return only([...new Set(first.flatMap(({ from }) => (from === undefined ? [] : [from])))]);
}

function isDownload({ kind }: Moment): boolean {
  return kind === "download" || kind === "fetch";
}

/** By our clock, how long ago a download may have been under way that an event is about, in milliseconds. */
export const FETCH_MS_MAX = 3_600_000;

/**
 * Whether a download of it began before, and it has not run since, as far as is known. `atMs`: by the device's clock;
 * `receivedAtMs`: by ours.
 */
export function wasFetching(
  moments: readonly Moment[],
  version: string,
  { atMs, receivedAtMs }: { readonly atMs: number; readonly receivedAtMs: number },
): boolean {
  const latestMs = (isMeant: (moment: Moment) => boolean): number =>
    moments
      .filter((moment) => moment.version === version && isMeant(moment))
      .reduce((latest, moment) => Math.max(latest, moment.atMs), -Infinity);
  const fetchedMs = latestMs(({ kind, atMs: fetchMs }) => kind === "fetch" && fetchMs <= receivedAtMs);
  if (receivedAtMs - fetchedMs <= FETCH_MS_MAX) return true;
  const began = latestMs((moment) => moment.kind === "download" && moment.atMs <= atMs);
  return began > latestMs((moment) => !isDownload(moment) && moment.atMs <= atMs);
}

/** Whether a `set` is the way back after a bundle that did not boot, and no update. */
export function isReturn(moments: readonly Moment[], set: { atMs: number; version: string }): boolean {
  return moments.some(
    (revert) =>
      revert.kind === "revert" &&
      revert.version !== set.version &&
      revert.atMs <= set.atMs &&
      set.atMs - revert.atMs <= RETURN_MS_MAX &&
      !moments.some(
        (other) =>
          // Something else was set in between, or it was fetched only then: the way back was over.
          (other.kind === "set" && other.atMs > revert.atMs && other.atMs < set.atMs) ||
          (other.kind === "download" && other.version === set.version && other.atMs > revert.atMs),
      ),
  );
}
