// A condemned version that its channel offers again, after its rollback had gone through: it is condemned at once, on
// the evidence there was. Enters: a channel, as it was seen last. Leaves: the release, with what there is to say.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";

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
  const text = formatReleaseKey(release);
  const [newest] = (await deps.decisions.list()).filter(
    ({ mode, action, ...each }) =>
      action === "rollback" && mode !== "shadow" && formatReleaseKey(each) === text,
  );
  if (newest === undefined || newest.mode === "manual" || !isDone(newest, seen.readAtMs)) return [];
  const absolution = await deps.absolutions.read(release);
  if (absolution !== undefined && absolution.at >= newest.at) return [];
  const sentence = `${release.version} was rolled back at ${newest.outcome!.at} (${newest.id}) and is offered again.`;
  return [{ release, sentence }];
}

/** Its rollback went through before the channel was seen with it again. */
function isDone({ outcome }: DecisionRecord, seenAtMs: number): boolean {
  return (
    outcome !== null &&
    (outcome.kind === "applied" || outcome.kind === "already_applied") &&
    Date.parse(outcome.at) < seenAtMs
  );
}
