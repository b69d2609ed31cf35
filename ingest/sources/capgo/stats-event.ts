// Reads one event of the Capgo plugin. Pure. Enters: any JSON value, the apps by Capgo id, and when it came in. Leaves: what
// it says in one form, whatever plugin sent it, or why it counts for nothing.
import { z } from "zod";
import { DEVICE_ID_CHARS_MAX } from "../../contract/device-report.ts";
import { isVersion } from "../../contract/release-key.ts";
import { meaningOf } from "./actions.ts";
import type { ActionMeaning } from "./actions.ts";
import type { CapgoApp, CapgoApps } from "./capgo-apps.ts";

/** One event, with names as in the plugin's own words but without its quirks. */
export interface StatsEvent {
  readonly app: CapgoApp;
  readonly channel: string;
  readonly device: string;
  readonly action: string;
  readonly meaning: ActionMeaning;
  /** The bundle that the event names; of the store build its native version. */
  readonly version: string;
  /** What ran before a `set`; undefined where the event does not say. */
  readonly from: string | undefined;
  /** The store build. */
  readonly versionBuild: string;
  readonly platform: string | undefined;
  readonly osVersion: string | undefined;
  /** Device clock where the plugin queued it, else when it came in; epoch milliseconds. */
  readonly atMs: number;
  /** When the process ended that the event tells of, epoch milliseconds. */
  readonly exitedAtMs: number | undefined;
  readonly message: string | undefined;
}

export type ReadEvent =
  | { readonly kind: "event"; readonly event: StatsEvent }
  | {
      readonly kind: "nothing";
      readonly result: "no_outcome" | "excluded" | "unknown_app" | "unknown_kind" | "invalid";
    };

const text = z.string().max(512);
// Everything else may be missing or of another type: an odd field of a new plugin must not cost the event.
const loose = <S extends z.ZodType>(schema: S) => schema.optional().catch(undefined);

const eventSchema = z.looseObject({
  app_id: text,
  device_id: text,
  action: text,
  version_name: loose(text),
  version_build: loose(text),
  old_version_name: loose(text),
  version_os: loose(text),
  platform: loose(text),
  defaultChannel: loose(text),
  is_emulator: loose(z.boolean()),
  is_prod: loose(z.boolean()),
  timestamp: loose(z.number().int().min(0).max(8.64e15)),
  metadata: loose(z.looseObject({})),
});

/** Names that stand for "no bundle of ours". */
const STORE_BUILD: ReadonlySet<string> = new Set(["", "builtin", "unknown"]);

export function readStatsEvent(value: unknown, apps: CapgoApps, receivedAtMs: number): ReadEvent {
  const parsed = eventSchema.safeParse(value);
  if (!parsed.success) return nothing("invalid");
  const sent = parsed.data;
  const app = apps.find(sent.app_id);
  if (app === undefined) return nothing("unknown_app");
  const { source } = app;
  const isExcluded =
    (sent.is_emulator === true && !source.includeEmulators) ||
    (sent.is_prod === false && !source.includeDevelopment);
  if (isExcluded) return nothing("excluded");
  const known = meaningOf(sent.action);
  if (known === undefined) return nothing("unknown_kind");
  const metadata = textsOf(sent.metadata);
  const meaning = mappedAction(sent.action, known, metadata);
  if (meaning === "no_outcome") return nothing("no_outcome");
  const versionBuild = sent.version_build ?? "";
  const bundleOf = (name: string): string => (STORE_BUILD.has(name) ? versionBuild : name);
  const version = bundleOf(withoutFile(sent.version_name ?? "", sent.action));
  // iOS may send upper case, and the same device must not count twice.
  const device = sent.device_id.toLowerCase();
  // Before anything is remembered of it: names that no report can have.
  if (!isVersion(version) || device === "" || device.length > DEVICE_ID_CHARS_MAX) return nothing("invalid");
  // Empty is "not told" here, not the store build.
  const from = sent.old_version_name === "builtin" ? versionBuild : orUndefined(sent.old_version_name);
  const named =
    sent.defaultChannel === undefined || sent.defaultChannel === "" ? undefined : sent.defaultChannel;
  const atMs = sent.timestamp ?? receivedAtMs;
  return {
    kind: "event",
    event: {
      app,
      channel: named === undefined ? source.channel : (source.channels.get(named) ?? named),
      device,
      action: sent.action,
      meaning,
      version,
      from: isVersion(from) ? from : undefined,
      versionBuild,
      platform: orUndefined(sent.platform),
      osVersion: orUndefined(sent.version_os),
      atMs,
      exitedAtMs: exitTimeOf(metadata, atMs),
      message: metadata.get("exit_description") ?? metadata.get("error_type"),
    },
  };
}

function nothing(result: Extract<ReadEvent, { kind: "nothing" }>["result"]): ReadEvent {
  return { kind: "nothing", result };
}

function orUndefined(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function textsOf(metadata: Readonly<Record<string, unknown>> | undefined): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(metadata ?? {}).flatMap(([key, value]) =>
      typeof value === "string" ? [[key, value] as const] : [],
    ),
  );
}

/** A render process that the system ended for its memory has not crashed. */
function mappedAction(
  action: string,
  meaning: ActionMeaning,
  metadata: ReadonlyMap<string, string>,
): ActionMeaning {
  return action === "webview_render_process_gone" && metadata.get("did_crash") !== "true"
    ? "no_outcome"
    : meaning;
}

/** Failures of single files of a manifest are told as `version:file`. */
function withoutFile(name: string, action: string): string {
  const colon = name.indexOf(":");
  return action.includes("manifest") && colon > 0 ? name.slice(0, colon) : name;
}

/** Android: of the OS's own record. iOS: the session began then, and did not end as it should. */
function exitTimeOf(metadata: ReadonlyMap<string, string>, atMs: number): number | undefined {
  for (const key of ["exit_timestamp", "session_started_at"]) {
    const written = metadata.get(key);
    if (written === undefined || !/^\d{1,16}$/.test(written)) continue;
    const timeMs = Number(written);
    // It is told after it happened; a time ahead of its own report is a clock that jumped.
    if (timeMs <= atMs) return timeMs;
  }
  return undefined;
}
