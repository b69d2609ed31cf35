// What every act of a person stands on: the stores, the channels, and how a refusal is kept. Enters: who attempts what.
// Leaves: what the act leaves, or a Problem that is in the journal as well.
import { isOnChannel } from "../../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../../ingest/contract/release-key.ts";
import type { Clock } from "../../../runtime/clock.ts";
import { Problem } from "../../../runtime/problem.ts";
import type { AbsolutionStore } from "../../journal/absolution-store.ts";
import type { FreezeStore } from "../../journal/freeze-store.ts";
import type { Journal } from "../../journal/journal.ts";
import { operatorDraft } from "../../journal/operator-record.ts";
import type { ActRecord } from "../../journal/operator-record.ts";
import type { SummaryStore } from "../../journal/summary-store.ts";
import { readChannelView } from "../../jobs/channel-view.ts";
import type { WatchedChannel } from "../../jobs/watched-channel.ts";
import type { ChannelView } from "../../policy/situation.ts";
import { channelHistory } from "../../rollback/channel-history.ts";
import type { DecisionStore } from "../../rollback/decision-store.ts";
import type { Caller } from "../authenticate.ts";
import { ADMIN_PROBLEMS } from "../problems.ts";
import type { TargetFacts } from "./objections.ts";

export interface ActDeps {
  readonly findChannel: (key: ChannelKey) => WatchedChannel | undefined;
  readonly summaries: SummaryStore;
  readonly decisions: DecisionStore;
  readonly absolutions: AbsolutionStore;
  readonly freezes: FreezeStore;
  readonly journal: Journal;
  /** Wakes the pipeline: there is a decision in the outbox, or something to evaluate. */
  readonly onDecision: (decisionId: string) => Promise<void>;
  readonly onChange: (key: ChannelKey | "all") => Promise<void>;
  /** Has a release judged anew though no count of it changed. */
  readonly judgeAnew: (release: ReleaseKey) => Promise<void>;
  readonly clock: Clock;
}

/** An act, before it is known whether it may be done. */
export type Attempt = Omit<ActRecord, "stage" | "code" | "operator">;

/** A refusal changes nothing, and is in the journal: who tried what is worth knowing. */
export async function attempt<T>(
  { journal, clock }: Pick<ActDeps, "journal" | "clock">,
  caller: Caller,
  { asked, act }: { readonly asked: Attempt; readonly act: () => Promise<T> },
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Problem) {
      const { code } = error.kind;
      const record: ActRecord = { operator: caller.name, ...asked, stage: "refused", code };
      await journal.append(operatorDraft(record, clock()));
    }
    throw error;
  }
}

export function watchedOf(key: ChannelKey, { findChannel }: ActDeps): WatchedChannel {
  const watched = findChannel(key);
  if (watched !== undefined) return watched;
  throw new Problem(ADMIN_PROBLEMS.unknown_channel, {
    detail: `The configuration names no channel ${key.channel} of ${key.app}; GET /v1/status lists those it does.`,
  });
}

export type KnownView = Extract<ChannelView, { kind: "known" }>;

export async function knownView(watched: WatchedChannel, deps: ActDeps): Promise<KnownView> {
  const view = await readChannelView(watched, deps);
  if (view.kind === "known") return view;
  throw new Problem(ADMIN_PROBLEMS.ota_server_unavailable, {
    detail: `What the channel offers could not be read, so nothing was changed: ${view.detail}`,
  });
}

/** What speaks for and against versions of a channel. */
export async function factsOf(
  { key, policy, minimumVersion }: WatchedChannel,
  deps: ActDeps,
): Promise<Omit<TargetFacts, "target">> {
  const nowMs = deps.clock();
  const [decisions, absolutions, all, freezes] = await Promise.all([
    deps.decisions.list(),
    deps.absolutions.list(),
    deps.summaries.list(),
    deps.freezes.list(nowMs),
  ]);
  const { condemned, pastRollbacks } = channelHistory({ decisions, absolutions }, key, "rollback");
  const failing = new Set(
    all
      .filter(({ verdict: { kind, release } }) => kind === "failing" && isOnChannel(release, key))
      .map(({ verdict }) => verdict.release.version),
  );
  return { channelKey: key, policy, minimumVersion, condemned, failing, pastRollbacks, freezes, nowMs };
}
