// The baseline of a release: the channel's other live versions that came before it and are not condemned, with what
// they did since a day before it appeared. Enters: the stores. Leaves: what the judge compares with.
import { compareVersions } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { NO_BASELINE } from "../judge/judge.ts";
import type { Baseline } from "../judge/judge.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";

/** Versions that a release is compared with at most: those reported about last. More would hardly add a device. */
export const BASELINE_VERSIONS_MAX = 8;
/** Versions that are looked at for it: a channel may have thousands, of which hardly any is still in use. */
const LIVE_VERSIONS_MAX = 64;
/** What the baseline did before the release appeared tells what is usual, in minutes. */
const BEFORE_MINUTES = 24 * 60;

export interface BaselineDeps {
  readonly health: Pick<HealthStore, "readHistory">;
  readonly summaries: SummaryStore;
  readonly decisions: Pick<DecisionStore, "historyOn">;
}

export async function readBaseline(
  release: ReleaseKey,
  history: ReleaseHistory,
  { health, summaries, decisions }: BaselineDeps,
): Promise<Baseline> {
  const firstDay = history.days[0];
  if (firstDay === undefined) return NO_BASELINE;
  const live = await summaries.listLive(release, {
    sinceMs: firstDay.dayMinute * 60_000,
    most: LIVE_VERSIONS_MAX,
  });
  // A fix must not make the release before it look bad: only what came before is a measure.
  const earlier = live.filter((version) => compareVersions(version, release.version) < 0);
  if (earlier.length === 0) return NO_BASELINE;
  const { condemned } = await decisions.historyOn(release);
  const versions = earlier.filter((version) => !condemned.has(version)).slice(0, BASELINE_VERSIONS_MAX);
  const sinceMinute = firstDay.dayMinute - BEFORE_MINUTES;
  const histories = await Promise.all(
    versions.map((version) => health.readHistory({ ...release, version }, { sinceMinute })),
  );
  const read = await Promise.all(versions.map((version) => summaries.read({ ...release, version })));
  const running = read.reduce((sum, summary) => sum + (summary?.verdict.devices.running ?? 0), 0);
  return { versions, histories, running };
}
