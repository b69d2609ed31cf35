// Which version an item of an envelope speaks of, by the extractors of the configuration. Pure. Enters: the texts in which
// it may stand. Leaves: the version; undefined where it can't be told, which is then never guessed. Sessions have a release
// and an environment, and nothing else.
import { isVersion } from "../../contract/release-key.ts";
import type { Version } from "../../contract/release-key.ts";
import { MATCHED_CHARS_MAX } from "../../contract/sources/bounded-pattern.ts";
import type { ReleaseExtractor } from "../../contract/sources/sentry.ts";

export interface ReleaseFacts {
  readonly release?: unknown;
  readonly dist?: unknown;
  readonly environment?: unknown;
  /** An object, or a list of pairs. */
  readonly tags?: unknown;
  readonly contexts?: unknown;
}

/** The first extractor that finds something holds, also when no version can be called so. */
export function releaseOf(extractors: readonly ReleaseExtractor[], facts: ReleaseFacts): Version | undefined {
  for (const extractor of extractors) {
    const text = textAt(extractor, facts);
    if (text === undefined || text === "" || text.length > MATCHED_CHARS_MAX) continue;
    const found = extractor.match === undefined ? text : extractor.match.exec(text)?.groups?.["version"];
    if (found !== undefined && found !== "") return isVersion(found) ? found : undefined;
  }
  return undefined;
}

function textAt(extractor: ReleaseExtractor, facts: ReleaseFacts): string | undefined {
  switch (extractor.from) {
    case "release":
    case "dist":
    case "environment":
      return asText(facts[extractor.from]);
    case "tag":
      return asText(tagOf(facts.tags, extractor.name));
    case "context":
      return isStoreBuild(extractor.name, facts.contexts)
        ? undefined
        : asText(valueAt(facts.contexts, extractor.name.split(".")));
  }
}

/** Expo: the update that came with the store binary is no release of an OTA server. */
function isStoreBuild(name: string, contexts: unknown): boolean {
  if (name !== "ota_updates.update_id") return false;
  return asText(valueAt(contexts, ["ota_updates", "is_embedded_launch"])) === "true";
}

function tagOf(tags: unknown, name: string): unknown {
  if (!Array.isArray(tags)) return valueAt(tags, [name]);
  const pair = (tags as unknown[]).find((each) => Array.isArray(each) && each[0] === name);
  return (pair as unknown[] | undefined)?.[1];
}

/** Own fields only: `constructor` is no context. */
function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Record<string, unknown>)[key]
        : undefined,
    value,
  );
}

function asText(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value).trim()
    : undefined;
}
