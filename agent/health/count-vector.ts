// A CountVector is all integers that are kept of one set of devices: outcomes, device-hours (and devices by
// their first crash), and devices by time to answer. Most are 0, so stored ones are packed: index and value of those that are not.
// Enters: vectors. Leaves: bytes, and vectors again. decode(encode(x)) = x is property-tested.
import { ANSWER_BINS } from "./answer-bins.ts";
import { OUTCOMES } from "./outcomes.ts";
import { ByteReader, ByteWriter } from "./packed-bytes.ts";

/** Indexed by the constants below; the indexes are stored: append only. */
export type CountVector = number[];

/** Indexes below it are those of OUTCOMES. */
export const ACTIVE_HOURS_INDEX = 24;
export const CRASHED_HOURS_INDEX = 25;
export const NOT_RESPONDING_HOURS_INDEX = 26;
/** Devices, each in the hour of its first crash. */
export const FIRST_CRASHED_INDEX = 27;
/** Devices, each in the hour in which it first did not respond. */
export const FIRST_NOT_RESPONDING_INDEX = 28;
/** Bin i of the times to answer stands at this index + i. */
export const ANSWERS_INDEX = 32;
const VECTOR_LENGTH = ANSWERS_INDEX + ANSWER_BINS;

if (OUTCOMES.length > ACTIVE_HOURS_INDEX) throw new Error("outcomes have grown into the indexes of hours");

const ZEROS: readonly number[] = Array.from({ length: VECTOR_LENGTH }, () => 0);

/** Of its own each time. A copy, because a batch needs thousands of them. */
export function zeroCounts(): CountVector {
  return [...ZEROS];
}

/** The counts under the key; all zero, and put there, when there are none yet. */
export function countsAt<Key>(all: Map<Key, CountVector>, key: Key): CountVector {
  let counts = all.get(key);
  if (counts === undefined) all.set(key, (counts = zeroCounts()));
  return counts;
}

/** What is added may be longer: a newer version may have counted more than this one knows of. */
export function addCounts(counts: CountVector, added: readonly number[], sign: 1 | -1 = 1): void {
  while (counts.length < added.length) counts.push(0);
  for (let index = 0; index < added.length; index += 1) counts[index]! += sign * added[index]!;
}

export function isZero(counts: readonly number[]): boolean {
  return counts.every((count) => count === 0);
}

/** Per count that is not 0: varint gap to the index before, zigzag varint value. */
export function encodeCounts(counts: readonly number[]): Buffer {
  const writer = new ByteWriter();
  let next = 0;
  for (let index = 0; index < counts.length; index += 1) {
    if (counts[index] === 0) continue;
    writer.varint(index - next);
    writer.zigzag(counts[index]!);
    next = index + 1;
  }
  return writer.bytes();
}

/** All zero for bytes that are not there. Indexes of a newer version are kept. */
export function decodeCounts(bytes: Buffer | null | undefined): CountVector {
  const counts = zeroCounts();
  addStoredCounts(counts, bytes);
  return counts;
}

/** Adds what encodeCounts wrote; nothing for bytes that are not there. */
export function addStoredCounts(counts: CountVector, bytes: Buffer | null | undefined): void {
  if (bytes !== null && bytes !== undefined)
    addPackedCounts(counts, { reader: new ByteReader(bytes), end: bytes.length });
}

/** Adds what encodeCounts wrote, from where the reader stands to `end`. Makes no vector of it. */
export function addPackedCounts(
  counts: CountVector,
  { reader, end }: { readonly reader: ByteReader; readonly end: number },
): void {
  let index = 0;
  while (reader.position < end) {
    index += reader.varint();
    while (counts.length <= index) counts.push(0);
    counts[index]! += reader.zigzag();
    index += 1;
  }
}
