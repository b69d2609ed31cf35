// The sweep: finds what time has made due, and what a crash may have left lying. Devices whose deadline has
// passed, changed counts that nobody evaluated, rollbacks that a guard held back for a reason that may be
// over, and decisions that are still in the outbox.
import { formatChannelKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { PASSING_REASONS } from "../policy/decision.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";

/**
 * A held rollback is looked at again after a tenth of the time that it has been held, within these bounds
 * in milliseconds: often while it is young, and an OTA server is not asked every few seconds for weeks.
 */
export const LOOK_AGAIN_MS_LEAST = 5_000;
export const LOOK_AGAIN_MS_MAX = 60_000;

export interface SweepDeps {
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly holds: HoldStore;
  readonly decisions: DecisionStore;
  readonly fold: (shards: readonly number[]) => Promise<void>;
  readonly evaluate: (channels: readonly ChannelKey[]) => Promise<void>;
  readonly rollback: (decisionIds: readonly string[]) => Promise<void>;
  readonly nowMs: number;
}

export async function sweep(deps: SweepDeps): Promise<void> {
  const { health, decisions, fold, evaluate, rollback, nowMs } = deps;
  await fold(await health.listDueShards(nowMs));
  const dirty = (await health.listDirty()).map(({ release }) => release);
  const channels = new Map(
    [...dirty, ...(await dueHolds(deps))].map(({ app, channel }) => [
      formatChannelKey({ app, channel }),
      { app, channel },
    ]),
  );
  await evaluate([...channels.values()]);
  await rollback(await decisions.listPending());
}

async function dueHolds({ holds, summaries, nowMs }: SweepDeps): Promise<ReleaseKey[]> {
  const due: ReleaseKey[] = [];
  for (const [text, { reason, since }] of await holds.list()) {
    if (!PASSING_REASONS.has(reason)) continue;
    const release = parseReleaseKey(text);
    const lookedAtMs = (await summaries.read(release))?.evaluatedAtMs ?? 0;
    if (isLookedAtAgain({ nowMs, lookedAtMs, heldSinceMs: Date.parse(since) })) due.push(release);
  }
  return due;
}

export interface HeldTimes {
  readonly nowMs: number;
  readonly lookedAtMs: number;
  readonly heldSinceMs: number;
}

/** What was last looked at in our future was so by a clock that was set back since: it must not wait until then. */
export function isLookedAtAgain({ nowMs, lookedAtMs, heldSinceMs }: HeldTimes): boolean {
  return nowMs < lookedAtMs || nowMs - lookedAtMs >= lookAgainMs(nowMs - heldSinceMs);
}

/** A negative age counts as young, for the same reason. */
function lookAgainMs(heldForMs: number): number {
  return Math.min(LOOK_AGAIN_MS_MAX, Math.max(LOOK_AGAIN_MS_LEAST, heldForMs / 10));
}
