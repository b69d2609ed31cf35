// The baseline of a release: the channel's other live versions that came before it and are not condemned, with what
// they did since a day before it appeared. Enters: the stores. Leaves: what the judge compares with.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { ReleaseHealth } from "../health/health-window.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { BASELINE_BEFORE_MINUTES, chooseBaseline } from "../judge/baseline-choice.ts";
import { NO_BASELINE } from "../judge/judge.ts";
import type { Baseline } from "../judge/judge.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import { channelHistory } from "../rollback/channel-history.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";

/** Versions that are looked at for it: a channel may have thousands, of which hardly any is still in use. */
const LIVE_VERSIONS_MAX = 64;

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
  const chosen = chooseBaseline(
    live
      .filter((summary) => summary !== undefined)
      .map((summary) => ({
        summary,
        version: summary.verdict.release.version,
        sinceMs: summary.firstReportAtMs,
      })),
    { version: release.version, sinceMs: firstReportAtMs },
    new Set([...condemned, ...(await heldBefore(release, firstReportAtMs, holds))]),
  ).map(({ summary }) => summary);
  if (chosen.length === 0) return NO_BASELINE;
  const sinceMinute = firstDay.dayMinute - BASELINE_BEFORE_MINUTES;
  return {
    versions: chosen.map(({ verdict }) => verdict.release.version),
    histories: await Promise.all(
      chosen.map(({ verdict }) => health.readHistory(verdict.release, { sinceMinute })),
    ),
    running: chosen.reduce((sum, { verdict }) => sum + verdict.devices.running, 0),
  };
}

/**
 * One that failed before this one came, and was not rolled back, must not make its successor look good. One that fails
 * since then may be hit by what hits all.
 */
async function heldBefore(
  { app, channel }: ChannelKey,
  sinceMs: number,
  holds: BaselineDeps["holds"],
): Promise<Version[]> {
  return [...(await holds.list())].flatMap(([text, { reason, since }]) => {
    const held = parseReleaseKey(text);
    const isOld = reason !== "environment" && Date.parse(since) < sinceMs;
    return held.app === app && held.channel === channel && isOld ? [held.version] : [];
  });
}
