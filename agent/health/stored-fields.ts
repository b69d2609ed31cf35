// Fields of hashes as Redis holds them. Enters: names. Leaves: those that are there, with their bytes.
import { readAt } from "./revision.ts";
import type { ShardAt } from "./revision.ts";

export type Fields = ReadonlyMap<string, Buffer>;

/** Of an HMGET, by name; `values` in the order of the names. */
export function heldFields(names: readonly string[], values: readonly (Buffer | null)[]): Fields {
  return new Map(
    names.flatMap((name, index): [string, Buffer][] => {
      const value = values[index] ?? null;
      return value === null ? [] : [[name, value]];
    }),
  );
}

/** Of several hashes, in their order, all at one revision. Throws when it has moved. */
export async function readFields(
  at: ShardAt,
  asked: readonly { readonly key: string; readonly fields: readonly string[] }[],
): Promise<Fields[]> {
  const nonEmpty = asked.filter(({ fields }) => fields.length > 0);
  if (nonEmpty.length === 0) return asked.map(() => new Map());
  const answers = await readAt(at, (transaction) => {
    for (const { key, fields } of nonEmpty) transaction.hmgetBuffer(key, ...fields);
  });
  const found = new Map(
    nonEmpty.map((ask, index) => [ask, heldFields(ask.fields, answers[index] as (Buffer | null)[])]),
  );
  return asked.map((ask) => found.get(ask) ?? new Map());
}
