// Reads the counts of one release from every shard that knows it, and adds them up. Sums of integers only.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { ANSWER_BINS } from "./answer-bins.ts";
import {
  ACTIVE_HOURS_INDEX,
  ANSWERS_INDEX,
  CRASHED_HOURS_INDEX,
  addCounts,
  decodeCounts,
  isZero,
  zeroCounts,
} from "./count-vector.ts";
import type { CountVector } from "./count-vector.ts";
import type { HealthWindow, ReleaseDetail, ReleaseHealth, StratumHealth } from "./health-window.ts";
import { toOutcomeCounts } from "./outcomes.ts";
import { countsKey, tableKey, windowsKey } from "./shard-keys.ts";
import { textWithoutApp } from "./shard-tables.ts";
import type { TableName } from "./shard-tables.ts";
import { STRATUM_UNKNOWN } from "./stratum.ts";
import { decodeStrata, parseSlot } from "./windows.ts";

/** A shard that knows the release, and its number there. */
export interface ReleasePlace {
  readonly shard: number;
  readonly releaseNumber: number;
}

export async function readTotals(
  redis: Redis,
  release: ReleaseKey,
  places: readonly ReleasePlace[],
): Promise<ReleaseHealth> {
  const rows = await Promise.all(
    places.map(({ shard, releaseNumber }) =>
      redis.hmgetBuffer(countsKey(shard, releaseNumber), "total", "first", "last", "failure"),
    ),
  );
  const total = zeroCounts();
  for (const [bytes] of rows) addCounts(total, decodeCounts(bytes).slice(0, total.length));
  const times = (position: 1 | 2 | 3): number[] =>
    rows.map((row) => Number(row[position]?.toString() ?? 0)).filter((time) => time > 0);
  const firsts = times(1);
  return {
    release,
    ...toStratumHealth(total),
    firstReportAtMs: firsts.length === 0 ? 0 : Math.min(...firsts),
    lastReportAtMs: Math.max(0, ...times(2)),
    lastFailureAtMs: Math.max(0, ...times(3)),
  };
}

export async function readDetail(redis: Redis, places: readonly ReleasePlace[]): Promise<ReleaseDetail> {
  const strata = new Map<string, CountVector>();
  const reasons = new Map<string, number>();
  await Promise.all(
    places.map(async ({ shard, releaseNumber }) => {
      const [row, stratumText, reasonText] = await Promise.all([
        redis.hgetallBuffer(countsKey(shard, releaseNumber)),
        readTexts(redis, shard, "strata"),
        readTexts(redis, shard, "reasons"),
      ]);
      for (const [field, bytes] of Object.entries(row)) {
        const number = Number(field.slice(1));
        if (/^s\d+$/.test(field)) addTo(strata, stratumText(number), decodeCounts(bytes));
        if (!/^r\d+$/.test(field)) continue;
        const reason = reasonText(number);
        reasons.set(reason, (reasons.get(reason) ?? 0) + Number(bytes.toString()));
      }
    }),
  );
  const told = [...strata].filter(([, counts]) => !isZero(counts));
  return {
    strata: new Map(told.map(([text, counts]) => [text, toStratumHealth(counts)])),
    reasons,
  };
}

/** `sinceMinute`: windows that end after it; counts of all time are many, and most questions are about today. */
export async function readWindows(
  redis: Redis,
  places: readonly ReleasePlace[],
  sinceMinute = 0,
): Promise<HealthWindow[]> {
  const windows = new Map<string, Omit<HealthWindow, "devices" | "hours" | "answered">>();
  const counts = new Map<string, CountVector>();
  await Promise.all(
    places.map(async ({ shard, releaseNumber }) => {
      const [row, stratumText] = await Promise.all([
        readRow(redis, windowsKey(shard, releaseNumber), sinceMinute),
        readTexts(redis, shard, "strata"),
      ]);
      for (const [field, bytes] of row) {
        const slot = parseSlot(field);
        for (const [number, ofStratum] of decodeStrata(bytes)) {
          const stratum = stratumText(number);
          const key = `${field}:${stratum}`;
          windows.set(key, { ...slot, stratum });
          addTo(counts, key, ofStratum);
        }
      }
    }),
  );
  return [...windows]
    .map(([key, window]) => toWindow(window, counts.get(key)!))
    .toSorted(
      (left, right) =>
        left.slotMinute - right.slotMinute ||
        left.slotMinutes - right.slotMinutes ||
        (left.stratum < right.stratum ? -1 : 1),
    );
}

/** Fields asked for at once. */
const FIELDS_PER_CALL = 1_000;

async function readRow(
  redis: Redis,
  key: string,
  sinceMinute: number,
): Promise<(readonly [field: string, counts: Buffer])[]> {
  if (sinceMinute === 0) return Object.entries(await redis.hgetallBuffer(key));
  const fields = (await redis.hkeys(key)).filter((field) => {
    const { slotMinute, slotMinutes } = parseSlot(field);
    return slotMinute + slotMinutes > sinceMinute;
  });
  const row: (readonly [string, Buffer])[] = [];
  for (let start = 0; start < fields.length; start += FIELDS_PER_CALL) {
    const some = fields.slice(start, start + FIELDS_PER_CALL);
    const values = await redis.hmgetBuffer(key, ...some);
    // What a roll-up has taken away meanwhile is read at the next look.
    values.forEach((bytes, index) => bytes !== null && row.push([some[index]!, bytes]));
  }
  return row;
}

function toWindow(
  window: Omit<HealthWindow, "devices" | "hours" | "answered">,
  counts: CountVector,
): HealthWindow {
  return {
    ...window,
    ...toStratumHealth(counts),
    answered: counts.slice(ANSWERS_INDEX, ANSWERS_INDEX + ANSWER_BINS),
  };
}

function toStratumHealth(counts: CountVector): StratumHealth {
  return {
    devices: toOutcomeCounts(counts),
    hours: { active: counts[ACTIVE_HOURS_INDEX]!, crashed: counts[CRASHED_HOURS_INDEX]! },
  };
}

function addTo(sums: Map<string, CountVector>, key: string, counts: CountVector): void {
  const sum = sums.get(key);
  if (sum === undefined) sums.set(key, counts);
  else addCounts(sum, counts);
}

/** Texts of a shard's numbers, without the app; 0 is what was not told. */
async function readTexts(redis: Redis, shard: number, table: TableName): Promise<(number: number) => string> {
  const rows = await redis.hgetall(tableKey(shard, table));
  const texts = new Map(Object.entries(rows).map(([text, number]) => [Number(number), textWithoutApp(text)]));
  return (number) => texts.get(number) ?? STRATUM_UNKNOWN;
}
