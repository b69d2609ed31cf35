// Reads the history of releases from Redis again and again at a cost that follows what changed: marks say which hours
// did (window-marks.ts), and only those are read. Enters: releases. Leaves: histories in which every hour and day that
// has not changed is the same object as before.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { COARSE_SLOT_MINUTES, FINE_SLOT_MINUTES, MIDDLE_SLOT_MINUTES, startOf } from "./health-window.ts";
import { DAY_MINUTES, daysOf, groupBy, historyHour } from "./release-history.ts";
import type { HistoryDay, HistoryHour, ReleaseHistory } from "./release-history.ts";
import { readTexts } from "./release-counts.ts";
import type { ReleasePlace } from "./release-counts.ts";
import { collectWindows, streamSlots } from "./release-windows.ts";
import type { ShardWindows } from "./release-windows.ts";
import { dayMarksKey, hourMarksKey, tableKey, windowsKey } from "./shard-keys.ts";
import { formatSlot, parseSlot } from "./windows.ts";

/** Releases whose histories are kept; the one that was asked for longest ago gives way. */
export const HISTORY_RELEASES_MAX = 64;
/** Up to so many hours are read by the names that their slots may have; of more, it is asked first which slots there are. */
const HOURS_BY_NAME_MAX = 12;
const HOURS_PER_DAY = 24;

export interface HistoryChoice {
  /** Days that end by it are left out, in minutes since the epoch; 0 = none. */
  readonly sinceMinute: number;
}

export interface HistoryReader {
  read(release: ReleaseKey, choice?: Partial<HistoryChoice>): Promise<ReleaseHistory>;
}

export interface HistoryReaderDeps {
  readonly redis: Redis;
  /** The shards that know the release, with its number there. */
  readonly locate: (release: ReleaseKey) => Promise<ReleasePlace[]>;
}

/** What is remembered of a release. */
interface Kept {
  places: readonly ReleasePlace[];
  /** Per shard: marks by day, and by hour, that the hours below were read after. */
  readonly marks: Map<number, { readonly days: Map<number, string>; readonly hours: Map<number, string> }>;
  readonly hours: Map<number, HistoryHour>;
  days: readonly HistoryDay[];
}

export function createHistoryReader({ redis, locate }: HistoryReaderDeps): HistoryReader {
  const releases = new Map<string, Promise<Kept>>();
  const texts = createStratumTexts(redis);

  return {
    async read(release, { sinceMinute = 0 } = {}) {
      const text = formatReleaseKey(release);
      const before = releases.get(text) ?? Promise.resolve(nothingKept([]));
      // One after the other: two reads of a release at once would each make objects of their own.
      const reading = before
        .catch(() => nothingKept([]))
        .then((kept) => refresh({ redis, texts }, kept, { places: locate(release), sinceMinute }));
      releases.delete(text);
      releases.set(text, reading);
      if (releases.size > HISTORY_RELEASES_MAX) releases.delete(releases.keys().next().value!);
      const { days } = await reading;
      return { release, days: days.filter(({ dayMinute }) => dayMinute + DAY_MINUTES > sinceMinute) };
    },
  };
}

function nothingKept(places: readonly ReleasePlace[]): Kept {
  return {
    places,
    marks: new Map(places.map(({ shard }) => [shard, { days: new Map(), hours: new Map() }])),
    hours: new Map(),
    days: [],
  };
}

interface Source {
  readonly redis: Redis;
  readonly texts: StratumTexts;
}

async function refresh(
  source: Source,
  before: Kept,
  { places: locating, sinceMinute }: { places: Promise<ReleasePlace[]>; sinceMinute: number },
): Promise<Kept> {
  const places = await locating;
  const kept = isSamePlaces(before.places, places) ? before : nothingKept(places);
  // Marks first: what is committed while the windows are read only has them read once more.
  const found = await Promise.all(
    places.map((place) => readMarks(source.redis, kept, { place, sinceMinute })),
  );
  const changed = [...new Set(found.flatMap(({ changedHours }) => changedHours))];
  if (changed.length > 0) await readHours(source, kept, changed);
  for (const { shard, days, hours } of found) {
    const marks = kept.marks.get(shard)!;
    replaceMarks(marks.days, days);
    replaceMarks(marks.hours, hours);
  }
  return kept;
}

function isSamePlaces(left: readonly ReleasePlace[], right: readonly ReleasePlace[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ shard, releaseNumber }, index) => {
      const other = right[index]!;
      return other.shard === shard && other.releaseNumber === releaseNumber;
    })
  );
}

interface FoundMarks {
  readonly shard: number;
  /** Of days and hours that were asked about; undefined = there is none any more. */
  readonly days: ReadonlyMap<number, string | undefined>;
  readonly hours: ReadonlyMap<number, string | undefined>;
  /** First minutes. */
  readonly changedHours: readonly number[];
}

async function readMarks(
  redis: Redis,
  kept: Kept,
  { place: { shard, releaseNumber }, sinceMinute }: { place: ReleasePlace; sinceMinute: number },
): Promise<FoundMarks> {
  const known = kept.marks.get(shard)!;
  const held = new Map(
    Object.entries(await redis.hgetall(dayMarksKey(shard, releaseNumber))).map(([day, token]) => [
      Number(day),
      token,
    ]),
  );
  const isMeant = (day: number): boolean => (day + 1) * DAY_MINUTES > sinceMinute;
  const changedDays = [...new Set([...held.keys(), ...known.days.keys()])].filter(
    (day) => isMeant(day) && held.get(day) !== known.days.get(day),
  );
  const asked = changedDays.flatMap((day) =>
    Array.from({ length: HOURS_PER_DAY }, (_, hour) => day * HOURS_PER_DAY + hour),
  );
  const tokens =
    asked.length === 0 ? [] : await redis.hmget(hourMarksKey(shard, releaseNumber), ...asked.map(String));
  const hours = new Map(asked.map((hour, index) => [hour, tokens[index] ?? undefined]));
  // An hour without a mark may have lost its windows in two steps: it is looked at as long as it is remembered.
  const isChanged = (hour: number): boolean =>
    hours.get(hour) === undefined
      ? kept.hours.has(hour * COARSE_SLOT_MINUTES)
      : hours.get(hour) !== known.hours.get(hour);
  return {
    shard,
    days: new Map(changedDays.map((day) => [day, held.get(day)])),
    hours,
    changedHours: asked.filter(isChanged).map((hour) => hour * COARSE_SLOT_MINUTES),
  };
}

function replaceMarks(marks: Map<number, string>, found: ReadonlyMap<number, string | undefined>): void {
  for (const [each, token] of found) {
    if (token === undefined) marks.delete(each);
    else marks.set(each, token);
  }
}

/** Replaces hours by what stands there now, and the days that they are in. */
async function readHours(source: Source, kept: Kept, hourMinutes: readonly number[]): Promise<void> {
  const shards = await Promise.all(kept.places.map((place) => shardWindows(source, place, hourMinutes)));
  const windows = groupBy(await collectWindows(streamSlots(source.redis, shards)), ({ slotMinute }) =>
    startOf(slotMinute, COARSE_SLOT_MINUTES),
  );
  for (const hourMinute of hourMinutes) {
    const ofHour = windows.get(hourMinute);
    if (ofHour === undefined) kept.hours.delete(hourMinute);
    else kept.hours.set(hourMinute, historyHour(hourMinute, ofHour));
  }
  const changed = new Set(hourMinutes.map((minute) => startOf(minute, DAY_MINUTES)));
  const same = new Map(kept.days.map((day) => [day.dayMinute, day]));
  kept.days = daysOf([...kept.hours.values()]).map((day) =>
    changed.has(day.dayMinute) ? day : same.get(day.dayMinute)!,
  );
}

async function shardWindows(
  { redis, texts }: Source,
  { shard, releaseNumber }: ReleasePlace,
  hourMinutes: readonly number[],
): Promise<ShardWindows> {
  const key = windowsKey(shard, releaseNumber);
  const stratumText = await texts.of(shard);
  if (hourMinutes.length <= HOURS_BY_NAME_MAX)
    return {
      key,
      stratumText,
      fieldsOfHours: new Map(hourMinutes.map((minute) => [minute, slotNames(minute)])),
    };
  const wanted = new Map(hourMinutes.map((minute) => [minute, [] as string[]]));
  for (const field of await redis.hkeys(key)) {
    const { slotMinute } = parseSlot(field);
    wanted.get(startOf(slotMinute, COARSE_SLOT_MINUTES))?.push(field);
  }
  return { key, stratumText, fieldsOfHours: wanted };
}

/** All that an hour's slots may be called. */
function slotNames(hourMinute: number): string[] {
  return [FINE_SLOT_MINUTES, MIDDLE_SLOT_MINUTES, COARSE_SLOT_MINUTES].flatMap((slotMinutes) =>
    Array.from({ length: COARSE_SLOT_MINUTES / slotMinutes }, (_, slot) =>
      formatSlot({ slotMinute: hourMinute + slot * slotMinutes, slotMinutes }),
    ),
  );
}

interface StratumTexts {
  of(shard: number): Promise<(number: number) => string>;
}

/** Rows are only ever added: as long as there are as many, all of them are known. */
function createStratumTexts(redis: Redis): StratumTexts {
  const known = new Map<number, { readonly rows: number; readonly textOf: (number: number) => string }>();
  return {
    async of(shard) {
      const rows = await redis.hlen(tableKey(shard, "strata"));
      const held = known.get(shard);
      if (held?.rows === rows) return held.textOf;
      const textOf = await readTexts(redis, shard, "strata");
      known.set(shard, { rows, textOf });
      return textOf;
    },
  };
}
