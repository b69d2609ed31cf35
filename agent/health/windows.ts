// Windows as they are stored, and how they are rolled up as they age. Pure. One field per slot holds the counts
// of all its strata, because a field costs Redis more than the counts of a stratum.
// Enters: stored slots. Leaves: which ones go, and which take their counts up; every sum is what it was.
import { addCounts, addPackedCounts, decodeCounts, encodeCounts, isZero } from "./count-vector.ts";
import type { CountVector } from "./count-vector.ts";
import { COARSE_SLOT_MINUTES, horizonsAt, slotOf } from "./health-window.ts";
import type { Slot } from "./health-window.ts";
import { ByteReader, ByteWriter } from "./packed-bytes.ts";

/** `<length>:<first minute>`. */
export function formatSlot({ slotMinutes, slotMinute }: Slot): string {
  return `${slotMinutes}:${slotMinute}`;
}

export function parseSlot(field: string): Slot {
  const [slotMinutes, slotMinute] = field.split(":").map(Number) as [number, number];
  return { slotMinutes, slotMinute };
}

/** Counts by the shard's number for the stratum. */
export type StrataCounts = ReadonlyMap<number, CountVector>;
/** The same, each stratum as it is stored. */
type PackedStrata = ReadonlyMap<number, Buffer>;

function encodePacked(strata: PackedStrata): Buffer {
  const writer = new ByteWriter();
  for (const [stratum, counts] of strata) {
    writer.varint(stratum);
    writer.varint(counts.length);
    writer.raw(counts);
  }
  return writer.bytes();
}

/** Per stratum: varint number, varint length, counts. Empty when nothing is left. */
function decodePacked(bytes: Buffer | undefined): Map<number, Buffer> {
  const strata = new Map<number, Buffer>();
  if (bytes === undefined) return strata;
  const reader = new ByteReader(bytes);
  while (!reader.isAtEnd()) {
    const stratum = reader.varint();
    strata.set(stratum, reader.raw(reader.varint()));
  }
  return strata;
}

export function decodeStrata(bytes: Buffer): StrataCounts {
  return new Map([...decodePacked(bytes)].map(([stratum, counts]) => [stratum, decodeCounts(counts)]));
}

/** Adds a stored slot to the sums, without a vector per stratum. Leaves: how many strata it had. */
export function addStoredStrata(bytes: Buffer, sumOf: (stratum: number) => CountVector): number {
  const reader = new ByteReader(bytes);
  let strata = 0;
  while (!reader.isAtEnd()) {
    const sum = sumOf(reader.varint());
    const length = reader.varint();
    addPackedCounts(sum, { reader, end: reader.position + length });
    strata += 1;
  }
  return strata;
}

/** A stored slot with counts added; empty when all of them are zero by now. Strata that nothing is added to are not read. */
export function addToSlot(stored: Buffer | undefined, added: StrataCounts): Buffer {
  const strata = decodePacked(stored);
  for (const [stratum, counts] of added) {
    const sum = decodeCounts(strata.get(stratum));
    addCounts(sum, counts);
    if (isZero(sum)) strata.delete(stratum);
    else strata.set(stratum, encodeCounts(sum));
  }
  return encodePacked(strata);
}

export interface RollUpPlan {
  /** Slots that go, with the one that takes their counts up; undefined = they are dropped. */
  readonly moving: readonly { readonly field: string; readonly into: string | undefined }[];
  /** Whether slots finer than an hour are left, which will have to be rolled up later. */
  readonly isFine: boolean;
}

/** `nowMinute` = minutes since the epoch. */
export function planRollUp(fields: readonly string[], nowMinute: number): RollUpPlan {
  const horizons = horizonsAt(nowMinute);
  const moving: { field: string; into: string | undefined }[] = [];
  let isFine = false;
  for (const field of fields) {
    const { slotMinute, slotMinutes } = parseSlot(field);
    const slot = slotOf(slotMinute, horizons);
    if (slot !== undefined && slot.slotMinutes < COARSE_SLOT_MINUTES) isFine = true;
    if (slot !== undefined && slot.slotMinutes <= slotMinutes) continue;
    moving.push({ field, into: slot === undefined ? undefined : formatSlot(slot) });
  }
  return { moving, isFine };
}

/** What the slots that take counts up become; empty = nothing is left. `slots` = all that `moving` names. */
export function rollUp(
  slots: ReadonlyMap<string, Buffer>,
  moving: RollUpPlan["moving"],
): ReadonlyMap<string, Buffer> {
  const written = new Map<string, Buffer>();
  for (const { field, into } of moving) {
    const counts = slots.get(field);
    if (into === undefined || counts === undefined) continue;
    written.set(into, addToSlot(written.get(into) ?? slots.get(into), decodeStrata(counts)));
  }
  return written;
}
