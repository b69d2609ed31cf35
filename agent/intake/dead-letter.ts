// A DeadLetter is what could not be folded, put aside with the reason: a whole stream entry that nobody can
// decode, or one report that a limit refused. Pure. Enters: ids and payloads as text. Leaves: their parts, and
// the fields of the stream entry that a letter becomes again.
import { isUtf8 } from "node:buffer";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";

/** Where a letter is. Its id as text is `<shard>:<stream id>`, such as `3:1763907269123-0`. */
export interface LetterPlace {
  readonly shard: number;
  /** Id in the shard's dead-letter stream. */
  readonly entryId: string;
}

const LETTER_ID = /^(\d{1,3}):(\d{1,20})-(\d{1,20})$/;
const STREAM_ID_PART_MAX = 2n ** 64n - 1n;

export function formatLetterId({ shard, entryId }: LetterPlace): string {
  return `${shard}:${entryId}`;
}

/** Undefined for what can be no letter's id. */
export function parseLetterId(text: string): LetterPlace | undefined {
  const [, shard, ...parts] = LETTER_ID.exec(text) ?? [];
  if (shard === undefined || parts.some((part) => BigInt(part) > STREAM_ID_PART_MAX)) return undefined;
  // One form for each id, whatever zeros it was written with.
  return { shard: Number(shard), entryId: parts.map((part) => BigInt(part).toString()).join("-") };
}

/** Order of putting aside; letters of one instant stand in the order of their shards. */
export function compareLetters(left: LetterPlace, right: LetterPlace): number {
  const [leftMs, leftSequence] = left.entryId.split("-").map(BigInt) as [bigint, bigint];
  const [rightMs, rightSequence] = right.entryId.split("-").map(BigInt) as [bigint, bigint];
  if (leftMs !== rightMs) return leftMs < rightMs ? -1 : 1;
  if (leftSequence !== rightSequence) return leftSequence < rightSequence ? -1 : 1;
  return left.shard - right.shard;
}

/** When it was put aside, epoch milliseconds on Redis's clock. */
export function letterTimeMs({ entryId }: LetterPlace): number {
  return Number(entryId.split("-")[0]);
}

/** The payload of an entry that cannot be decoded: all of it, byte for byte, so that it can go back as it was. */
export function payloadOfEntry(id: string, fields: readonly Buffer[]): string {
  if (fields.every((field) => isUtf8(field)))
    return JSON.stringify({ id, fields: fields.map((field) => field.toString()) });
  return JSON.stringify({ id, fieldsBase64: fields.map((field) => field.toString("base64")) });
}

export type LetterKind = "entry" | "report";

/** From the beginning of a payload: the commit writes `{"id":…` for an entry, `{"receivedAtMs":…` for a report. */
export function kindOfPayload(payload: string): LetterKind {
  return payload.startsWith('{"receivedAtMs"') ? "report" : "entry";
}

/**
 * Name-value pairs that go back as they were, at most: Redis's scripts pass on no more than a few thousand
 * arguments, and ingest writes three pairs.
 */
export const REDRIVEN_PAIRS_MAX = 1_000;

/** What a letter becomes again in its shard's report stream; undefined when its payload does not say. */
export function fieldsOfPayload(payload: string): readonly (string | Buffer)[] | undefined {
  let letter: unknown;
  try {
    letter = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (typeof letter !== "object" || letter === null) return undefined;
  const { fields, fieldsBase64, receivedAtMs, report } = letter as Readonly<Record<string, unknown>>;
  if (isTexts(fieldsBase64)) return within(fieldsBase64.map((text) => Buffer.from(text, "base64")));
  if (isTexts(fields)) return within(fields);
  if (typeof receivedAtMs !== "number" || typeof report !== "object" || report === null) return undefined;
  // Whether it can be counted is for folding to say: if not, it comes back as a letter.
  return encodeReportEntry({ receivedAtMs, reports: [report as AcceptedReport] });
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function within<T extends string | Buffer>(fields: readonly T[]): readonly T[] | undefined {
  const isPairs = fields.length > 0 && fields.length % 2 === 0;
  return isPairs && fields.length <= 2 * REDRIVEN_PAIRS_MAX ? fields : undefined;
}
