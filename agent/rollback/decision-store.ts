// Decisions in Redis: recorded with their journal entry and their place in the outbox in one atomic step,
// at most one for each condemned release. The outbox is what survives: a decision leaves it only
// together with the entry that tells how it ended.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { DECISIONS, HOLDS, OUTBOX, OUTBOX_REFUSED, OUTBOX_TRIES } from "../journal/control-keys.ts";
import type { AppendResult, Journal, JournalOperation } from "../journal/journal.ts";
import type { PastRollback, Situation } from "../policy/situation.ts";
import type { DecisionOutcome, DecisionRecord } from "./decision-record.ts";

/** What Lastgood decided on a channel before; as the policy's Situation wants it. */
export type ChannelHistory = Pick<Situation, "condemned" | "rolledBack" | "pastRollbacks">;

export interface DecisionStore {
  /** `exists`: this release has had its decision before; nothing was written. */
  record(decision: DecisionRecord): Promise<AppendResult>;
  /** `missing`: the decision has had its outcome before (a job that was taken over); nothing was written. */
  recordOutcome(decision: DecisionRecord, outcome: DecisionOutcome): Promise<AppendResult>;
  read(id: string): Promise<DecisionRecord | undefined>;
  /** Newest first. */
  list(): Promise<DecisionRecord[]>;
  listPending(): Promise<string[]>;
  isPending(id: string): Promise<boolean>;
  /** Counts one more try; leaves: how many there were, this one included. */
  countTry(id: string): Promise<number>;
  /** Since when the server has been saying no without a break; this time included. Epoch milliseconds. */
  refusedSince(id: string, nowMs: number): Promise<number>;
  /** It did not say no this time. */
  notRefused(id: string): Promise<void>;
  /** Decisions about this release that ended as `stale`: nothing was done, so they do not use up its rollback. */
  staleRounds(release: ReleaseKey): Promise<number>;
  historyOn(key: ChannelKey): Promise<ChannelHistory>;
}

export function createDecisionStore({ redis, journal }: { redis: Redis; journal: Journal }): DecisionStore {
  const list = async (): Promise<DecisionRecord[]> => {
    const rows = await redis.hvals(DECISIONS);
    return rows.map(parse).toSorted((left, right) => (left.at < right.at ? 1 : -1));
  };
  return {
    record: (decision) =>
      journal.append(
        { kind: "decision", at: decision.at, body: { ...decision } },
        decisionOperations(decision),
      ),
    recordOutcome(decision, outcome) {
      const value = JSON.stringify({ ...decision, outcome } satisfies DecisionRecord);
      return journal.append(
        { kind: "outcome", at: outcome.at, body: { decision_id: decision.id, ...outcome } },
        [
          { op: "present", key: OUTBOX, field: decision.id },
          { op: "set", key: DECISIONS, field: decision.id, value },
          { op: "delete", key: OUTBOX, field: decision.id },
          { op: "delete", key: OUTBOX_TRIES, field: decision.id },
          { op: "delete", key: OUTBOX_REFUSED, field: decision.id },
        ],
      );
    },
    async read(id) {
      const row = await redis.hget(DECISIONS, id);
      return row === null ? undefined : parse(row);
    },
    list,
    listPending: () => redis.hkeys(OUTBOX),
    isPending: async (id) => (await redis.hexists(OUTBOX, id)) === 1,
    countTry: (id) => redis.hincrby(OUTBOX_TRIES, id, 1),
    async refusedSince(id, nowMs) {
      await redis.hsetnx(OUTBOX_REFUSED, id, nowMs);
      return Number((await redis.hget(OUTBOX_REFUSED, id)) ?? nowMs);
    },
    notRefused: async (id) => void (await redis.hdel(OUTBOX_REFUSED, id)),
    async staleRounds(release) {
      const text = formatReleaseKey(release);
      const decisions = await list();
      return decisions.filter((each) => formatReleaseKey(each) === text && each.outcome?.kind === "stale")
        .length;
    },
    async historyOn(key) {
      const decisions = (await list()).filter(
        (decision) => isOn(decision, key) && decision.mode === "automatic",
      );
      return {
        condemned: new Set(decisions.map(({ version }) => version)),
        rolledBack: new Set(
          decisions.filter(({ outcome }) => outcome?.kind !== "stale").map(({ version }) => version),
        ),
        pastRollbacks: decisions.filter(wasActed).map(toPastRollback),
      };
    },
  };
}

function decisionOperations(decision: DecisionRecord): JournalOperation[] {
  const release = formatReleaseKey(decision);
  const recorded: JournalOperation[] = [
    { op: "absent", key: DECISIONS, field: decision.id },
    { op: "set", key: DECISIONS, field: decision.id, value: JSON.stringify(decision) },
    { op: "delete", key: HOLDS, field: release },
  ];
  if (decision.mode === "shadow") return recorded;
  return [...recorded, { op: "set", key: OUTBOX, field: decision.id, value: decision.at }];
}

function parse(row: string): DecisionRecord {
  return JSON.parse(row) as DecisionRecord;
}

function isOn(decision: ReleaseKey, key: ChannelKey): boolean {
  return decision.app === key.app && decision.channel === key.channel;
}

/** Counts for cooldown and one-hop: what reached the server, or may still reach it. */
function wasActed({ outcome }: DecisionRecord): boolean {
  return (
    outcome === null ||
    outcome.kind === "applied" ||
    outcome.kind === "already_applied" ||
    outcome.kind === "failed"
  );
}

/** The cooldown begins when the server had answered: until then nothing has changed for devices. */
function toPastRollback({ version, target, at, outcome }: DecisionRecord): PastRollback {
  return { from: version, to: target, atMs: Date.parse(outcome?.at ?? at) };
}
