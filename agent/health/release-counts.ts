// Reads the totals of one release from every shard that knows it, and adds them up. Sums of integers only.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import {
  ACTIVE_HOURS_INDEX,
  CRASHED_HOURS_INDEX,
  FIRST_CRASHED_INDEX,
  FIRST_NOT_RESPONDING_INDEX,
  NOT_RESPONDING_HOURS_INDEX,
  addStoredCounts,
  countsAt,
  isZero,
  zeroCounts,
} from "./count-vector.ts";
import type { CountVector } from "./count-vector.ts";
import { toGroundCounts } from "./first-contacts.ts";
import type { GroundCounts } from "./first-contacts.ts";
import type { FirstContacts, ReleaseDetail, ReleaseHealth, StratumHealth } from "./health-window.ts";
import { toOutcomeCounts } from "./outcomes.ts";
import { countsKey, tableKey } from "./shard-keys.ts";
import { parseTable, textWithoutApp, textsOf } from "./shard-tables.ts";
import type { TableName } from "./shard-tables.ts";
import { STRATUM_UNKNOWN } from "./stratum.ts";
import { addStoredStrata } from "./windows.ts";

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
      redis.hmgetBuffer(countsKey(shard, releaseNumber), "total", "first", "last", "failure", "deadline"),
    ),
  );
  const total = zeroCounts();
  for (const [bytes] of rows) addStoredCounts(total, bytes);
  const times = (position: 1 | 2 | 3 | 4): number[] =>
    rows.map((row) => Number(row[position]?.toString() ?? 0)).filter((time) => time > 0);
  const least = (all: readonly number[]): number => (all.length === 0 ? 0 : Math.min(...all));
  return {
    release,
    ...toStratumHealth(total),
    firstReportAtMs: least(times(1)),
    lastReportAtMs: Math.max(0, ...times(2)),
    lastFailureAtMs: Math.max(0, ...times(3)),
    silenceDeadlineMs: least(times(4)),
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
        if (/^s\d+$/.test(field)) addStoredCounts(countsAt(strata, stratumText(number)), bytes);
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

export async function readFirstContacts(
  redis: Redis,
  places: readonly ReleasePlace[],
): Promise<FirstContacts> {
  const strata = new Map<string, Map<number, CountVector>>();
  await Promise.all(
    places.map(async ({ shard, releaseNumber }) => {
      const [row, stratumText] = await Promise.all([
        redis.hgetallBuffer(countsKey(shard, releaseNumber)),
        readTexts(redis, shard, "strata"),
      ]);
      for (const [field, bytes] of Object.entries(row)) {
        if (!/^d\d+$/.test(field)) continue;
        const text = stratumText(Number(field.slice(1)));
        const days = strata.get(text) ?? new Map<number, CountVector>();
        strata.set(text, days);
        addStoredStrata(bytes, (day) => countsAt(days, day));
      }
    }),
  );
  const shown = (days: ReadonlyMap<number, CountVector>): Map<number, GroundCounts> =>
    new Map(
      [...days].filter(([, counts]) => !isZero(counts)).map(([day, counts]) => [day, toGroundCounts(counts)]),
    );
  const told = [...strata].map(([text, days]) => [text, shown(days)] as const);
  return new Map(told.filter(([, days]) => days.size > 0));
}

export function toStratumHealth(counts: CountVector): StratumHealth {
  return {
    devices: toOutcomeCounts(counts),
    hours: {
      active: counts[ACTIVE_HOURS_INDEX]!,
      crashed: counts[CRASHED_HOURS_INDEX]!,
      notResponding: counts[NOT_RESPONDING_HOURS_INDEX]!,
      firstCrashed: counts[FIRST_CRASHED_INDEX]!,
      firstNotResponding: counts[FIRST_NOT_RESPONDING_INDEX]!,
    },
  };
}

/** Texts of a shard's numbers, without the app; 0 is what was not told. */
export async function readTexts(
  redis: Redis,
  shard: number,
  table: TableName,
): Promise<(number: number) => string> {
  const rows = textsOf(parseTable(await redis.hgetall(tableKey(shard, table))));
  const texts = new Map([...rows].map(([number, text]) => [number, textWithoutApp(text)]));
  return (number) => texts.get(number) ?? STRATUM_UNKNOWN;
}
