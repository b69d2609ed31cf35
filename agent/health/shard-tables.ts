// A shard's tables: short numbers for texts that stand in millions of device states. Numbers start at 1 and
// are never reused; a table grows with the commit that first needs a number. Each table has a cap, so that
// nobody can fill memory with invented texts. Pure.
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { REASONS_PER_APP_MAX } from "./counting-rules.ts";
import { STRATUM_OTHER } from "./stratum.ts";

/**
 * Releases a channel can have in a shard's table. When it is full, those that nobody reported about for longest
 * retire (shard-store.ts); only what finds no place then goes to the dead-letter stream.
 */
export const RELEASES_PER_CHANNEL_MAX = 10_000;

export const TABLE_NAMES = ["releases", "strata", "reasons"] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** Text -> number. The texts of `strata` and `reasons` begin with the app and a `|`. */
export type ShardTable = ReadonlyMap<string, number>;
export type ShardTables = Readonly<Record<TableName, ShardTable>>;

export const NO_TABLES: ShardTables = { releases: new Map(), strata: new Map(), reasons: new Map() };

/** As Redis holds it. */
export function parseTable(rows: Readonly<Record<string, string>>): ShardTable {
  return new Map(Object.entries(rows).map(([text, number]) => [text, Number(number)]));
}

export function textsOf(table: ShardTable): Map<number, string> {
  return new Map([...table].map(([text, number]) => [number, text]));
}

/** A table with the rows that one batch adds. */
export interface GrowingTable {
  readonly added: ShardTable;
  find(text: string): number | undefined;
  /** The text's number, given to it if the group (the texts that begin with `prefix`) has room; else undefined. */
  claim(text: string, group: { readonly prefix: string; readonly rowsMax: number }): number | undefined;
  /** Undefined for 0, and for a release that has retired. */
  textOf(number: number): string | undefined;
}

export function growTable(table: ShardTable): GrowingTable {
  const added = new Map<string, number>();
  const rowsOf = new Map<string, number>();
  let texts: Map<number, string> | undefined;
  let highest: number | undefined;
  const countRows = (prefix: string): number => {
    let rows = rowsOf.get(prefix);
    if (rows !== undefined) return rows;
    rows = 0;
    for (const text of table.keys()) if (text.startsWith(prefix)) rows += 1;
    // Kept, also when there is no room: a flood of invented texts asks for every one of them.
    rowsOf.set(prefix, rows);
    return rows;
  };
  const find = (text: string): number | undefined => table.get(text) ?? added.get(text);
  return {
    added,
    find,
    claim(text, { prefix, rowsMax }) {
      const known = find(text);
      if (known !== undefined) return known;
      const rows = countRows(prefix);
      if (rows >= rowsMax) return undefined;
      rowsOf.set(prefix, rows + 1);
      // The row with the highest number never retires, so no number is handed out twice.
      highest = (highest ?? highestNumber(table)) + 1;
      added.set(text, highest);
      texts?.set(highest, text);
      return highest;
    },
    textOf(number) {
      texts ??= textsOf(new Map([...table, ...added]));
      return texts.get(number);
    },
  };
}

/** 0 for an empty table. */
export function highestNumber(table: ShardTable): number {
  let highest = 0;
  for (const number of table.values()) highest = Math.max(highest, number);
  return highest;
}

export type GrowingTables = Readonly<Record<TableName, GrowingTable>>;

export function growTables({ releases, strata, reasons }: ShardTables): GrowingTables {
  return { releases: growTable(releases), strata: growTable(strata), reasons: growTable(reasons) };
}

/** The tables with the rows that were added. */
export function grown(tables: ShardTables, added: Readonly<Record<TableName, ShardTable>>): ShardTables {
  const grow = (name: TableName): ShardTable =>
    added[name].size === 0 ? tables[name] : new Map([...tables[name], ...added[name]]);
  return { releases: grow("releases"), strata: grow("strata"), reasons: grow("reasons") };
}

/** Undefined when the channel's share of the table is full. */
export function claimRelease({ releases }: GrowingTables, release: ReleaseKey): number | undefined {
  const group = { prefix: `${formatChannelKey(release)}|`, rowsMax: RELEASES_PER_CHANNEL_MAX };
  return releases.claim(formatReleaseKey(release), group);
}

/** The number of the stratum, or of the app's `other` when the app has too many (one more row is kept for it). */
export function claimStratum(
  { strata }: GrowingTables,
  { app, text, strataMax }: { app: string; text: string; strataMax: number },
): number {
  return claimOrOther(strata, { app, text, rowsMax: strataMax });
}

export function claimReason({ reasons }: GrowingTables, app: string, text: string): number {
  return claimOrOther(reasons, { app, text, rowsMax: REASONS_PER_APP_MAX });
}

function claimOrOther(
  table: GrowingTable,
  { app, text, rowsMax }: { app: string; text: string; rowsMax: number },
): number {
  const prefix = `${app}|`;
  const other = `${prefix}${STRATUM_OTHER}`;
  // A row of `other` takes no place from the texts that are told apart.
  const rowsMaxNow = table.find(other) === undefined ? rowsMax : rowsMax + 1;
  return (
    table.claim(`${prefix}${text}`, { prefix, rowsMax: rowsMaxNow }) ??
    // Always has room: the cap may have been lowered since.
    table.claim(other, { prefix, rowsMax: Number.POSITIVE_INFINITY })!
  );
}

/** The text of a row without its app. */
export function textWithoutApp(text: string): string {
  return text.slice(text.indexOf("|") + 1);
}
