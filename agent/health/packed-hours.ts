// A device's hours of use in few bytes. A device that is never switched off has one run of hours, a till seven in
// a week: their lengths take less than a bit per hour. For hours here and there bits are shorter: whichever
// is, is stored. Enters: hour sets. Leaves: bytes, and hour sets again. Pure.
import { HOURS_RETAINED } from "./hour-set.ts";
import type { HourSet } from "./hour-set.ts";
import type { ByteReader, ByteWriter } from "./packed-bytes.ts";

/**
 * Zigzag varint of hours since the newest, then the bits of active, of crashed, and of not responding; the last of
 * these are left out while there are none.
 */
export function writeHours(
  writer: ByteWriter,
  { newest, active, crashed, notResponding }: HourSet,
  heardHour: number,
): void {
  writer.zigzag(heardHour - newest);
  const hasStalled = notResponding !== 0n;
  const hasCrashed = crashed !== 0n || hasStalled;
  writeBits(writer, active, hasCrashed);
  if (hasCrashed) writeBits(writer, crashed, hasStalled);
  if (hasStalled) writeBits(writer, notResponding, false);
}

export function readHours(reader: ByteReader, heardHour: number): HourSet {
  const newest = heardHour - reader.zigzag();
  const active = readBits(reader);
  const crashed = active.hasMore ? readBits(reader) : NO_BITS;
  const notResponding = crashed.hasMore ? readBits(reader) : NO_BITS;
  return { newest, active: active.bits, crashed: crashed.bits, notResponding: notResponding.bits };
}

/** Varint of length in bytes * 4 + 2 if these are runs + 1 if more bits follow; then the bytes. */
function writeBits(writer: ByteWriter, bits: bigint, hasMore: boolean): void {
  const words = wordsOf(bits);
  const plainBytes = bytesIn(words);
  const halves = plainBytes <= PLAIN_BYTES ? [] : packRuns(runsOf(words));
  const isShorter = plainBytes > PLAIN_BYTES && Math.ceil(halves.length / 2) < plainBytes;
  const length = isShorter ? Math.ceil(halves.length / 2) : plainBytes;
  writer.varint(length * 4 + (isShorter ? 2 : 0) + (hasMore ? 1 : 0));
  for (let index = 0; index < length; index += 1)
    writer.byte(isShorter ? halves[index * 2]! | ((halves[index * 2 + 1] ?? 0) << 4) : byteOf(words, index));
}

/** As few as that no runs are looked for: most sets are of a day or two. */
const PLAIN_BYTES = 2;

interface Bits {
  readonly bits: bigint;
  readonly hasMore: boolean;
}
const NO_BITS: Bits = { bits: 0n, hasMore: false };

function readBits(reader: ByteReader): Bits {
  const packed = reader.varint();
  const length = Math.floor(packed / 4);
  const bytes: number[] = [];
  for (let left = length; left > 0; left -= 1) bytes.push(reader.byte());
  const words = packed % 4 >= 2 ? wordsOfRuns(unpackRuns(bytes)) : wordsOfBytes(bytes);
  return { bits: bitsOf(words), hasMore: packed % 2 === 1 };
}

const WORD_BITS = 32;

/** 32 bits each, low ones first. */
function wordsOf(bits: bigint): number[] {
  const words: number[] = [];
  for (let rest = bits; rest !== 0n; rest >>= 32n) words.push(Number(BigInt.asUintN(WORD_BITS, rest)));
  return words;
}

function bitsOf(words: readonly number[]): bigint {
  let bits = 0n;
  for (let index = words.length - 1; index >= 0; index -= 1)
    bits = (bits << 32n) | BigInt(words[index]! >>> 0);
  return bits;
}

function bytesIn(words: readonly number[]): number {
  if (words.length === 0) return 0;
  const bitsInLast = WORD_BITS - Math.clz32(words.at(-1)!);
  return (words.length - 1) * 4 + Math.ceil(bitsInLast / 8);
}

function byteOf(words: readonly number[], index: number): number {
  return (words[index >>> 2]! >>> ((index & 3) * 8)) & 0xff;
}

function wordsOfBytes(bytes: readonly number[]): number[] {
  const words: number[] = [];
  for (let index = 0; index < bytes.length; index += 1) {
    if ((index & 3) === 0) words.push(0);
    words[index >>> 2]! |= bytes[index]! << ((index & 3) * 8);
  }
  return words;
}

/** How many bits in a row are set, how many then are not, and so on to the last that is set. */
function runsOf(words: readonly number[]): number[] {
  const runs: number[] = [];
  let isSet = true;
  let length = 0;
  for (const word of words) {
    let rest = word;
    for (let left = WORD_BITS; left > 0;) {
      const same = Math.min(left, trailingZeros(isSet ? ~rest : rest));
      length += same;
      left -= same;
      if (left === 0) break;
      rest >>>= same;
      runs.push(length);
      length = 0;
      isSet = !isSet;
    }
  }
  if (isSet && length > 0) runs.push(length);
  return runs;
}

function trailingZeros(word: number): number {
  return word === 0 ? WORD_BITS : WORD_BITS - 1 - Math.clz32(word & -word);
}

function wordsOfRuns(runs: readonly number[]): number[] {
  const words: number[] = [];
  let position = 0;
  // A damaged state must not keep the agent busy with millions of hours.
  if (runs.some((run) => run < 0 || run > HOURS_RETAINED)) throw new RangeError("more hours than are kept");
  for (let index = 0; index < runs.length; index += 1)
    for (const end = position + runs[index]!; position < end; position += 1) {
      if ((position & 31) === 0) words.push(0);
      if (index % 2 === 0) words[position >>> 5]! |= 1 << (position & 31);
    }
  return words;
}

/** Numbers of half a byte: three bits of a length and one that says that more of it follows, low ones first. */
function packRuns(runs: readonly number[]): number[] {
  const halves: number[] = [];
  for (const run of runs) {
    let rest = run;
    for (; rest >= 8; rest >>>= 3) halves.push((rest & 7) | 8);
    halves.push(rest);
  }
  return halves;
}

/** Half a byte that is left over at the end reads as a run of nothing. */
function unpackRuns(bytes: readonly number[]): number[] {
  const runs: number[] = [];
  let run = 0;
  let shift = 0;
  for (const half of bytes.flatMap((byte) => [byte & 15, byte >>> 4])) {
    run |= (half & 7) << shift;
    shift += 3;
    if (half >= 8) continue;
    runs.push(run);
    run = 0;
    shift = 0;
  }
  return runs;
}
