// Values in OTLP's JSON. Pure. Enters: attributes (`[{ key, value: AnyValue }]`) and times (nanoseconds, as text or number).
// Leaves: texts by name, and epoch milliseconds. 64-bit integers are texts there, and some exporters send them as numbers.

const NANOSECONDS_PER_MS = 1_000_000n;
const TIME_MS_MAX = 8_640_000_000_000_000n;

/** The last of two with the same name holds; what is no text, number or boolean is left out. */
export function attributesOf(list: unknown): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (!Array.isArray(list)) return found;
  for (const entry of list as unknown[]) {
    if (!isRecord(entry)) continue;
    const text = textOf(entry["value"]);
    if (typeof entry["key"] === "string" && text !== undefined) found.set(entry["key"], text);
  }
  return found;
}

/** Undefined for lists, maps and bytes: no name stands in them. */
export function textOf(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined;
  for (const kind of ["stringValue", "intValue", "doubleValue", "boolValue"]) {
    const inner = Object.hasOwn(value, kind) ? value[kind] : undefined;
    if (typeof inner === "string" || typeof inner === "number" || typeof inner === "boolean")
      return String(inner);
  }
  return undefined;
}

/** Undefined for what is no time, and for 0, which stands for "not known". */
export function timeMsOfNanoseconds(value: unknown): number | undefined {
  const nanoseconds =
    typeof value === "string" && /^\d{1,22}$/.test(value)
      ? BigInt(value)
      : typeof value === "number" && Number.isFinite(value) && value > 0
        ? BigInt(Math.trunc(value))
        : 0n;
  const timeMs = nanoseconds / NANOSECONDS_PER_MS;
  return nanoseconds === 0n || timeMs > TIME_MS_MAX ? undefined : Number(timeMs);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
