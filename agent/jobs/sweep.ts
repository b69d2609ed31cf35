// The sweep: finds again what a crash may have left lying. Changed counts that nobody evaluated, rollbacks
// that a guard held back (their reason may be over), and decisions that are still in the outbox.
import { formatChannelKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";

export interface SweepDeps {
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly decisions: DecisionStore;
  readonly evaluate: (channels: readonly ChannelKey[]) => Promise<void>;
  readonly rollback: (decisionIds: readonly string[]) => Promise<void>;
}

export async function sweep({ health, summaries, decisions, evaluate, rollback }: SweepDeps): Promise<void> {
  const dirty = (await health.listDirty()).map(({ release }) => release);
  const held = [...(await summaries.listHolds()).keys()].map(parseReleaseKey);
  const channels = new Map(
    [...dirty, ...held].map(({ app, channel }) => [formatChannelKey({ app, channel }), { app, channel }]),
  );
  await evaluate([...channels.values()]);
  await rollback(await decisions.listPending());
}
