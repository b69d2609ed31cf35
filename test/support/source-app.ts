// The settings of one app with `sources`, for tests of mappings; and any JSON value by chance, for tests of what hostile
// bodies do. Enters: sources as in the file, a seed.
import type { IngestAppSettings } from "../../ingest/config.ts";
import type { Channel } from "../../ingest/contract/release-key.ts";
import type { Random } from "../simulation/random.ts";
import { sourcesSchema } from "../../ingest/contract/sources.ts";

export function appWithSources(
  sources: Record<string, unknown>,
  channels: readonly string[] = ["production"],
): IngestAppSettings {
  return {
    ingestKeys: ["some-ingest-key"],
    channels: new Set(channels as Channel[]),
    sources: sourcesSchema.parse(sources),
  };
}

export const HOSTILE_TEXTS = [
  "",
  " ",
  "\u0000",
  "\uD800",
  "🙂🙂",
  "__proto__",
  "constructor",
  "toString",
  "a|b",
  'a"b\\',
  "\r\nSet-Cookie: a=b",
  "x".repeat(128),
  "x".repeat(129),
  "v12",
  "1e309",
  "null",
  "2026-01-31T12:00:00Z",
] as const;

/** Any JSON value; objects often have one of `names` as keys, so that they come close to what is read. */
export function anyJson(random: Random, names: readonly string[], depth = 4): unknown {
  const kind = Math.floor(random.next() * (depth === 0 ? 4 : 6));
  const size = Math.floor(random.next() * 5);
  switch (kind) {
    case 0:
      return random.pick([null, true, false, 0, -1, 1e308, 0.5, 1_769_860_800_000]);
    case 1:
    case 2:
      return random.pick(HOSTILE_TEXTS);
    case 3:
      return random.pick(names);
    case 4:
      return Array.from({ length: size }, () => anyJson(random, names, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: size * 3 }, () => [
          random.chance(0.8) ? random.pick(names) : random.pick(HOSTILE_TEXTS),
          anyJson(random, names, depth - 1),
        ]),
      );
  }
}
