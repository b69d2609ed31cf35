// Decisions in Redis: recorded with their journal entry and their place in the outbox (or among those that wait for a
// person) in one atomic step, at most one for each condemned release. The outbox is what survives: a decision leaves
// it only together with the entry that tells how it ended.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import {
  APPROVALS,
  DECISIONS,
  DECISIONS_COUNT,
  FOLLOW_UPS,
  HOLDS,
  OUTBOX,
  OUTBOX_ASKED,
  OUTBOX_REFUSED,
  OUTBOX_TRIES,
} from "../journal/control-keys.ts";
import type { AppendResult, Journal, JournalOperation } from "../journal/journal.ts";
import type { JournalDraft } from "../journal/journal-entry.ts";
import { FOLLOW_UP_KINDS, parseDecisionRecord } from "./decision-record.ts";
import type { Approval, DecisionOutcome, DecisionRecord, FollowUp, FollowUpKind } from "./decision-record.ts";

export interface DecisionStore {
  /**
   * `exists`: this release has had its decision before. `moved`: another decision was recorded since `count` was read, so
   * what this one rests on (budgets, rounds) may not hold any more. Nothing was written.
   */
  record(
    decision: DecisionRecord,
    options?: { readonly draft?: JournalDraft; readonly count?: string },
  ): Promise<AppendResult>;
  /** Of decisions recorded ever; read before what a decision rests on. */
  readCount(): Promise<string>;
  /** `missing`: the decision has had its outcome before (a job that was taken over); nothing was written. */
  recordOutcome(
    decision: DecisionRecord,
    outcome: DecisionOutcome,
    followUp?: FollowUp,
  ): Promise<AppendResult>;
  /** A person's yes: it goes into the outbox. `missing`: it waits no longer, and nothing was written. */
  approve(decision: DecisionRecord, approval: Approval, draft: JournalDraft): Promise<AppendResult>;
  /** It waits no longer, and nothing will be done. `missing`: it did not wait. */
  closeApproval(
    decision: DecisionRecord,
    end: { readonly approval: Approval; readonly outcome: DecisionOutcome; readonly draft: JournalDraft },
  ): Promise<AppendResult>;
  /** `missing`: nobody watches it any more, or another agent has told this. `decision` as it was read. */
  recordFollowUp(
    decision: DecisionRecord,
    followUp: FollowUp,
    then: "watch_on" | "let_go",
  ): Promise<AppendResult>;
  /** Nothing changed but how many devices run it. */
  noteFollowUp(decision: DecisionRecord, followUp: FollowUp): Promise<void>;
  letGo(id: string): Promise<void>;
  read(id: string): Promise<DecisionRecord | undefined>;
  /** Newest first. */
  list(): Promise<DecisionRecord[]>;
  listPending(): Promise<string[]>;
  listWaiting(): Promise<DecisionRecord[]>;
  listFollowed(): Promise<DecisionRecord[]>;
  isPending(id: string): Promise<boolean>;
  /** Counts one more try; leaves: how many there were, this one included. */
  countTry(id: string): Promise<number>;
  /** The OTA server is asked now: from here on it may have acted. */
  noteAsked(id: string): Promise<void>;
  wasAsked(id: string): Promise<boolean>;
  /** Since when the server has been saying no without a break; this time included. Epoch milliseconds. */
  refusedSince(id: string, nowMs: number): Promise<number>;
  /** It did not say no this time. */
  notRefused(id: string): Promise<void>;
}

export function createDecisionStore({ redis, journal }: { redis: Redis; journal: Journal }): DecisionStore {
  const readAll = async (ids: readonly string[]): Promise<DecisionRecord[]> => {
    if (ids.length === 0) return [];
    const rows = await redis.hmget(DECISIONS, ...ids);
    return rows.flatMap((row) => (row === null ? [] : [parseDecisionRecord(row)]));
  };
  const list = async (): Promise<DecisionRecord[]> => {
    const rows = await redis.hvals(DECISIONS);
    return rows.map(parseDecisionRecord).toSorted((left, right) => (left.at < right.at ? 1 : -1));
  };
  return {
    ...createWriter(redis, journal),
    async read(id) {
      const row = await redis.hget(DECISIONS, id);
      return row === null ? undefined : parseDecisionRecord(row);
    },
    list,
    listPending: () => redis.hkeys(OUTBOX),
    listWaiting: async () => readAll(await redis.hkeys(APPROVALS)),
    listFollowed: async () => readAll((await redis.hkeys(FOLLOW_UPS)).map((field) => field.split(" ")[0]!)),
    isPending: async (id) => (await redis.hexists(OUTBOX, id)) === 1,
    countTry: (id) => redis.hincrby(OUTBOX_TRIES, id, 1),
    noteAsked: async (id) => void (await redis.hset(OUTBOX_ASKED, id, "1")),
    wasAsked: async (id) => (await redis.hexists(OUTBOX_ASKED, id)) === 1,
    async refusedSince(id, nowMs) {
      await redis.hsetnx(OUTBOX_REFUSED, id, nowMs);
      return Number((await redis.hget(OUTBOX_REFUSED, id)) ?? nowMs);
    },
    notRefused: async (id) => void (await redis.hdel(OUTBOX_REFUSED, id)),
  };
}

const COUNT = { key: DECISIONS_COUNT, field: "n" } as const;

type Writer = Pick<
  DecisionStore,
  | "record"
  | "readCount"
  | "recordOutcome"
  | "approve"
  | "closeApproval"
  | "recordFollowUp"
  | "noteFollowUp"
  | "letGo"
>;

function createWriter(redis: Redis, journal: Journal): Writer {
  return {
    record: (
      decision,
      { draft = { kind: "decision", at: decision.at, body: { ...decision } } as const, count } = {},
    ) =>
      journal.append(draft, [
        ...(count === undefined ? [] : [{ op: "equals", ...COUNT, value: count } as const]),
        { op: "increment", ...COUNT, value: "1" },
        ...decisionOperations(decision),
      ]),
    readCount: async () => (await redis.hget(COUNT.key, COUNT.field)) ?? "",
    recordOutcome(decision, outcome, followUp) {
      const { id } = decision;
      const watched = followUp === undefined ? [] : [watch(id, followUp)];
      return journal.append(outcomeDraft(decision, outcome), [
        { op: "present", key: OUTBOX, field: id },
        setDecision({ ...decision, outcome, follow_up: followUp ?? null }),
        ...[OUTBOX, OUTBOX_ASKED, OUTBOX_TRIES, OUTBOX_REFUSED].map(
          (key) => ({ op: "delete", key, field: id }) as const,
        ),
        ...watched,
      ]);
    },
    approve: (decision, approval, draft) =>
      journal.append(draft, [
        { op: "present", key: APPROVALS, field: decision.id },
        setDecision({ ...decision, approval }),
        { op: "delete", key: APPROVALS, field: decision.id },
        { op: "set", key: OUTBOX, field: decision.id, value: decision.at },
      ]),
    closeApproval: (decision, { approval, outcome, draft }) =>
      journal.append(draft, [
        { op: "present", key: APPROVALS, field: decision.id },
        setDecision({ ...decision, approval, outcome }),
        { op: "delete", key: APPROVALS, field: decision.id },
      ]),
    recordFollowUp(decision, followUp, then) {
      const { id } = decision;
      const field = followUpField(id, decision.follow_up!.kind);
      return journal.append({ kind: "follow_up", at: followUp.at, body: { decision_id: id, ...followUp } }, [
        { op: "present", key: FOLLOW_UPS, field },
        setDecision({ ...decision, follow_up: followUp }),
        { op: "delete", key: FOLLOW_UPS, field },
        ...(then === "watch_on" ? [watch(id, followUp)] : []),
      ]);
    },
    noteFollowUp: async (decision, followUp) =>
      void (await redis.hset(DECISIONS, decision.id, JSON.stringify({ ...decision, follow_up: followUp }))),
    letGo: async (id) =>
      void (await redis.hdel(FOLLOW_UPS, ...FOLLOW_UP_KINDS.map((kind) => followUpField(id, kind)))),
  };
}

function followUpField(id: string, kind: FollowUpKind): string {
  return `${id} ${kind}`;
}

function watch(id: string, { kind, at }: FollowUp): JournalOperation {
  return { op: "set", key: FOLLOW_UPS, field: followUpField(id, kind), value: at };
}

function setDecision(decision: DecisionRecord): JournalOperation {
  return { op: "set", key: DECISIONS, field: decision.id, value: JSON.stringify(decision) };
}

function outcomeDraft({ id }: DecisionRecord, outcome: DecisionOutcome): JournalDraft {
  return { kind: "outcome", at: outcome.at, body: { decision_id: id, ...outcome } };
}

function decisionOperations(decision: DecisionRecord): JournalOperation[] {
  const { id, mode, approval, outcome } = decision;
  const recorded: JournalOperation[] = [
    { op: "absent", key: DECISIONS, field: id },
    setDecision(decision),
    // What a person does besides leaves standing what a guard holds back.
    ...(mode === "manual" ? [] : [{ op: "delete", key: HOLDS, field: formatReleaseKey(decision) } as const]),
  ];
  // Recorded as it ended: a page, or a shadow.
  if (mode === "shadow" || outcome !== null) return recorded;
  return approval === null
    ? [...recorded, { op: "set", key: OUTBOX, field: id, value: decision.at }]
    : [...recorded, { op: "set", key: APPROVALS, field: id, value: approval.expires_at }];
}
