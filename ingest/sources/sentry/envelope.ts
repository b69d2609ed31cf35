// The form of a Sentry envelope: a header line, then for each item a header line and its payload. Pure. Enters: the bytes
// as inflated. Leaves: the items, or which header line can't be read. What an item says is not looked at, and one of an
// unknown type is an item like any other: a newer SDK sends what this file has never heard of.
import { readJson } from "../../../runtime/json.ts";

/** Items in one envelope; SDKs send a handful. */
export const ITEMS_MAX = 1_000;

export interface EnvelopeItem {
  /** Undefined where the item's header names none. */
  readonly type: string | undefined;
  readonly payload: Buffer;
}

export interface Envelope {
  readonly header: Readonly<Record<string, unknown>>;
  /** Bytes from the newline after the envelope's header on. */
  readonly rest: Buffer;
  readonly items: readonly EnvelopeItem[];
}

export type ParsedEnvelope =
  | ({ readonly kind: "envelope" } & Envelope)
  | { readonly kind: "unreadable"; readonly detail: string }
  | { readonly kind: "too_many_items" };

const NEWLINE = 0x0a;

export function parseEnvelope(bytes: Buffer): ParsedEnvelope {
  const first = lineAt(bytes, 0);
  const header = headerOf(first.text);
  if (header === undefined) return unreadable("The first line must be a JSON object: the envelope's header.");
  const items: EnvelopeItem[] = [];
  let at = first.next;
  while (at < bytes.length) {
    const line = lineAt(bytes, at);
    at = line.next;
    // A newline at the end, or more of them, is legal.
    if (line.text.trim() === "") continue;
    const itemHeader = headerOf(line.text);
    if (itemHeader === undefined)
      return unreadable(`The header line of item ${items.length} must be a JSON object.`);
    if (items.length === ITEMS_MAX) return { kind: "too_many_items" };
    const end = payloadEnd(bytes, at, itemHeader["length"]);
    if (end === undefined)
      return unreadable(
        `"length" of item ${items.length} must be the bytes of its payload, up to a newline.`,
      );
    const { type } = itemHeader;
    items.push({ type: typeof type === "string" ? type : undefined, payload: bytes.subarray(at, end) });
    at = end + 1;
  }
  return { kind: "envelope", header, rest: bytes.subarray(Math.max(first.next - 1, 0)), items };
}

function unreadable(detail: string): ParsedEnvelope {
  return { kind: "unreadable", detail };
}

function lineAt(bytes: Buffer, from: number): { readonly text: string; readonly next: number } {
  const newline = bytes.indexOf(NEWLINE, from);
  const end = newline === -1 ? bytes.length : newline;
  return { text: bytes.toString("utf8", from, end), next: end + 1 };
}

function headerOf(line: string): Record<string, unknown> | undefined {
  const parsed = readJson(line);
  if (parsed.kind === "malformed") return undefined;
  const { value } = parsed;
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Without a length: up to the next newline. Undefined for a length that leads past the end, or into the middle of a line. */
function payloadEnd(bytes: Buffer, from: number, length: unknown): number | undefined {
  if (length === undefined || length === null) {
    const newline = bytes.indexOf(NEWLINE, from);
    return newline === -1 ? bytes.length : newline;
  }
  if (!Number.isSafeInteger(length) || (length as number) < 0) return undefined;
  const end = from + (length as number);
  // An item without a payload may end with its header's line.
  if (end >= bytes.length) return end === bytes.length || length === 0 ? bytes.length : undefined;
  return bytes[end] === NEWLINE ? end : undefined;
}
