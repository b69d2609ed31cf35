// The evaluation job: judges every release of a channel whose counts changed, and decides about those that are accused:
// by their verdict, by an alert of the user's own, or because they were condemned before and are offered again.
// Enters: a channel. Leaves: verdicts, holds, decisions.
import { formatReleaseKey, isOnChannel, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import { groupBy } from "../health/release-history.ts";
import type { AlertRequest, AlertStore } from "../journal/alert-store.ts";
import { PASSING_REASONS, isWeaker } from "../policy/decision.ts";
import { isToDecide } from "../policy/decide.ts";
import { withdrawApprovals } from "./approvals.ts";
import { decideOn } from "./decide-on.ts";
import type { Accusation, DecideDeps } from "./decide-on.ts";
import { judgeRelease } from "./judge-release.ts";
import type { JudgeDeps, Judged } from "./judge-release.ts";
import { offeredAgain } from "./offered-again.ts";
import type { WatchedChannel } from "./watched-channel.ts";

export interface EvaluateDeps extends JudgeDeps, DecideDeps {
  readonly alerts: AlertStore;
  /** Before the first write; the answer tells later whether all of them survive the death of a server. */
  readonly watchReplication: () => () => Promise<boolean>;
}

export async function evaluateChannel(watched: WatchedChannel, deps: EvaluateDeps): Promise<void> {
  const isReplicated = deps.watchReplication();
  const dirty = (await deps.health.listDirty()).filter(({ release }) => isOnChannel(release, watched.key));
  const alerts = await deps.alerts.listOn(watched.key);
  const again = await offeredAgain(watched.key, deps);
  const releases = new Map(
    [
      ...dirty.map(({ release }) => release),
      ...(await heldReleases(watched.key, deps)),
      ...alerts.map(({ release }) => release),
      ...again.map(({ release }) => release),
    ].map((release) => [formatReleaseKey(release), release]),
  );
  const judged = new Map<string, Judged>();
  for (const [text, release] of releases) judged.set(text, await judgeRelease(release, watched.policy, deps));
  await withdrawApprovals(watched.key, judged, deps);
  const accusations: Accusation[] = [
    ...again.map(({ release, sentence }) => ({ cause: "offered_again" as const, release, sentence })),
    ...[...judged.values()]
      .filter(({ verdict }) => isToDecide(verdict))
      .map(({ verdict }) => ({ cause: "evidence" as const, release: verdict.release })),
    ...strongestFirst(alerts).map(({ release, action, sentence }) => ({
      cause: "alert" as const,
      release,
      action,
      sentence,
    })),
  ];
  await answerAccusations(watched, { judged, accusations }, deps);
  // Last: whatever fails above leaves the releases on the list, and the next sweep evaluates them again; as it
  // does those whose failures still have to settle.
  // The list is kept by other servers of a cluster than what was decided: it must not be cleared while a
  // decision could still be lost.
  if (!(await isReplicated())) return;
  for (const each of dirty)
    if (judged.get(formatReleaseKey(each.release))?.isSettled !== false) await deps.health.clearDirty(each);
}

/** Who is not accused any more is not held back either. */
async function answerAccusations(
  watched: WatchedChannel,
  { judged, accusations }: { judged: ReadonlyMap<string, Judged>; accusations: readonly Accusation[] },
  deps: EvaluateDeps,
): Promise<void> {
  const byRelease = groupBy(accusations, ({ release }) => formatReleaseKey(release));
  for (const [text, ofRelease] of byRelease) {
    const found = judged.get(text)!;
    await decideOn(
      watched,
      ofRelease.map((accusation) => ({ ...found, ...accusation })),
      deps,
    );
  }
  for (const [text, { verdict }] of judged) if (!byRelease.has(text)) await deps.holds.clear(verdict.release);
}

function strongestFirst(alerts: readonly AlertRequest[]): AlertRequest[] {
  return alerts.toSorted((left, right) => (isWeaker(left.action, right.action) ? 1 : -1));
}

/** Held rollbacks whose reason may be over without a new report having come. */
async function heldReleases(key: ChannelKey, { holds }: EvaluateDeps): Promise<ReleaseKey[]> {
  const held = [...(await holds.list())].filter(([, { reason }]) => PASSING_REASONS.has(reason));
  return held.map(([text]) => parseReleaseKey(text)).filter((release) => isOnChannel(release, key));
}
