// The hours in which one device used one version, and those in which it crashed or did not respond: a bit per
// hour, newest first, over the hours that reports may still speak of. Setting a bit twice changes nothing, so
// device-hours survive any replay. Pure.

/**
 * How many hours are told apart; older ones are counted and forgotten. Two more than reports may be late (a
 * report of just under 7 days ago beside one a few minutes ahead), so that no replay finds its hour gone.
 */
export const HOURS_RETAINED = 7 * 24 + 2;

export interface HourSet {
  /** Hour (since the epoch) of bit 0; 0 = the set is empty. */
  readonly newest: number;
  /** Bit i = hour `newest - i`. */
  readonly active: bigint;
  /** A crash is use as well: these bits are set in `active` too. */
  readonly crashed: bigint;
  /** So are these. */
  readonly notResponding: bigint;
}

/** What a report makes of its hour. */
export type HourUse = "active" | "crashed" | "notResponding";

export const NO_HOURS: HourSet = { newest: 0, active: 0n, crashed: 0n, notResponding: 0n };
const RETAINED_MASK = (1n << BigInt(HOURS_RETAINED)) - 1n;

/** The set with the hour in it; the same object when it was there, or is too old to be told apart. */
export function withHour(set: HourSet, hour: number, use: HourUse): HourSet {
  const age = set.newest === 0 ? -1 : set.newest - hour;
  if (age >= HOURS_RETAINED) return set;
  const moved = age >= 0 ? set : moveTo(set, hour);
  const bit = 1n << BigInt(moved.newest - hour);
  const active = moved.active | bit;
  const crashed = use === "crashed" ? moved.crashed | bit : moved.crashed;
  const notResponding = use === "notResponding" ? moved.notResponding | bit : moved.notResponding;
  const isKnown =
    moved === set && active === set.active && crashed === set.crashed && notResponding === set.notResponding;
  return isKnown ? set : { newest: moved.newest, active, crashed, notResponding };
}

function moveTo({ newest, active, crashed, notResponding }: HourSet, hour: number): HourSet {
  if (newest === 0 || hour - newest >= HOURS_RETAINED) return { ...NO_HOURS, newest: hour };
  const by = BigInt(hour - newest);
  return {
    newest: hour,
    active: (active << by) & RETAINED_MASK,
    crashed: (crashed << by) & RETAINED_MASK,
    notResponding: (notResponding << by) & RETAINED_MASK,
  };
}

/** Whether hours of `before` are too old to be told apart in what it has become. */
export function hasForgotten(before: HourSet, after: HourSet): boolean {
  if (before.newest === 0 || before.newest === after.newest) return false;
  return before.active << BigInt(after.newest - before.newest) > RETAINED_MASK;
}

/** The hours of `bits`, one of the three of a set that begins at `newest`. */
export function hoursOf(newest: number, bits: bigint): number[] {
  const hours: number[] = [];
  let rest = bits;
  for (let age = 0; rest !== 0n; age += 1, rest >>= 1n) if ((rest & 1n) === 1n) hours.push(newest - age);
  return hours;
}

/** The oldest hour of `bits`, one of the three of a set that begins at `newest`; 0 = none. */
export function oldestOf(newest: number, bits: bigint): number {
  return bits === 0n ? 0 : newest - (bits.toString(2).length - 1);
}
