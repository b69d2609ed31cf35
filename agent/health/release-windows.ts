// Reads the windows of one release from every shard that knows it, slot by slot. A release may have 3,000 slots
// of hundreds of strata on every shard, and whoever asks shares a process with folding: so a few slots are in
// memory at a time, and others have their turn on the event loop in between.
// Enters: packed slots. Leaves: windows, by time, then by stratum. Sums of integers only.
import { setImmediate } from "node:timers/promises";
import type { Redis } from "../../runtime/redis.ts";
import { ANSWER_BINS } from "./answer-bins.ts";
import { ANSWERS_INDEX, countsAt } from "./count-vector.ts";
import type { CountVector } from "./count-vector.ts";
import { COARSE_SLOT_MINUTES, MIDDLE_SLOT_MINUTES, startOf } from "./health-window.ts";
import type { HealthWindow, Slot } from "./health-window.ts";
import { readTexts, toStratumHealth } from "./release-counts.ts";
import type { ReleasePlace } from "./release-counts.ts";
import { windowsKey } from "./shard-keys.ts";
import { heldFields } from "./stored-fields.ts";
import type { Fields } from "./stored-fields.ts";
import { STRATUM_ALL } from "./stratum.ts";
import { addStoredStrata, formatSlot, parseSlot } from "./windows.ts";

export interface WindowChoice {
  /** Windows that end after it, in minutes since the epoch; 0 = all. */
  readonly sinceMinute: number;
  /** `summed`: one window per slot, of the stratum `all`. */
  readonly strata: "told_apart" | "summed";
}

export const ALL_WINDOWS: WindowChoice = { sinceMinute: 0, strata: "told_apart" };

/** Read at once, or a whole hour's. */
const SLOTS_PER_READ = 50;
/** Counts of a stratum in a slot on a shard, after which others have their turn: a few milliseconds. */
const CELLS_PER_TURN = 1_000;

/** Each step is a slot. */
export async function* streamWindows(
  redis: Redis,
  places: readonly ReleasePlace[],
  { sinceMinute, strata }: WindowChoice,
): AsyncGenerator<HealthWindow[]> {
  const shards = await Promise.all(
    places.map(async ({ shard, releaseNumber }): Promise<ShardWindows> => {
      const key = windowsKey(shard, releaseNumber);
      const stratumText = strata === "summed" ? () => STRATUM_ALL : await readTexts(redis, shard, "strata");
      return { key, stratumText, fieldsOfHours: byHour(await redis.hkeys(key), sinceMinute) };
    }),
  );
  yield* streamSlots(redis, shards);
}

/** Each step is a slot, by time. */
export async function* streamSlots(
  redis: Redis,
  shards: readonly ShardWindows[],
): AsyncGenerator<HealthWindow[]> {
  const takeTurns = createTurns();
  for (const hours of batchesOf(shards)) {
    const rows = await Promise.all(
      shards.map(async ({ key, fieldsOfHours, stratumText }) => {
        const fields = hours.flatMap((hour) => fieldsOfHours.get(hour) ?? []);
        return { stratumText, slots: await readSlots(redis, key, fields) };
      }),
    );
    const fields = new Set(rows.flatMap(({ slots }) => [...slots.keys()]));
    for (const slot of [...fields].map(parseSlot).toSorted(byTime)) {
      const sums = new Map<string, CountVector>();
      for (const { stratumText, slots } of rows) {
        const bytes = slots.get(formatSlot(slot));
        if (bytes !== undefined)
          await takeTurns(addStoredStrata(bytes, (number) => countsAt(sums, stratumText(number))));
      }
      yield [...sums].toSorted(byText).map(([stratum, counts]) => toWindow(slot, stratum, counts));
    }
  }
}

export async function collectWindows(
  stream: AsyncIterable<readonly HealthWindow[]>,
): Promise<HealthWindow[]> {
  const windows: HealthWindow[] = [];
  for await (const ofSlot of stream) windows.push(...ofSlot);
  return windows;
}

/** What is read of one shard. */
export interface ShardWindows {
  /** Of the windows there. */
  readonly key: string;
  readonly stratumText: (number: number) => string;
  /** First minute of an hour -> fields of the hour's slots. */
  readonly fieldsOfHours: ReadonlyMap<number, readonly string[]>;
}

function byHour(fields: readonly string[], sinceMinute: number): ReadonlyMap<number, string[]> {
  const hours = new Map<number, string[]>();
  for (const field of fields) {
    const { slotMinute, slotMinutes } = parseSlot(field);
    if (slotMinute + slotMinutes <= sinceMinute) continue;
    const hour = startOf(slotMinute, COARSE_SLOT_MINUTES);
    const ofHour = hours.get(hour);
    if (ofHour === undefined) hours.set(hour, [field]);
    else ofHour.push(field);
  }
  return hours;
}

/** All hours, oldest first, in batches of about SLOTS_PER_READ slots. */
function batchesOf(shards: readonly ShardWindows[]): number[][] {
  const hours = new Set(shards.flatMap(({ fieldsOfHours }) => [...fieldsOfHours.keys()]));
  const batches: number[][] = [];
  let room = 0;
  for (const hour of [...hours].toSorted((left, right) => left - right)) {
    if (room <= 0) {
      batches.push([]);
      room = SLOTS_PER_READ;
    }
    batches.at(-1)!.push(hour);
    room -= Math.max(...shards.map(({ fieldsOfHours }) => fieldsOfHours.get(hour)?.length ?? 0));
  }
  return batches;
}

/**
 * By field. Those that the slots may have been rolled up into since they were listed are asked for as well, in
 * the same step; rolling up never leaves the hour. So every count is seen once, wherever it is by now.
 */
async function readSlots(redis: Redis, key: string, fields: readonly string[]): Promise<Fields> {
  if (fields.length === 0) return new Map();
  const asked = [...new Set(fields.flatMap((field) => [field, ...coarserOf(parseSlot(field))]))];
  const values = await redis.hmgetBuffer(key, ...asked);
  return heldFields(asked, values);
}

function coarserOf({ slotMinute, slotMinutes }: Slot): string[] {
  return [MIDDLE_SLOT_MINUTES, COARSE_SLOT_MINUTES]
    .filter((coarser) => coarser > slotMinutes)
    .map((coarser) => formatSlot({ slotMinute: startOf(slotMinute, coarser), slotMinutes: coarser }));
}

function byTime(left: Slot, right: Slot): number {
  return left.slotMinute - right.slotMinute || left.slotMinutes - right.slotMinutes;
}

function byText([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}

function toWindow(slot: Slot, stratum: string, counts: CountVector): HealthWindow {
  return {
    ...slot,
    stratum,
    ...toStratumHealth(counts),
    answered: counts.slice(ANSWERS_INDEX, ANSWERS_INDEX + ANSWER_BINS),
  };
}

/** Enters: how much was done. Waits for a turn of the event loop once it has become CELLS_PER_TURN. */
function createTurns(): (cells: number) => Promise<void> {
  let cellsDone = 0;
  return async (cells) => {
    cellsDone += cells;
    if (cellsDone < CELLS_PER_TURN) return;
    cellsDone = 0;
    await setImmediate();
  };
}
