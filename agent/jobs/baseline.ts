// The baseline of a release: the channel's other live versions that came before it and are not condemned, with what
// they did since a day before it appeared. Enters: the stores. Leaves: what the judge compares with.
import { compareVersions, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Version } from "../../ingest/contract/release-key.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { ReleaseHealth } from "../health/health-window.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import type { ReleaseSummary, SummaryStore } from "../journal/summary-store.ts";
import { NO_BASELINE } from "../judge/judge.ts";
import type { Baseline } from "../judge/judge.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import { channelHistory } from "../rollback/channel-history.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";

/** Versions that a release is compared with at most: those that came just before. More would hardly add a device. */
export const BASELINE_VERSIONS_MAX = 8;
/** Versions that are looked at for it: a channel may have thousands, of which hardly any is still in use. */
const LIVE_VERSIONS_MAX = 64;
/** What the baseline did before the release appeared tells what is usual, in minutes. */
const BEFORE_MINUTES = 24 * 60;

export interface BaselineDeps {
  readonly health: Pick<HealthStore, "readHistory">;
  readonly summaries: SummaryStore;
  readonly decisions: Pick<DecisionStore, "list">;
  readonly holds: Pick<HoldStore, "list">;
  readonly absolutions: Pick<AbsolutionStore, "list">;
}

export async function readBaseline(
  { release, firstReportAtMs }: Pick<ReleaseHealth, "release" | "firstReportAtMs">,
  history: ReleaseHistory,
  { health, summaries, decisions, holds, absolutions }: BaselineDeps,
): Promise<Baseline> {
  const firstDay = history.days[0];
  if (firstDay === undefined) return NO_BASELINE;
  const names = await summaries.listLive(release, {
    sinceMs: firstDay.dayMinute * 60_000,
    most: LIVE_VERSIONS_MAX,
  });
  const live = await Promise.all(
    names
      .filter((version) => version !== release.version)
      .map((version) => summaries.read({ ...release, version })),
  );
  const records = { decisions: await decisions.list(), absolutions: await absolutions.list() };
  const { condemned } = channelHistory(records, release, "rollback");
  // One that failed before this one came, and was not rolled back, must not make its successor look good. One that fails
  // since then may be hit by what hits all.
  const heldBefore = new Set(
    [...(await holds.list())].flatMap(([text, { reason, since }]) => {
      const held = parseReleaseKey(text);
      const isOn = held.app === release.app && held.channel === release.channel;
      const isOld = reason !== "environment" && Date.parse(since) < firstReportAtMs;
      return isOn && isOld ? [held.version] : [];
    }),
  );
  // A fix must not make the release before it look bad: only what came before is a measure.
  const chosen = live
    .filter((summary) => summary !== undefined)
    .filter(({ verdict, firstReportAtMs: sinceMs }) => {
      const { version } = verdict.release;
      if (condemned.has(version) || heldBefore.has(version)) return false;
      return cameBefore({ version, sinceMs }, { version: release.version, sinceMs: firstReportAtMs });
    })
    // Those that came last, whoever was reported about last: a set that changes from look to look would not keep the budget.
    .toSorted((left, right) => (cameBefore(seenOf(left), seenOf(right)) ? 1 : -1))
    .slice(0, BASELINE_VERSIONS_MAX);
  if (chosen.length === 0) return NO_BASELINE;
  const sinceMinute = firstDay.dayMinute - BEFORE_MINUTES;
  return {
    versions: chosen.map(({ verdict }) => verdict.release.version),
    histories: await Promise.all(
      chosen.map(({ verdict }) => health.readHistory(verdict.release, { sinceMinute })),
    ),
    running: chosen.reduce((sum, { verdict }) => sum + verdict.devices.running, 0),
  };
}

function seenOf({ verdict, firstReportAtMs }: ReleaseSummary): Seen {
  return { version: verdict.release.version, sinceMs: firstReportAtMs };
}

interface Seen {
  readonly version: Version;
  /** When it was first reported about. */
  readonly sinceMs: number;
}

/** By number where both have one that begins like `1.2` or `v7`; a hash or a name has no order but when it was first seen. */
export function cameBefore(left: Seen, right: Seen): boolean {
  const isNumbered = ({ version }: Seen): boolean => /^v?\d+([.+_-]|$)/i.test(version);
  if (isNumbered(left) && isNumbered(right)) return compareVersions(left.version, right.version) < 0;
  return left.sinceMs < right.sinceMs;
}
