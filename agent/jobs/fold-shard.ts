// The fold job: works one shard off, batch by batch, until nothing waits, and then looks at the devices
// whose deadline has passed. What another agent has changed meanwhile is simply read again.
import { formatChannelKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { CountingRules } from "../health/counting-rules.ts";
import { fold } from "../health/fold.ts";
import type { FoldPlan } from "../health/fold-plan.ts";
import { orConflict } from "../health/revision.ts";
import type { Revision } from "../health/revision.ts";
import type { CommitResult } from "../health/shard-commit.ts";
import type { Batch, ShardStore } from "../health/shard-store.ts";
import { foldSilence } from "../health/visit.ts";

export interface FoldShardOptions {
  readonly store: ShardStore;
  readonly rules: CountingRules;
  /** Told after each commit which channels' counts changed. */
  readonly onChange: (channels: readonly ChannelKey[], plan: FoldPlan) => void;
  readonly isStopping: () => boolean;
  readonly nowMs: () => number;
  /**
   * Since when reports could come in without a gap up to then, epoch milliseconds; undefined if none could: then nobody is
   * silent. Asked of the very time by which devices are due: a clock that jumped back in between must vouch for nothing.
   */
  readonly heardFromMs: (nowMs: number) => Promise<number | undefined>;
  /** Since when devices of an app could be heard through its OTA server; left out = all report by themselves. */
  readonly readAppHeardFrom?: () => Promise<(app: string) => number>;
}

export interface FoldResult {
  readonly batches: number;
  readonly reports: number;
  /** Commits that lost against another agent's. */
  readonly lost: number;
}

export async function foldShard(options: FoldShardOptions): Promise<FoldResult> {
  const { store, isStopping, nowMs } = options;
  const result = { batches: 0, reports: 0, lost: 0 };
  const madeRoom = createRoomMaker(store);
  while (!isStopping()) {
    // Both before the read. What comes in after it is not folded yet, and its time must not pass for anybody;
    // and silence holds for what the shard was then: after a failover an older one may be back, whose entries wait.
    const drainedAtMs = nowMs();
    const position = await store.readPosition();
    const batch = await orConflict(() => store.readBatch(position));
    if (batch === "conflict") continue;
    if (batch === undefined) {
      const look = await orConflict(() => lookForSilence(options, position.revision, drainedAtMs));
      if (look === "nothing_due") break;
      if (look === "conflict") result.lost += 1;
      continue;
    }
    const plan = await orConflict(() => planOf(batch, options));
    if (plan !== "conflict" && (await madeRoom(batch, plan))) continue;
    if (plan === "conflict" || (await store.commitBatch(batch, plan)) === "conflict") {
      result.lost += 1;
      continue;
    }
    result.batches += 1;
    result.reports += batch.reports.length;
    options.onChange(channelsOf(plan), plan);
  }
  return result;
}

export async function planOf(
  batch: Batch,
  { store, rules }: Pick<FoldShardOptions, "store" | "rules">,
): Promise<FoldPlan> {
  const [tables, stateOf] = await Promise.all([
    store.readTables(batch.position.revision),
    store.readStates(batch.position.revision, batch.reports),
  ]);
  return fold({ reports: batch.reports, tables, stateOf, rules });
}

/**
 * Makes room where a channel's share of the table is full; leaves whether it did, and the batch must be read
 * again. Once per batch and channel: what still finds no place is one batch's flood of invented versions.
 */
function createRoomMaker(store: ShardStore): (batch: Batch, plan: FoldPlan) => Promise<boolean> {
  let made = { cursor: "", channels: new Set<string>() };
  return async ({ position: { cursor, revision } }, { refused }) => {
    if (made.cursor !== cursor) made = { cursor, channels: new Set() };
    const full = refused
      .filter(({ reason }) => reason === "too_many_releases_on_channel")
      .map(({ report: { app, channel } }) => ({ app, channel }))
      .find((key) => !made.channels.has(formatChannelKey(key)));
    if (full === undefined) return false;
    // Others may have committed without moving the cursor (a roll-up): then room is still to be made.
    if ((await store.retireReleases(revision, full)) === "committed")
      made.channels.add(formatChannelKey(full));
    return true;
  };
}

/** One commit of it. Whoever else has changed the shard meanwhile, it is drained again before the next look. */
async function lookForSilence(
  { store, rules, onChange, heardFromMs, readAppHeardFrom = heardThemselves }: FoldShardOptions,
  revision: Revision,
  nowMs: number,
): Promise<CommitResult | "nothing_due"> {
  const due = await store.readDue(revision, Math.floor(nowMs / 60_000));
  const fromMs = due === undefined ? undefined : await heardFromMs(nowMs);
  if (due === undefined || fromMs === undefined) return "nothing_due";
  const appHeardFromMs = await readAppHeardFrom();
  const { devices } = due;
  const [tables, stateOf] = await Promise.all([
    store.readTables(revision),
    store.readStates(revision, devices),
  ]);
  const plan = foldSilence({ devices, tables, stateOf, rules, nowMs, heardFromMs: fromMs, appHeardFromMs });
  const result = await store.commitVisit(revision, plan, due);
  if (result === "committed") onChange(channelsOf(plan), plan);
  return result;
}

function heardThemselves(): Promise<(app: string) => number> {
  return Promise.resolve(() => 0);
}

function channelsOf({ releases }: FoldPlan): ChannelKey[] {
  const channels = new Map<string, ChannelKey>();
  for (const text of releases.keys()) {
    const { app, channel } = parseReleaseKey(text);
    channels.set(formatChannelKey({ app, channel }), { app, channel });
  }
  return [...channels.values()];
}
