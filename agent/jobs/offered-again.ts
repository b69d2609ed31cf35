// A condemned version that its channel offers again, after its rollback had gone through: it is condemned at once, on
// the evidence there was. Enters: a channel, as it was seen last. Leaves: the release, with what there is to say.
import type { ChannelKey, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { DONE_OUTCOMES } from "../rollback/outcome.ts";

export interface OfferedAgain {
  readonly release: ReleaseKey;
  readonly sentence: string;
}

export interface OfferedAgainDeps {
  readonly decisions: DecisionStore;
  readonly summaries: SummaryStore;
  readonly absolutions: AbsolutionStore;
}

export async function offeredAgain(key: ChannelKey, deps: OfferedAgainDeps): Promise<OfferedAgain[]> {
  const seen = await deps.summaries.readChannel(key);
  if (seen === undefined || seen.version === null) return [];
  const release = { ...key, version: seen.version };
  // A server that goes back by releasing old content again has more than one name for it.
  const names: readonly Version[] = [
    seen.version,
    ...(seen.releases?.find(({ version }) => version === seen.version)?.sameAs ?? []),
  ];
  const decisions = (await deps.decisions.list()).filter(
    ({ app, channel, mode, action }) =>
      app === key.app && channel === key.channel && mode !== "shadow" && action === "rollback",
  );
  const ofRelease = decisions.filter(({ version }) => names.includes(version));
  // One is under way, or a person said no: nothing more is asked.
  if (ofRelease.some(({ outcome }) => outcome === null || outcome.kind === "rejected")) return [];
  const newest = ofRelease.find(isDone);
  if (newest === undefined || !ofRelease.some((each) => isDone(each) && each.mode !== "manual")) return [];
  if (Date.parse(newest.outcome!.at) >= seen.readAtMs) return [];
  const absolutions = await Promise.all(
    [newest, release].map(({ version }) => deps.absolutions.read({ ...key, version })),
  );
  if (absolutions.some((absolution) => absolution !== undefined && absolution.at >= newest.at)) return [];
  // A person put it back through Lastgood: they will have known why.
  if (
    decisions.some(
      (each) => isDone(each) && each.target !== null && names.includes(each.target) && each.at > newest.at,
    )
  )
    return [];
  const name = newest.version === release.version ? "" : `, as ${release.version}`;
  const sentence = `${newest.version} was rolled back at ${newest.outcome!.at} (${newest.id}) and is offered again${name}.`;
  return [{ release, sentence }];
}

function isDone({ outcome }: DecisionRecord): boolean {
  return outcome !== null && DONE_OUTCOMES.has(outcome.kind);
}
