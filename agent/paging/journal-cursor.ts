// A reader's place in the journal, in Redis, for whoever tells of each entry once: over restarts, and whichever agent
// does it. Enters: the reader's name. Leaves: entries after its place. An entry is begun before it is told and the
// place moves when it was; what was begun and never ended (a crash, a lost answer) is said, so that the reader can look
// whether it had been told.
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import { JOURNAL_CURSORS, JOURNAL_HEAD } from "../journal/control-keys.ts";
import type { JournalEntry } from "../journal/journal-entry.ts";
import type { Journal } from "../journal/journal.ts";

const ADVANCE = loadLuaScript(new URL("./lua/advance-cursor.lua", import.meta.url));

export interface Begun {
  readonly seq: number;
  readonly atMs: number;
}

export interface JournalCursor {
  /** The next entries, oldest first. A reader that is new begins with what is written from then on. */
  read(
    limit: number,
  ): Promise<{ readonly entries: readonly JournalEntry[]; readonly begun: Begun | undefined }>;
  /** `taken`: this entry, or another, was begun before and has not ended. */
  begin(seq: number, nowMs: number): Promise<"begun" | "taken">;
  /** As `begin`, of an entry that was begun before and given up. */
  beginAgain(seq: number, nowMs: number): Promise<void>;
  /** It was surely not told: it comes again. */
  undo(): Promise<void>;
  /** Everything up to this entry is done. */
  advance(seq: number): Promise<void>;
}

export function createJournalCursor({
  redis,
  journal,
  name,
}: {
  readonly redis: Redis;
  readonly journal: Journal;
  readonly name: string;
}): JournalCursor {
  const begunField = `${name}:begun`;
  const toText = (seq: number, nowMs: number): string => JSON.stringify({ seq, atMs: nowMs } satisfies Begun);
  return {
    async read(limit) {
      const [place, begun] = await redis.hmget(JOURNAL_CURSORS, name, begunField);
      const afterSeq = place === null || place === undefined ? await beginHere(redis, name) : Number(place);
      const before = begun === null || begun === undefined ? undefined : (JSON.parse(begun) as Begun);
      // Left by an agent that stood still while another told of this entry: it must not block the next.
      if (before !== undefined && before.seq <= afterSeq) await redis.hdel(JOURNAL_CURSORS, begunField);
      return { entries: await journal.read({ afterSeq, limit }), begun: before };
    },
    begin: async (seq, nowMs) =>
      (await redis.hsetnx(JOURNAL_CURSORS, begunField, toText(seq, nowMs))) === 1 ? "begun" : "taken",
    beginAgain: async (seq, nowMs) =>
      void (await redis.hset(JOURNAL_CURSORS, begunField, toText(seq, nowMs))),
    undo: async () => void (await redis.hdel(JOURNAL_CURSORS, begunField)),
    advance: async (seq) => void (await ADVANCE.run(redis, [JOURNAL_CURSORS], [name, seq])),
  };
}

/** The history from before somebody wanted to hear of it is not told. */
async function beginHere(redis: Redis, name: string): Promise<number> {
  const head = (await redis.hget(JOURNAL_HEAD, "seq")) ?? "0";
  await redis.hsetnx(JOURNAL_CURSORS, name, head);
  return Number((await redis.hget(JOURNAL_CURSORS, name)) ?? head);
}
