// How far a hawkBit server has been read: which of its actions are over and told, and which are still open. Pure. Enters:
// a cursor, what became of the actions of a page. Leaves: the next cursor.
//
// Actions have ids that rise, but end in any order, weeks after others; and the time of their last change, which hawkBit
// does have, does not move when a device says something. So every action that is not over is remembered by its id until
// it is: up to `mark` each id is either told or remembered.
import { z } from "zod";
import { formatIdRanges, parseIdRanges } from "./id-ranges.ts";

/**
 * Ids are given when an action is made, and seen when its transaction is committed: a lower one may come up after a higher
 * one. So what is younger than this is listed again, in milliseconds.
 */
export const HAWKBIT_OVERLAP_MS = 60_000;
/** How far back the first poll tells of: what is older can't be told any more, in milliseconds. */
export const HAWKBIT_FIRST_MS = 7 * 24 * 3_600_000;
/** Open actions that are remembered; beyond that the oldest are let go, and what becomes of them is not told. */
export const HAWKBIT_OPEN_MAX = 100_000;

export interface HawkbitCursor {
  /** Nothing from before this is told, epoch milliseconds. */
  readonly fromMs: number;
  readonly mark: number;
  /** `open`: the open ones are being read again, up to `at`. `new`: those after `mark` are listed, up to `at`. */
  readonly phase: "open" | "new";
  readonly at: number;
  /** Open, and taken by no device as far as is known; ascending. */
  readonly waiting: readonly number[];
  /** Open, and taken by their devices, which was told; ascending. */
  readonly begun: readonly number[];
  /** After `mark`, and over; ascending. */
  readonly over: readonly number[];
}

/** `gone` = over, or not there any more. */
export type ActionState = "waiting" | "begun" | "gone";

const idsSchema = z.string().transform((text, context) => {
  const ids = parseIdRanges(text, HAWKBIT_OPEN_MAX);
  if (ids === undefined) context.addIssue("no ids");
  return ids ?? z.NEVER;
});
const cursorSchema = z.object({
  fromMs: z.number(),
  mark: z.number().int().min(0),
  phase: z.enum(["open", "new"]),
  at: z.number().int().min(0),
  waiting: idsSchema,
  begun: idsSchema,
  over: idsSchema,
});

/** From the beginning, where there is none or nobody can read it. */
export function readHawkbitCursor(text: string | undefined, nowMs: number): HawkbitCursor {
  try {
    return cursorSchema.parse(JSON.parse(text ?? ""));
  } catch {
    const fromMs = nowMs - HAWKBIT_FIRST_MS;
    return { fromMs, mark: 0, phase: "open", at: 0, waiting: [], begun: [], over: [] };
  }
}

export function writeHawkbitCursor({ waiting, begun, over, ...rest }: HawkbitCursor): string {
  const ids = {
    waiting: formatIdRanges(waiting),
    begun: formatIdRanges(begun),
    over: formatIdRanges(over),
  };
  return JSON.stringify({ ...rest, ...ids });
}

/** Open ones that this poll has not read again yet. */
export function openAfter({ waiting, begun, at }: HawkbitCursor, most: number): number[] {
  // Of each no more than can be needed: there may be a hundred thousand.
  const some = [waiting, begun].flatMap((ids) => {
    const first = ids.findIndex((id) => id > at);
    return first < 0 ? [] : ids.slice(first, first + most);
  });
  return some.toSorted((left, right) => left - right).slice(0, most);
}

/** After a page of the open ones. */
export function afterOpen(cursor: HawkbitCursor, states: ReadonlyMap<number, ActionState>): HawkbitCursor {
  return { ...withStates(cursor, states), at: Math.max(...states.keys()) };
}

export interface Listed {
  readonly id: number;
  readonly createdAt: number;
}

/** After a page of new ones; a page that is not full is the last of its poll. */
export function afterNew(
  cursor: HawkbitCursor,
  states: ReadonlyMap<number, ActionState>,
  { listed, isFull, askedAtMs }: { listed: readonly Listed[]; isFull: boolean; askedAtMs: number },
): HawkbitCursor {
  const next = withStates(cursor, states);
  const mark = markAfter(cursor, listed, askedAtMs - HAWKBIT_OVERLAP_MS);
  const over = next.over.filter((id) => id > mark);
  const last = listed.at(-1)?.id ?? cursor.at;
  return isFull
    ? { ...next, over, mark, phase: "new", at: last }
    : { ...next, over, mark, phase: "open", at: 0 };
}

/** Up to the first that is too young for all before it to be there. */
function markAfter({ mark, at }: HawkbitCursor, listed: readonly Listed[], beforeMs: number): number {
  // An earlier page of this poll had one that is too young.
  if (at > mark) return mark;
  const young = listed.findIndex(({ createdAt }) => createdAt > beforeMs);
  const settled = young < 0 ? listed : listed.slice(0, young);
  return settled.at(-1)?.id ?? mark;
}

function withStates(cursor: HawkbitCursor, states: ReadonlyMap<number, ActionState>): HawkbitCursor {
  const idsIn = (ids: readonly number[], wanted: ActionState): number[] => {
    const others = ids.filter((id) => !states.has(id));
    const these = [...states].filter(([, state]) => state === wanted).map(([id]) => id);
    return [...new Set([...others, ...these])].toSorted((left, right) => left - right);
  };
  const open = letGo(idsIn(cursor.waiting, "waiting"), idsIn(cursor.begun, "begun"));
  return { ...cursor, ...open, over: idsIn(cursor.over, "gone").filter((id) => id > cursor.mark) };
}

function letGo(waiting: number[], begun: number[]): Pick<HawkbitCursor, "waiting" | "begun"> {
  const tooMany = waiting.length + begun.length - HAWKBIT_OPEN_MAX;
  if (tooMany <= 0) return { waiting, begun };
  const last = [...waiting, ...begun].toSorted((left, right) => left - right)[tooMany - 1]!;
  return { waiting: waiting.filter((id) => id > last), begun: begun.filter((id) => id > last) };
}
