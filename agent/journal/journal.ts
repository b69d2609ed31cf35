// The journal in Redis: append-only, hash-chained, and written in one atomic step with the state that an
// entry tells of. Enters: drafts with operations on hashes. Leaves: entries, in order.
import { sleep } from "../../runtime/clock.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import { JOURNAL, JOURNAL_HEAD } from "./control-keys.ts";
import { GENESIS_HASH, hashEntry } from "./journal-entry.ts";
import type { JournalDraft, JournalEntry } from "./journal-entry.ts";

const APPEND = loadLuaScript(new URL("./lua/append.lua", import.meta.url));
/** Appends that may lose the race for the head before it is an error: every loss means another's success. */
const APPEND_TRIES_MAX = 100;
const RETRY_PAUSE_MS_MAX = 5;
/** Entries that one page of the journal holds at most. */
export const JOURNAL_PAGE_MAX = 1_000;

/**
 * What is written with an entry. `absent` and `present` make the whole append conditional on a field not
 * existing, or existing.
 */
export type JournalOperation =
  | { readonly op: "absent" | "present"; readonly key: string; readonly field: string }
  | { readonly op: "equals"; readonly key: string; readonly field: string; readonly value: string }
  | { readonly op: "set"; readonly key: string; readonly field: string; readonly value: string }
  | { readonly op: "increment"; readonly key: string; readonly field: string; readonly value: string }
  | { readonly op: "delete"; readonly key: string; readonly field: string };

export type AppendResult = "appended" | "exists" | "missing" | "moved";

export interface Journal {
  /** `exists` or `missing`: a field that had to be absent was there, or the reverse; nothing was written. */
  append(draft: JournalDraft, operations?: readonly JournalOperation[]): Promise<AppendResult>;
  /** Entries after `afterSeq`, oldest first. */
  read(options: { readonly afterSeq: number; readonly limit: number }): Promise<JournalEntry[]>;
  /** What the newest entry is called, and its hash; as kept beside the entries, not as read from them. */
  head(): Promise<{ readonly seq: number; readonly hash: string }>;
}

export function createJournal({ redis }: { redis: Redis }): Journal {
  // One after the other: appends of this process would only take the head away from each other.
  let before: Promise<unknown> = Promise.resolve();
  return {
    append(draft, operations = []) {
      const appended = before.then(() => appendInTurn(redis, draft, operations));
      before = appended.catch(() => {});
      return appended;
    },
    async read({ afterSeq, limit }) {
      const count = Math.max(1, Math.min(limit, JOURNAL_PAGE_MAX));
      const rows = await redis.xrange(JOURNAL, `(${afterSeq}-0`, "+", "COUNT", count);
      return rows.map(([, fields]) => JSON.parse(fields[1]!) as JournalEntry);
    },
    async head() {
      const [seq, hash] = await redis.hmget(JOURNAL_HEAD, "seq", "hash");
      return { seq: Number(seq ?? 0), hash: hash ?? GENESIS_HASH };
    },
  };
}

async function appendInTurn(
  redis: Redis,
  draft: JournalDraft,
  operations: readonly JournalOperation[],
): Promise<AppendResult> {
  for (let tries = 0; tries < APPEND_TRIES_MAX; tries += 1) {
    const result = await tryAppend(redis, draft, operations);
    if (result !== "head_moved") return result;
    // By chance, so that two processes in step with each other do not lose to each other for ever.
    await sleep(Math.random() * RETRY_PAUSE_MS_MAX);
  }
  throw new Error(`the journal's head moved ${APPEND_TRIES_MAX} times while one entry was to be appended`);
}

async function tryAppend(
  redis: Redis,
  draft: JournalDraft,
  operations: readonly JournalOperation[],
): Promise<AppendResult | "head_moved"> {
  const [headSeq, headHash] = await redis.hmget(JOURNAL_HEAD, "seq", "hash");
  const seq = Number(headSeq ?? 0) + 1;
  const unsigned = { seq, at: draft.at, kind: draft.kind, body: draft.body, prev: headHash ?? GENESIS_HASH };
  const entry: JournalEntry = { ...unsigned, hash: hashEntry(unsigned) };
  const keys = [JOURNAL, JOURNAL_HEAD, ...operations.map(({ key }) => key)];
  const args = [headSeq ?? "0", seq, JSON.stringify(entry), entry.hash, operations.length];
  for (const operation of operations)
    args.push(operation.op, operation.field, "value" in operation ? operation.value : "");
  return (await APPEND.run(redis, keys, args)) as AppendResult | "head_moved";
}
