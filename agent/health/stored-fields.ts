// Fields of hashes as Redis holds them. Enters: names. Leaves: those that are there, with their bytes.
import { loadLuaScript } from "../../runtime/lua.ts";
import { readArrayHeader, readBytes, writeArrayHeader, writeLatin1 } from "./message-pack.ts";
import { ByteReader, ByteWriter } from "./packed-bytes.ts";
import { RevisionMoved } from "./revision.ts";
import type { ShardAt } from "./revision.ts";
import { metaKey } from "./shard-keys.ts";

const READ_FIELDS = loadLuaScript(new URL("./lua/read-fields.lua", import.meta.url));

export type Fields = ReadonlyMap<string, Buffer>;

/** Fields of a hash. Names have a byte for each character. */
export interface AskedFields {
  readonly key: string;
  readonly fields: readonly string[];
}

/** Of an HMGET, by name; `values` in the order of the names. */
export function heldFields(names: readonly string[], values: readonly (Buffer | null)[]): Fields {
  const held = new Map<string, Buffer>();
  for (const [index, name] of names.entries()) {
    const value = values[index] ?? null;
    if (value !== null) held.set(name, value);
  }
  return held;
}

/** Of several hashes, in their order, all at one revision. Throws RevisionMoved when it has moved. */
export async function readFields(at: ShardAt, asked: readonly AskedFields[]): Promise<Fields[]> {
  const held = asked.map(() => new Map<string, Buffer>());
  await readEach(at, asked, (index, field, value) => void held[index]!.set(field, value));
  return held;
}

/** The same, each field that is there told to `onField` with the position of its hash in `asked`. */
export async function readEach(
  { redis, shard, revision }: ShardAt,
  asked: readonly AskedFields[],
  onField: (index: number, field: string, value: Buffer) => void,
): Promise<void> {
  const keys = [metaKey(shard)];
  const names = new ByteWriter(NAMES_BYTES_EXPECTED);
  for (const { key, fields } of asked) {
    // Lua can't hand on many more than 7,000 at once.
    for (let start = 0; start < fields.length; start += FIELDS_PER_READ) {
      const end = Math.min(fields.length, start + FIELDS_PER_READ);
      keys.push(key);
      writeArrayHeader(names, end - start);
      for (let index = start; index < end; index += 1) writeLatin1(names, fields[index]!);
    }
  }
  if (keys.length === 1) return;
  const answer = await READ_FIELDS.runBuffer(redis, keys, [revision, names.bytes()]);
  if (answer === null) throw new RevisionMoved(shard);
  const values = new ByteReader(answer as Buffer);
  for (const [index, { fields }] of asked.entries())
    for (let start = 0; start < fields.length; start += FIELDS_PER_READ) {
      const end = start + readArrayHeader(values);
      for (let position = start; position < end; position += 1) {
        const value = readBytes(values);
        if (value !== undefined) onField(index, fields[position]!, value);
      }
    }
}

const FIELDS_PER_READ = 1_000;
/** A device's name is 8 bytes and one for its length. */
const NAMES_BYTES_EXPECTED = 8_192;
