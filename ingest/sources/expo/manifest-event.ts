// What one manifest request of an expo-updates client says. Pure. A client sends no reports: it tells in the headers of
// each check what it runs and which updates failed on it. Enters: one item of the body, any JSON value. Leaves: drafts of
// reports, or why there are none.
//
// The list of failed updates is state: it comes with every check for months, also from devices that were rolled back.
// A device counts as `reverted` once, in the minute of the first of these, and later ones move nothing (docs/counting.md);
// so no id is made up for them. They count anew only where counts are gone: after a device was not heard of for
// `retention.devices`, or when the channel's table has dropped the release.
import { z } from "zod";
import type { IngestAppSettings } from "../../config.ts";
import { channelOf } from "../channel-of.ts";
import { drafts, invalid, nothing } from "../foreign-event.ts";
import type { ForeignEvent, ReportDraft } from "../foreign-event.ts";
import { parseStringList } from "./failed-update-ids.ts";

/** Clients name 5 at most, the newest first. */
export const FAILED_UPDATES_MAX = 5;

const itemSchema = z.looseObject({
  headers: z.record(z.string(), z.unknown()),
  /** When the update server had the request; left out = now. */
  receivedAt: z.iso.datetime({ offset: true, local: false }).nullish(),
});

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

type HeaderOf = (name: string) => string | undefined;

export function readManifestRequest(value: unknown, app: IngestAppSettings): ForeignEvent {
  const parsed = itemSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return invalid(
      `"${issue!.path.join(".") || "item"}": ${issue!.message}. Send {"headers": {…}, "receivedAt": "2026-01-31T12:00:00Z"} (docs/recipes/expo.md).`,
    );
  }
  const headerOf = readHeaders(parsed.data.headers);
  const device = headerOf("eas-client-id");
  if (device === undefined)
    return invalid("EAS-Client-ID is missing: without it a device cannot be counted once.");
  const failed = failedUpdates(headerOf("expo-recent-failed-update-ids"));
  if (failed === undefined)
    return invalid("Expo-Recent-Failed-Update-IDs must be a list of quoted update ids (RFC 8941).");
  const current = updateId(headerOf("expo-current-update-id"));
  if (current === null) return invalid("Expo-Current-Update-ID must be a UUID.");
  const embedded = headerOf("expo-embedded-update-id")?.toLowerCase();
  const channel = channelIn(headerOf, app);
  if (channel === undefined)
    return invalid(
      "expo-channel-name is missing: send it, or name the channel as sources.expo.channel in the configuration.",
    );
  const base = {
    channel,
    device,
    at: parsed.data.receivedAt ?? undefined,
    platform: headerOf("expo-platform"),
    // A runtime version is no native version: many builds share one, and it may be a hash.
  };
  // What came with the store binary is no release.
  const blamed = failed.filter((id) => id !== embedded).slice(0, FAILED_UPDATES_MAX);
  const found: ReportDraft[] = blamed.map((version, index) => ({
    ...base,
    version,
    event: "reverted",
    crash: index === 0 ? fatalErrorOf(headerOf) : undefined,
  }));
  // The check in which a client looks for a way out still names the update that crashes: it does not run it for long.
  if (current !== undefined && current !== embedded && !failed.includes(current))
    // Not `active`, which says nothing of an attempt: of a release's attempts only the failed ones would be known.
    found.push({ ...base, version: current, event: "confirmed" });
  if (found.length > 0) return drafts(...found);
  return nothing(headerOf("expo-fatal-error") === undefined ? "no_outcome" : "unattributed");
}

/** By names in lower case; the values of a name that comes more than once are one list (RFC 9110, 5.3). */
function readHeaders(headers: Readonly<Record<string, unknown>>): HeaderOf {
  const byName = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    const values = (Array.isArray(value) ? value : [value]).filter((each) => typeof each === "string");
    const text = values.join(", ").trim();
    const key = name.toLowerCase();
    if (text !== "" && !byName.has(key)) byName.set(key, text);
  }
  return (name) => byName.get(name);
}

/** Undefined = none told; null = told, and no update can have it. */
function updateId(text: string | undefined): string | undefined | null {
  if (text === undefined) return undefined;
  const id = text.toLowerCase();
  return UUID.test(id) ? id : null;
}

/** Each once, in their order; undefined = no list of update ids. */
function failedUpdates(text: string | undefined): readonly string[] | undefined {
  const ids = parseStringList(text ?? "")?.map((id) => id.toLowerCase());
  return ids?.every((id) => UUID.test(id)) === true ? [...new Set(ids)] : undefined;
}

function channelIn(headerOf: HeaderOf, app: IngestAppSettings): string | undefined {
  const { channel: byDefault, channels = new Map() } = app.sources?.expo ?? {};
  const channel = headerOf("expo-channel-name");
  if (channel === undefined) return byDefault;
  return channelOf(channels, app.channels, {
    channel,
    platform: headerOf("expo-platform"),
    runtimeVersion: headerOf("expo-runtime-version"),
  });
}

/**
 * Sent once, with the update that runs after the fallback. iOS tells what it caught, of the newest failed update as far as
 * anybody can say. Android tells it only when no update could be loaded at all, so it is about none of the list.
 */
function fatalErrorOf(headerOf: HeaderOf): { readonly message: string } | undefined {
  const message = headerOf("expo-fatal-error");
  return message === undefined || headerOf("expo-platform")?.toLowerCase() !== "ios"
    ? undefined
    : { message };
}
