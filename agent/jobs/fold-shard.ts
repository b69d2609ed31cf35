// The fold job: works one shard off, batch by batch, until nothing waits. A batch that another agent has
// folded meanwhile is simply read again from where the cursor is now.
import { formatChannelKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { fold } from "../health/fold.ts";
import type { FoldPlan } from "../health/fold.ts";
import type { ShardStore } from "../health/shard-store.ts";

export interface FoldShardOptions {
  readonly store: ShardStore;
  /** Told after each commit which channels' counts changed. */
  readonly onChange: (channels: readonly ChannelKey[]) => void;
  readonly isStopping: () => boolean;
}

export interface FoldResult {
  readonly batches: number;
  readonly reports: number;
  /** Batches whose commit lost against another agent's. */
  readonly lost: number;
}

export async function foldShard({ store, onChange, isStopping }: FoldShardOptions): Promise<FoldResult> {
  const result = { batches: 0, reports: 0, lost: 0 };
  let madeRoom = { cursor: "", channels: new Set<string>() };
  while (!isStopping()) {
    const batch = await store.readBatch();
    if (batch === undefined) break;
    const [releaseTable, stateOf] = await Promise.all([
      store.readReleaseTable(batch.cursor),
      store.readStates(batch.reports),
    ]);
    const plan = fold({ reports: batch.reports, releaseTable, stateOf });
    // Once per batch and channel: what still finds no place then is one batch's flood of invented versions.
    if (madeRoom.cursor !== batch.cursor) madeRoom = { cursor: batch.cursor, channels: new Set() };
    const full = fullChannels(plan).find((key) => !madeRoom.channels.has(formatChannelKey(key)));
    if (full !== undefined) {
      madeRoom.channels.add(formatChannelKey(full));
      await store.retireReleases(batch.cursor, full);
      continue;
    }
    if ((await store.commit(batch, plan, releaseTable)) === "cursor_moved") {
      result.lost += 1;
      continue;
    }
    result.batches += 1;
    result.reports += batch.reports.length;
    onChange(channelsOf(plan.releases.keys()));
    if (!batch.hasMore) break;
  }
  return result;
}

function fullChannels({ refused }: FoldPlan): ChannelKey[] {
  return refused
    .filter(({ reason }) => reason === "too_many_releases_on_channel")
    .map(({ report: { app, channel } }) => ({ app, channel }));
}

function channelsOf(releaseTexts: Iterable<string>): ChannelKey[] {
  const channels = new Map<string, ChannelKey>();
  for (const text of releaseTexts) {
    const { app, channel } = parseReleaseKey(text);
    channels.set(formatChannelKey({ app, channel }), { app, channel });
  }
  return [...channels.values()];
}
