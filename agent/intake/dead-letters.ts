// The dead letters of all shards: what could not be folded, until somebody looks. Enters: ids, or "all of
// them". Leaves: pages of letters, and how many were put back into their report streams or thrown away.
// A letter that is put back and fails again becomes a new letter: nothing goes round in a loop.
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import { metaKey } from "../health/shard-keys.ts";
import {
  compareLetters,
  fieldsOfPayload,
  formatLetterId,
  kindOfPayload,
  letterTimeMs,
  parseLetterId,
} from "./dead-letter.ts";
import type { LetterKind, LetterPlace } from "./dead-letter.ts";

const LIST = loadLuaScript(new URL("./lua/list-dead-letters.lua", import.meta.url));
const REDRIVE = loadLuaScript(new URL("./lua/redrive-dead-letters.lua", import.meta.url));

/** Letters that one page holds at most. */
export const DEAD_LETTERS_PAGE_MAX = 500;
/** Letters that can be named at once. */
export const DEAD_LETTER_IDS_MAX = 1_000;
/** Bytes of a reason, and of a payload's beginning, that a page shows. */
export const LETTER_EXCERPT_BYTES = 400;
/** What one atomic step puts back at most: Redis does nothing else meanwhile. One letter always goes. */
export const REDRIVE_LETTERS_MAX = 200;
export const REDRIVE_BYTES_MAX = 4 * 1_024 ** 2;

export type LetterOrder = "newest" | "oldest";

export interface DeadLetterSummary {
  readonly id: string;
  readonly shard: number;
  readonly putAsideAtMs: number;
  readonly reason: string;
  readonly kind: LetterKind;
  /** Bytes of the whole payload. */
  readonly payloadBytes: number;
  /** The payload's beginning. */
  readonly excerpt: string;
}

export interface DeadLetterPage {
  readonly letters: readonly DeadLetterSummary[];
  /** Id to go on after; undefined when there are no more. */
  readonly next: string | undefined;
}

export interface LettersMoved {
  readonly moved: number;
  /** Ids of letters that are not there (any more). */
  readonly missing: readonly string[];
  /** Ids of letters that cannot become an entry again, because of what their payload is. */
  readonly unreadable: readonly string[];
}

export type LetterChoice = { readonly ids: readonly string[] } | { readonly all: true };

export interface DeadLetterStore {
  list(options: {
    readonly order: LetterOrder;
    readonly limit: number;
    /** Only of this shard. */
    readonly shard?: number | undefined;
    /** Id of the letter to go on after. */
    readonly after?: string | undefined;
  }): Promise<DeadLetterPage>;
  /** The whole payload of one. */
  read(id: string): Promise<{ readonly reason: string; readonly payload: string } | undefined>;
  /** "All" are those that are there when it begins: what comes back meanwhile stays. */
  redrive(choice: LetterChoice): Promise<LettersMoved>;
  discard(choice: LetterChoice): Promise<LettersMoved>;
  /** Letters there are, and letters that gave way to newer ones and were lost. */
  count(): Promise<{ readonly kept: number; readonly dropped: number }>;
}

export function createDeadLetterStore({ redis, shards }: { redis: Redis; shards: number }): DeadLetterStore {
  const shardNumbers = Array.from({ length: shards }, (_, shard) => shard);
  const readLetter = async ({ shard, entryId }: LetterPlace): Promise<string[] | undefined> =>
    shard < shards ? (await redis.xrange(deadLetterStream(shard), entryId, entryId))[0]?.[1] : undefined;

  /** Both ways of moving letters: group by group, each in its shard. */
  const move = async (choice: LetterChoice, moveGroup: MoveGroup): Promise<LettersMoved> => {
    const total = { moved: 0, missing: [] as string[], unreadable: [] as string[] };
    const groups = "all" in choice ? allGroups(redis, shardNumbers) : namedGroups(redis, shards, choice.ids);
    for await (const group of groups) {
      if ("missing" in group) {
        total.missing.push(...group.missing);
        continue;
      }
      const { moved, missing, unreadable } = await moveGroup(group);
      total.moved += moved;
      total.missing.push(...missing);
      total.unreadable.push(...unreadable);
    }
    return total;
  };

  return {
    list: (options) => listPage(redis, shardNumbers, options),
    async read(id) {
      const place = parseLetterId(id);
      const fields = place === undefined ? undefined : await readLetter(place);
      if (fields === undefined) return undefined;
      return { reason: valueOf(fields, "reason"), payload: valueOf(fields, "payload") };
    },
    redrive: (choice) => move(choice, (group) => redriveGroup(redis, group, readLetter)),
    discard: (choice) =>
      move(choice, async ({ shard, letters }) => {
        const moved = await redis.xdel(deadLetterStream(shard), ...letters.map(({ entryId }) => entryId));
        return { moved, missing: [], unreadable: [] };
      }),
    async count() {
      const rows = await Promise.all(
        shardNumbers.map(async (shard) => [
          await redis.xlen(deadLetterStream(shard)),
          Number((await redis.hget(metaKey(shard), "dead_dropped")) ?? 0),
        ]),
      );
      const sum = (position: 0 | 1): number => rows.reduce((total, row) => total + row[position]!, 0);
      return { kept: sum(0), dropped: sum(1) };
    },
  };
}

interface Row extends LetterPlace {
  readonly reason: string;
  readonly excerpt: string;
  readonly payloadBytes: number;
}

async function listRows(
  redis: Redis,
  { shard, order, from, limit }: { shard: number; order: LetterOrder; from: string; limit: number },
): Promise<Row[]> {
  const args = [order, from, limit, LETTER_EXCERPT_BYTES];
  const rows = (await LIST.run(redis, [deadLetterStream(shard)], args)) as [string, string, string, number][];
  return rows.map(([entryId, reason, excerpt, payloadBytes]) => ({
    shard,
    entryId,
    reason: withoutTornEnd(reason),
    excerpt: withoutTornEnd(excerpt),
    payloadBytes,
  }));
}

/** A cut by bytes may leave a part of a character at the end. */
function withoutTornEnd(text: string): string {
  return text.replace(/\uFFFD+$/, "");
}

async function listPage(
  redis: Redis,
  shardNumbers: readonly number[],
  { order, limit, shard: only, after }: Parameters<DeadLetterStore["list"]>[0],
): Promise<DeadLetterPage> {
  const place = after === undefined ? undefined : parseLetterId(after);
  const beginning = (shard: number): string => {
    if (place === undefined) return order === "newest" ? "+" : "-";
    // Of letters with the id of the place, the shards on its far side have not been shown yet.
    const isAhead = order === "newest" ? shard < place.shard : shard > place.shard;
    return isAhead ? place.entryId : `(${place.entryId}`;
  };
  const perShard = await Promise.all(
    shardNumbers
      .filter((shard) => only === undefined || shard === only)
      .map((shard) => listRows(redis, { shard, order, from: beginning(shard), limit: limit + 1 })),
  );
  const sign = order === "newest" ? -1 : 1;
  const rows = perShard.flat().toSorted((left, right) => sign * compareLetters(left, right));
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    letters: page.map((row) => ({
      id: formatLetterId(row),
      shard: row.shard,
      putAsideAtMs: letterTimeMs(row),
      reason: row.reason,
      kind: kindOfPayload(row.excerpt),
      payloadBytes: row.payloadBytes,
      excerpt: row.excerpt,
    })),
    next: rows.length > limit && last !== undefined ? formatLetterId(last) : undefined,
  };
}

/** Letters of one shard, few and small enough for one atomic step. */
interface LetterGroup {
  readonly shard: number;
  readonly letters: readonly LetterPlace[];
}
type MoveGroup = (group: LetterGroup) => Promise<LettersMoved>;

async function* allGroups(redis: Redis, shardNumbers: readonly number[]): AsyncGenerator<LetterGroup> {
  // First of all where each shard's letters end, so that letters that come back are not taken again.
  const ends = await Promise.all(
    shardNumbers.map((shard) => listRows(redis, { shard, order: "newest", from: "+", limit: 1 })),
  );
  for (const [end] of ends) {
    if (end === undefined) continue;
    let from = "-";
    for (;;) {
      const page = { shard: end.shard, order: "oldest", from, limit: DEAD_LETTERS_PAGE_MAX } as const;
      const rows = await listRows(redis, page);
      const last = rows.at(-1);
      yield* groupsOf(
        end.shard,
        rows.filter((row) => compareLetters(row, end) <= 0),
      );
      if (last === undefined || compareLetters(last, end) >= 0) break;
      from = `(${last.entryId}`;
    }
  }
}

async function* namedGroups(
  redis: Redis,
  shards: number,
  ids: readonly string[],
): AsyncGenerator<LetterGroup | { readonly missing: readonly string[] }> {
  const places = new Map<string, LetterPlace>();
  const missing: string[] = [];
  for (const id of ids) {
    const place = parseLetterId(id);
    if (place === undefined || place.shard >= shards) missing.push(id);
    else places.set(formatLetterId(place), place);
  }
  const rowsByShard = new Map<number, Row[]>();
  for (const [id, place] of places) {
    const range = { shard: place.shard, order: "oldest", from: place.entryId, limit: 1 } as const;
    const [row] = await listRows(redis, range);
    if (row?.entryId !== place.entryId) missing.push(id);
    else rowsByShard.set(place.shard, [...(rowsByShard.get(place.shard) ?? []), row]);
  }
  yield { missing };
  for (const [shard, rows] of rowsByShard) yield* groupsOf(shard, rows);
}

function* groupsOf(shard: number, rows: readonly Row[]): Generator<LetterGroup> {
  let letters: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    const isFull = letters.length >= REDRIVE_LETTERS_MAX || bytes + row.payloadBytes > REDRIVE_BYTES_MAX;
    if (isFull && letters.length > 0) {
      yield { shard, letters };
      letters = [];
      bytes = 0;
    }
    letters.push(row);
    bytes += row.payloadBytes;
  }
  if (letters.length > 0) yield { shard, letters };
}

async function redriveGroup(
  redis: Redis,
  { shard, letters }: LetterGroup,
  readLetter: (place: LetterPlace) => Promise<string[] | undefined>,
): Promise<LettersMoved> {
  const missing: string[] = [];
  const unreadable: string[] = [];
  const sent: LetterPlace[] = [];
  const args: (string | number | Buffer)[] = [];
  const contents = await Promise.all(letters.map(readLetter));
  for (const [index, place] of letters.entries()) {
    const content = contents[index];
    const fields = content === undefined ? undefined : fieldsOfPayload(valueOf(content, "payload"));
    if (content === undefined) missing.push(formatLetterId(place));
    else if (fields === undefined) unreadable.push(formatLetterId(place));
    else {
      sent.push(place);
      args.push(place.entryId, fields.length);
      for (const field of fields) args.push(field);
    }
  }
  if (sent.length === 0) return { moved: 0, missing, unreadable };
  const keys = [deadLetterStream(shard), reportStream(shard)];
  const results = (await REDRIVE.run(redis, keys, args)) as (0 | 1)[];
  for (const [index, place] of sent.entries()) if (results[index] !== 1) missing.push(formatLetterId(place));
  return { moved: results.filter((result) => result === 1).length, missing, unreadable };
}

function valueOf(fields: readonly string[], name: "reason" | "payload"): string {
  for (let index = 0; index + 1 < fields.length; index += 2)
    if (fields[index] === name) return fields[index + 1]!;
  return "";
}
