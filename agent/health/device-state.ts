// What is kept of one device: when it was first and last heard of, what it runs, and per release that it ever
// reported about its outcome flags, its first attempt and answer, its stratum, hours of use and reasons of
// failure. Packed into a few dozen bytes, because a fleet has millions of devices.
// Enters: bytes from Redis. Leaves: a state, and bytes again. decode(encode(x)) = x is property-tested.
import { EVENTS, REPORT_AGE_MS_MAX } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import { HOURS_RETAINED, NO_HOURS, oldestOf } from "./hour-set.ts";
import type { HourSet } from "./hour-set.ts";
import { RETURNED_LATE, SILENT, flagOf } from "./outcomes.ts";
import type { OutcomeFlags } from "./outcomes.ts";
import { ByteReader, ByteWriter } from "./packed-bytes.ts";
import { readHours, writeHours } from "./packed-hours.ts";

export interface ReleaseRecord {
  readonly flags: OutcomeFlags;
  /** Minute (since the epoch, by the device's clock or, where that was clamped, ours) of the earliest attempt; 0 = none was reported. */
  readonly attemptMinute: number;
  /** Minute of the earliest report that says more than "started" or "installed"; 0 = none yet. */
  readonly answerMinute: number;
  /** Minute, by our clock, in which the earliest failure came in; 0 = none, or the attempt was announced. */
  readonly failureMinute: number;
  /** The shard's number for the stratum; 0 = not told. */
  readonly stratum: number;
  readonly hours: HourSet;
  /** Hour (since the epoch) of the earliest crash, also when `hours` tells it apart no more; 0 = none told its hour. */
  readonly firstCrashHour: number;
  /** The same of the earliest time that it did not respond. */
  readonly firstNotRespondingHour: number;
  /** The shard's numbers for reasons of failure, ordered by their texts. */
  readonly reasons: readonly number[];
}

export const NO_RECORD: ReleaseRecord = {
  flags: 0,
  attemptMinute: 0,
  answerMinute: 0,
  failureMinute: 0,
  stratum: 0,
  hours: NO_HOURS,
  firstCrashHour: 0,
  firstNotRespondingHour: 0,
  reasons: [],
};

/** The newest report of the device, whatever it was about. */
export interface Heard {
  /** Second (since the epoch) by the device's clock. */
  readonly atSecond: number;
  /** The shard's number for the release it was about. */
  readonly release: number;
  /** Whether it leaves a word owing: it was `update_started` or `installed`. */
  readonly isPending: boolean;
  /** Minute in which it came in, by our clock; 0 where nothing is owing. */
  readonly receivedMinute: number;
}

/** The newest report that proves which release the device runs. */
export interface Running {
  readonly atSecond: number;
  readonly release: number;
}

export interface DeviceState {
  /** Undefined for a device that is not known. */
  readonly heard: Heard | undefined;
  readonly running: Running | undefined;
  /**
   * Day (since the epoch) in which its first report came in, by our clock. Undefined for a device that is not known, and
   * for one that was known before days were kept.
   */
  readonly firstDay?: number | undefined;
  /** By the shard's number for the release (see the release table in shard-tables.ts). */
  readonly records: ReadonlyMap<number, ReleaseRecord>;
}

export const NO_STATE: DeviceState = { heard: undefined, running: undefined, records: new Map() };

/**
 * Releases one device can have records of. The record of the oldest attempt gives way to a new release, but
 * only when no report may claim its time any more (REPORT_AGE_MS_MAX); reports about further releases than
 * that in so short a time go to the dead-letter stream.
 */
export const RELEASES_PER_DEVICE_MAX = 128;

/** Latest second that a state can hold (the year 2106), and the minute of it. */
export const SECOND_MAX = 0xffff_ffff;
export const MINUTE_MAX = Math.floor(SECOND_MAX / 60);
const HOUR_MAX = Math.ceil(MINUTE_MAX / 60);
const DAY_MINUTES = 24 * 60;
export const DAY_MAX = Math.floor(MINUTE_MAX / DAY_MINUTES);
/** A device's clock is not believed further back than this: so many days may it be heard of before its first day. */
const FIRST_DAY_AHEAD_DAYS_MAX = Math.ceil(REPORT_AGE_MS_MAX / (DAY_MINUTES * 60_000));

/**
 * Bits of a record's word: what it says, and which parts follow. A word is a varint: the first seven bits are
 * those that devices without trouble need, and fill one byte; the next seven fill a second.
 */
const EVENT_BITS: Readonly<Record<DeviceEvent, number>> = {
  update_started: 0,
  installed: 1,
  confirmed: 2,
  active: 3,
  crashed: 7,
  download_failed: 8,
  install_failed: 9,
  reverted: 10,
  not_responding: 11,
};
const HAS_ATTEMPT = 1 << 4;
const HAS_ANSWER = 1 << 5;
const HAS_HOURS = 1 << 6;
/** Another stratum than the record before; before the first stands 0. */
const HAS_STRATUM = 1 << 12;
const HAS_FAILURE = 1 << 13;
const HAS_REASONS = 1 << 14;
const CRASHED = flagOf("crashed");
const NOT_RESPONDING = flagOf("not_responding");
const FLAG_WORDS: readonly (readonly [flag: OutcomeFlags, bit: number])[] = [
  ...EVENTS.map((event) => [flagOf(event), 1 << EVENT_BITS[event]] as const),
  [SILENT, 1 << 15],
  [RETURNED_LATE, 1 << 16],
];

/** How a device was heard of, two bits: what was heard is what it runs, or leaves a word owing. Never both. */
const RUNS_WHAT_WAS_HEARD = 2;
const IS_PENDING = 1;
/** Both: the two bits stand in the next number, below the day in which it was first heard of. */
const HAS_FIRST_DAY = 3;

/**
 * Heard: u32 second; varint of release * 4 + HAS_FIRST_DAY; varint of days from the first to this one * 4 + 2 if it is what the
 * device runs + 1 if pending: one byte for a device's first 24 days, two for 11 years. (Where the first day is not known
 * the two bits stand with the release, as they did in layout 3, and the second number is left out.) When pending a zigzag
 * varint of the minute it came in. Running, unless it is what was heard: varint release (0 = none), zigzag
 * seconds before heard. Then the records. Minutes and hours are kept as differences from when the device was
 * heard, which makes most of them one or two bytes.
 */
export function encodeDeviceState({ heard, running, firstDay, records }: DeviceState): Buffer {
  const writer = new ByteWriter();
  const { atSecond, release, isPending, receivedMinute } = heard!;
  const heardMinute = Math.floor(atSecond / 60);
  const runsWhatWasHeard = !isPending && running?.release === release && running.atSecond === atSecond;
  const how = isPending ? IS_PENDING : runsWhatWasHeard ? RUNS_WHAT_WAS_HEARD : 0;
  writer.u32(atSecond);
  writer.varint(release * 4 + (firstDay === undefined ? how : HAS_FIRST_DAY));
  if (firstDay !== undefined) writer.varint((latestFirstDay(heardMinute) - firstDay) * 4 + how);
  if (isPending) writer.zigzag(receivedMinute - heardMinute);
  if (!runsWhatWasHeard) {
    writer.varint(running?.release ?? 0);
    if (running !== undefined) writer.zigzag(atSecond - running.atSecond);
  }
  let stratum = 0;
  for (const [releaseNumber, record] of records) {
    writer.varint(releaseNumber);
    writeRecord(writer, record, { heardMinute, stratumBefore: stratum });
    ({ stratum } = record);
  }
  return writer.bytes();
}

/** The latest day in which a device that was heard of then by its clock can have been heard of first by ours. */
function latestFirstDay(heardMinute: number): number {
  return Math.floor(heardMinute / DAY_MINUTES) + FIRST_DAY_AHEAD_DAYS_MAX;
}

/** What a record is told apart from. */
interface Around {
  readonly heardMinute: number;
  readonly stratumBefore: number;
}

/** Varint word, then the parts that are there. */
function writeRecord(
  writer: ByteWriter,
  record: ReleaseRecord,
  { heardMinute, stratumBefore }: Around,
): void {
  const { flags, attemptMinute, answerMinute, failureMinute, stratum, reasons } = record;
  const hours = hoursStillTold(record.hours, heardMinute);
  let word =
    (attemptMinute === 0 ? 0 : HAS_ATTEMPT) |
    (answerMinute === 0 ? 0 : HAS_ANSWER) |
    (failureMinute === 0 ? 0 : HAS_FAILURE) |
    (hours.newest === 0 ? 0 : HAS_HOURS) |
    (stratum === stratumBefore ? 0 : HAS_STRATUM) |
    (reasons.length === 0 ? 0 : HAS_REASONS);
  for (const [flag, bit] of FLAG_WORDS) if ((flags & flag) !== 0) word |= bit;
  writer.varint(word);
  if (stratum !== stratumBefore) writer.varint(stratum);
  if (attemptMinute !== 0) writer.zigzag(heardMinute - attemptMinute);
  if (answerMinute !== 0) writer.zigzag(answerMinute - attemptMinute);
  if (failureMinute !== 0) writer.zigzag(heardMinute - failureMinute);
  const heardHour = Math.floor(heardMinute / 60);
  if (hours.newest !== 0) writeHours(writer, hours, heardHour);
  const { newest, crashed, notResponding } = hours;
  if ((flags & CRASHED) !== 0)
    writeFirstHour(writer, record.firstCrashHour, { told: oldestOf(newest, crashed), heardHour });
  if ((flags & NOT_RESPONDING) !== 0)
    writeFirstHour(writer, record.firstNotRespondingHour, {
      told: oldestOf(newest, notResponding),
      heardHour,
    });
  if (reasons.length === 0) return;
  writer.varint(reasons.length);
  for (const reason of reasons) writer.varint(reason);
}

/** What the hour in which something first happened is told apart from. */
interface AroundFirst {
  /** The oldest hour of it that is told apart; 0 = none is any more, or none ever was. */
  readonly told: number;
  readonly heardHour: number;
}

/**
 * Zigzag hours before the oldest that is told apart, and so 0 in most cases: one byte, of the devices alone that
 * it ever happened to. Where none is told apart, before the one in which the device was heard; 0 = none.
 */
function writeFirstHour(writer: ByteWriter, hour: number, { told, heardHour }: AroundFirst): void {
  writer.zigzag(hour === 0 ? 0 : (told === 0 ? heardHour : told) - hour);
}

function readFirstHour(reader: ByteReader, { told, heardHour }: AroundFirst): number {
  const before = reader.zigzag();
  return told === 0 && before === 0 ? 0 : within(HOUR_MAX, (told === 0 ? heardHour : told) - before);
}

/** Hours that no report may name any more need not be told apart: they are counted, and stay counted. */
function hoursStillTold(hours: HourSet, heardMinute: number): HourSet {
  return Math.floor(heardMinute / 60) - hours.newest > HOURS_RETAINED ? NO_HOURS : hours;
}

export function decodeDeviceState(bytes: Buffer): DeviceState {
  const reader = new ByteReader(bytes);
  const atSecond = reader.u32();
  const heardMinute = Math.floor(atSecond / 60);
  const packed = reader.varint();
  const release = Math.floor(packed / 4);
  const packedDay = packed % 4 === HAS_FIRST_DAY ? reader.varint() : undefined;
  const firstDay =
    packedDay === undefined
      ? undefined
      : within(DAY_MAX, latestFirstDay(heardMinute) - Math.floor(packedDay / 4));
  const how = (packedDay ?? packed) % 4;
  const isPending = how === IS_PENDING;
  const receivedMinute = isPending ? within(MINUTE_MAX, heardMinute + reader.zigzag()) : 0;
  const running = how === RUNS_WHAT_WAS_HEARD ? { atSecond, release } : readRunning(reader, atSecond);
  const records = new Map<number, ReleaseRecord>();
  let stratumBefore = 0;
  while (!reader.isAtEnd()) {
    const releaseNumber = reader.varint();
    const record = readRecord(reader, { heardMinute, stratumBefore });
    records.set(releaseNumber, record);
    stratumBefore = record.stratum;
  }
  return { heard: { atSecond, release, isPending, receivedMinute }, running, firstDay, records };
}

/** A damaged state may decode, but its times would be counted in windows that there cannot be. */
function within(max: number, value: number): number {
  if (value < 1 || value > max) throw new RangeError("a time that no state holds");
  return value;
}

/** Undefined for bytes that are no state: memory fails, and people write to Redis by hand. */
export function tryDecodeDeviceState(bytes: Buffer): DeviceState | undefined {
  try {
    return decodeDeviceState(bytes);
  } catch {
    return undefined;
  }
}

function readRunning(reader: ByteReader, heardSecond: number): Running | undefined {
  const release = reader.varint();
  return release === 0 ? undefined : { atSecond: within(SECOND_MAX, heardSecond - reader.zigzag()), release };
}

/** When the device was last heard of, without reading the rest. Bytes that are too few to say so never get old. */
export function heardSecondOf(bytes: Buffer): number {
  return bytes.length < 4 ? SECOND_MAX : bytes.readUInt32LE(0);
}

function readRecord(reader: ByteReader, { heardMinute, stratumBefore }: Around): ReleaseRecord {
  const word = reader.varint();
  const has = (part: number): boolean => (word & part) !== 0;
  let flags: OutcomeFlags = 0;
  for (const [flag, bit] of FLAG_WORDS) if (has(bit)) flags |= flag;
  const stratum = has(HAS_STRATUM) ? reader.varint() : stratumBefore;
  const attemptMinute = has(HAS_ATTEMPT) ? within(MINUTE_MAX, heardMinute - reader.zigzag()) : 0;
  const answerMinute = has(HAS_ANSWER) ? within(MINUTE_MAX, attemptMinute + reader.zigzag()) : 0;
  const failureMinute = has(HAS_FAILURE) ? within(MINUTE_MAX, heardMinute - reader.zigzag()) : 0;
  const heardHour = Math.floor(heardMinute / 60);
  const hours = has(HAS_HOURS) ? readHours(reader, heardHour) : NO_HOURS;
  if (has(HAS_HOURS)) within(HOUR_MAX, hours.newest);
  const firstHour = (flag: OutcomeFlags, bits: bigint): number =>
    (flags & flag) === 0 ? 0 : readFirstHour(reader, { told: oldestOf(hours.newest, bits), heardHour });
  const firstCrashHour = firstHour(CRASHED, hours.crashed);
  const firstNotRespondingHour = firstHour(NOT_RESPONDING, hours.notResponding);
  const reasons: number[] = [];
  for (let left = has(HAS_REASONS) ? reader.varint() : 0; left > 0; left -= 1) reasons.push(reader.varint());
  return {
    flags,
    attemptMinute,
    answerMinute,
    failureMinute,
    stratum,
    hours,
    firstCrashHour,
    firstNotRespondingHour,
    reasons,
  };
}
