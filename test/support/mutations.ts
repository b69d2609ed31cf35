// Near-valid inputs for fuzz targets: a right value in which a few things are changed, as JSON text in which a few more
// are, in an encoding that may be a lie. Enters: right values. Leaves: fast-check arbitraries of bytes. Random bytes alone
// would never get past the first check.
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";

export interface Sent {
  readonly bytes: Buffer;
  /** The Content-Encoding header. */
  readonly encoding: string | undefined;
}

/** What stands where a right value stood. Marks are replaced by text that no JSON.stringify writes. */
const NESTED_MARK = "@@nested@@";
const HUGE_MARK = "@@huge@@";
const LONE_MARK = "@@lone@@";
const HOSTILE_VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  -0.5,
  "",
  " ",
  "\u0000",
  "\r\nSet-Cookie: a=b",
  'quote " and \\ back',
  "{}",
  "{1}",
  "🙂".repeat(64),
  "x".repeat(128),
  "x".repeat(129),
  "x".repeat(5_000),
  "__proto__",
  "constructor",
  "toString",
  "2026-01-31T12:00:00Z",
  "9".repeat(400),
  [],
  {},
  [[]],
  { __proto__: null, constructor: { prototype: { polluted: 1 } } },
  NESTED_MARK,
  HUGE_MARK,
  LONE_MARK,
];
const HOSTILE_KEYS = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "", "length"];

type Change =
  | { readonly kind: "replace"; readonly at: number; readonly value: unknown }
  | { readonly kind: "remove"; readonly at: number }
  | { readonly kind: "repeat"; readonly at: number }
  | { readonly kind: "add"; readonly at: number; readonly key: string; readonly value: unknown };

const at = fc.nat({ max: 10_000 });
const hostile = fc.constantFrom(...HOSTILE_VALUES);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant("replace" as const), at, value: hostile }),
  fc.record({ kind: fc.constant("remove" as const), at }),
  fc.record({ kind: fc.constant("repeat" as const), at }),
  fc.record({ kind: fc.constant("add" as const), at, key: fc.constantFrom(...HOSTILE_KEYS), value: hostile }),
);

type Holder = Record<string, unknown> | unknown[];

/** A place in a value: what holds it, and under which name. */
interface Place {
  readonly holder: Holder;
  readonly name: string;
}

function placesIn(value: unknown, holder: Holder, name: string): Place[] {
  const inside =
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, each]) => placesIn(each, value as Holder, key))
      : [];
  return [{ holder, name }, ...inside];
}

function changed(sample: unknown, changes: readonly Change[]): unknown {
  const root = { value: structuredClone(sample) };
  for (const step of changes) {
    const places = placesIn(root.value, root, "value");
    const { holder, name } = places[step.at % places.length]!;
    const slots = holder as Record<string, unknown>;
    const value = slots[name];
    switch (step.kind) {
      case "replace":
        slots[name] = structuredClone(step.value);
        break;
      case "remove":
        if (holder === root) root.value = undefined;
        else if (Array.isArray(holder)) holder.splice(Number(name), 1);
        else delete slots[name];
        break;
      case "repeat":
        if (Array.isArray(value)) value.push(...(structuredClone(value) as unknown[]).slice(0, 50));
        else if (Array.isArray(holder)) holder.push(structuredClone(value));
        break;
      case "add":
        // Not by assignment: `__proto__` is to be a key of the text.
        if (typeof value === "object" && value !== null && !Array.isArray(value))
          Object.defineProperty(value, step.key, {
            value: structuredClone(step.value),
            enumerable: true,
            configurable: true,
            writable: true,
          });
    }
  }
  return root.value;
}

const DEPTHS = [10, 1_000, 20_000] as const;

function withMarks(text: string, depth: number): string {
  return text
    .replaceAll(`"${NESTED_MARK}"`, () => `${"[".repeat(depth)}${"]".repeat(depth)}`)
    .replaceAll(`"${HUGE_MARK}"`, "1e99999")
    .replaceAll(`"${LONE_MARK}"`, String.raw`"\ud800"`);
}

/** JSON text of a right value in which up to four things are wrong; often none. */
export function nearlyRightJson(samples: readonly unknown[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...samples), fc.array(change, { maxLength: 4 }), fc.constantFrom(...DEPTHS))
    .map(([sample, changes, depth]) => withMarks(JSON.stringify(changed(sample, changes)) ?? "", depth));
}

type Damage = (bytes: Buffer, at: number) => Buffer;
const DAMAGES: readonly Damage[] = [
  (bytes) => bytes,
  (bytes) => bytes,
  (bytes) => bytes,
  (bytes, place) => bytes.subarray(0, place),
  (bytes, place) =>
    Buffer.concat([bytes.subarray(0, place), Buffer.from([0xff, 0xfe]), bytes.subarray(place)]),
  (bytes, place) => Buffer.concat([bytes.subarray(0, place), Buffer.from([0]), bytes.subarray(place)]),
  (bytes, place) => Buffer.concat([bytes.subarray(0, place), bytes]),
  (bytes, place) => Buffer.concat([bytes.subarray(0, place), Buffer.from("\r\n"), bytes.subarray(place)]),
  (bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
];

/** The text as bytes: cut off, said twice, with bytes that are no UTF-8; as it is more often than not. */
export function damaged(texts: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(texts, fc.constantFrom(...DAMAGES), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([text, damage, share]) => {
      const bytes = Buffer.from(text);
      return damage(bytes, Math.floor(share * bytes.length));
    });
}

/** 64 MiB of spaces in 64 KiB. */
const BOMB = gzipSync(Buffer.alloc(64 * 1024 ** 2, 0x20));

type Encode = (bytes: Buffer) => Sent;
const plain: Encode = (bytes) => ({ bytes, encoding: undefined });
const gzipped: Encode = (bytes) => ({ bytes: gzipSync(bytes), encoding: "gzip" });
const ENCODINGS = [
  { weight: 60, encode: plain },
  { weight: 10, encode: gzipped },
  { weight: 3, encode: (bytes: Buffer): Sent => ({ bytes, encoding: "gzip" }) },
  {
    weight: 3,
    encode: (bytes: Buffer): Sent => ({ bytes: gzipSync(bytes).subarray(0, 15), encoding: "gzip" }),
  },
  { weight: 3, encode: (bytes: Buffer): Sent => ({ bytes, encoding: "br" }) },
  { weight: 3, encode: (bytes: Buffer): Sent => ({ bytes, encoding: "__proto__" }) },
  { weight: 1, encode: (): Sent => ({ bytes: BOMB, encoding: "gzip" }) },
] as const;

export function sentAs(bodies: fc.Arbitrary<Buffer>): fc.Arbitrary<Sent> {
  const encode: fc.Arbitrary<Encode> = fc.oneof(
    ...ENCODINGS.map(({ weight, encode: each }) => ({ weight, arbitrary: fc.constant(each) })),
  );
  return fc.tuple(bodies, encode).map(([bytes, each]) => each(bytes));
}
