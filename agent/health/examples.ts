// Examples: which devices stand behind the counts of a release. The device table holds only digests (ADR 0009), so a
// bounded list of ids is kept beside it: per shard, release and outcome the first devices that came to stand in it.
// Pure. Enters: what a commit changes of records. Leaves: bytes to append, and lists again.
//
// A list is one string: a head with the number of devices per outcome, and then entries, each of a device and the
// outcomes that it came to stand in with one commit. Appended to and never rewritten, so folding reads the head alone.
import { OUTCOMES, RETURNED_LATE, SILENT, flagOf, outcomesOf } from "./outcomes.ts";
import type { Outcome, OutcomeFlags } from "./outcomes.ts";
import { ByteReader, ByteWriter } from "./packed-bytes.ts";

/**
 * Outcomes with examples. The order is stored: append only, eight at most. Whoever is silent says nothing, so of them
 * there is no id, but the name in the device table.
 */
export const EXAMPLE_OUTCOMES = [
  "failed",
  "download_failed",
  "crashed",
  "not_responding",
  "recovered",
  "returned_late",
  "silent",
] as const satisfies readonly Outcome[];
export type ExampleOutcome = (typeof EXAMPLE_OUTCOMES)[number];

/** Devices of an outcome that are shown, over all shards. */
export const EXAMPLES_PER_OUTCOME_MAX = 1_000;
/** How long a list stays when nothing more comes to it, in seconds: as long as windows do. */
export const EXAMPLES_RETENTION_SECONDS = 90 * 24 * 3_600;

/**
 * Devices of an outcome that one shard keeps. Devices are spread by a hash, so of EXAMPLES_PER_OUTCOME_MAX devices a
 * shard has its share give or take the root of it; with six roots more, none is missing.
 */
export function examplesPerShard(shards: number): number {
  const share = EXAMPLES_PER_OUTCOME_MAX / shards;
  return Math.min(EXAMPLES_PER_OUTCOME_MAX, Math.ceil(share + 6 * Math.sqrt(share)));
}

/** Bit i = EXAMPLE_OUTCOMES[i]. */
export type ExampleMask = number;
const SILENT_BIT = maskOf("silent");
const INDICES = EXAMPLE_OUTCOMES.map((outcome) => OUTCOMES.indexOf(outcome));
/** Flags that an outcome with examples can follow from. */
const MATTERING_FLAGS =
  flagOf("install_failed") |
  flagOf("reverted") |
  flagOf("download_failed") |
  flagOf("confirmed") |
  flagOf("crashed") |
  flagOf("not_responding") |
  SILENT |
  RETURNED_LATE;

function maskOf(outcome: ExampleOutcome): ExampleMask {
  return 1 << EXAMPLE_OUTCOMES.indexOf(outcome);
}

/** Outcomes that a device stands in with the flags `after`, and did not with `before`. */
export function gainedOutcomes(before: OutcomeFlags, after: OutcomeFlags): ExampleMask {
  // Most changes of a record are none of these.
  if ((after & ~before & MATTERING_FLAGS) === 0) return 0;
  const [was, is] = [outcomesOf(before), outcomesOf(after)];
  let mask = 0;
  for (const [bit, index] of INDICES.entries()) if (was[index] === 0 && is[index] === 1) mask |= 1 << bit;
  return mask;
}

/** A device that came to stand in outcomes. */
export interface Example {
  readonly outcomes: ExampleMask;
  /** Its id; of `silent`, which stands alone, its field in the device table. */
  readonly name: string;
}

/** `id` is unknown where no report of the device is at hand; `field` is 8 bytes as a latin1 string. */
export function examplesOf(
  gained: ExampleMask,
  { id, field }: { readonly id: string | undefined; readonly field: string },
): Example[] {
  const examples: Example[] = [];
  const told = gained & ~SILENT_BIT;
  if (told !== 0 && id !== undefined) examples.push({ outcomes: told, name: id });
  if ((gained & SILENT_BIT) !== 0) examples.push({ outcomes: SILENT_BIT, name: field });
  return examples;
}

/** A list begins with a u16 of devices for each of up to eight outcomes. */
export const EXAMPLES_HEAD_BYTES = 16;

export interface AppendedExamples {
  /** Goes over the head that was read. */
  readonly head: Buffer;
  /** Goes to the end of the list. */
  readonly entries: Buffer;
}

/** Undefined when no outcome has room. `head` = first bytes of the list; none = there is no list yet. */
export function appendExamples(
  head: Buffer,
  examples: readonly Example[],
  perOutcomeMax: number,
): AppendedExamples | undefined {
  const counts = EXAMPLE_OUTCOMES.map((_, index) => countIn(head, index));
  const writer = new ByteWriter();
  for (const { outcomes, name } of examples) {
    let kept = 0;
    for (const [index, count] of counts.entries()) {
      const bit = 1 << index;
      if ((outcomes & bit) === 0 || count >= perOutcomeMax) continue;
      counts[index] = count + 1;
      kept |= bit;
    }
    if (kept === 0) continue;
    const bytes = Buffer.from(name, outcomes === SILENT_BIT ? "latin1" : "utf8");
    writer.byte(kept);
    writer.varint(bytes.length);
    writer.raw(bytes);
  }
  const entries = writer.bytes();
  if (entries.length === 0) return undefined;
  const newHead = Buffer.alloc(EXAMPLES_HEAD_BYTES);
  for (const [index, count] of counts.entries()) newHead.writeUInt16LE(count, index * 2);
  return { head: newHead, entries };
}

function countIn(head: Buffer, index: number): number {
  return head.length < EXAMPLES_HEAD_BYTES ? 0 : head.readUInt16LE(index * 2);
}

export function byOutcome<T>(valueOf: (outcome: ExampleOutcome) => T): Record<ExampleOutcome, T> {
  const values: Partial<Record<ExampleOutcome, T>> = {};
  for (const outcome of EXAMPLE_OUTCOMES) values[outcome] = valueOf(outcome);
  return values as Record<ExampleOutcome, T>;
}

/** Names by outcome, the first that came first. */
export type ExampleNames = Readonly<Record<ExampleOutcome, readonly Buffer[]>>;

/** What a list holds; of one that was damaged, what stands before the damage. */
export function readExampleList(list: Buffer): ExampleNames {
  const names = byOutcome((): Buffer[] => []);
  const reader = new ByteReader(list.subarray(EXAMPLES_HEAD_BYTES));
  try {
    while (!reader.isAtEnd()) {
      const outcomes = reader.byte();
      const name = reader.raw(reader.varint());
      for (const outcome of EXAMPLE_OUTCOMES)
        if ((outcomes & maskOf(outcome)) !== 0) names[outcome].push(name);
    }
  } catch (error) {
    // What reads past the end throws this; anything else is a mistake of ours.
    if (!(error instanceof RangeError)) throw error;
  }
  return names;
}

/**
 * One list of several: the first of each, then the second of each, and so on, so that none stands for all. Nobody twice,
 * and EXAMPLES_PER_OUTCOME_MAX at most.
 */
export function inTurns(lists: readonly (readonly string[])[]): string[] {
  const names = new Set<string>();
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  for (let index = 0; index < longest; index += 1)
    for (const list of lists) {
      const name = list[index];
      if (name !== undefined) names.add(name);
      if (names.size === EXAMPLES_PER_OUTCOME_MAX) return [...names];
    }
  return [...names];
}
