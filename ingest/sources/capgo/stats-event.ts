// Reads one event of Capgo's plugin, as its older and newer versions send it. Pure. Enters: any JSON value. Leaves: what
// is needed of it, with names as Lastgood has them, or undefined for what no plugin sends. A field of another type than it
// should have is as good as missing: an event must not be lost by one that nobody needs.
import { z } from "zod";
import semver from "semver";
import { TEXT_CHARS_MAX } from "../../contract/device-report.ts";

export interface CapgoEvent {
  readonly appId: string;
  readonly device: string;
  readonly action: string;
  /** As it was sent: may name a file of the bundle as well. */
  readonly versionName: string;
  readonly oldVersionName: string;
  /** Of the store build, which is what "builtin" means; undefined = not told. */
  readonly nativeVersion: string | undefined;
  /** By the device's clock, epoch milliseconds; undefined = not told, as by older plugins and by background downloads. */
  readonly atMs: number | undefined;
  readonly channel: string | undefined;
  readonly platform: string | undefined;
  readonly osVersion: string | undefined;
  readonly pluginVersion: string | undefined;
  readonly isEmulator: boolean;
  readonly isProduction: boolean;
  readonly metadata: CapgoMetadata;
}

export interface CapgoMetadata {
  /** When the process ended, on Android. */
  readonly exitAtMs: number | undefined;
  /** When the session began that never ended, on iOS. */
  readonly sessionStartedAtMs: number | undefined;
  readonly sessionId: string | undefined;
  readonly pid: string | undefined;
  readonly processName: string | undefined;
  readonly exitDescription: string | undefined;
  readonly didCrash: boolean | undefined;
}

const text = z.string().optional().catch(undefined);
const flag = z.boolean().optional().catch(undefined);
const milliseconds = z.number().int().nonnegative().max(8.64e15).optional().catch(undefined);
/** Metadata holds texts only. */
const millisecondsText = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number)
  .refine((ms) => ms > 0 && ms <= 8.64e15)
  .optional()
  .catch(undefined);

const metadataSchema = z.object({
  exit_timestamp: millisecondsText,
  session_started_at: millisecondsText,
  previous_session_id: text,
  pid: text,
  process_name: text,
  exit_description: text,
  did_crash: text,
  /** Of a renderer that is gone. */
  timestamp: millisecondsText,
});

const eventSchema = z.object({
  app_id: z.string(),
  device_id: z.string().min(1),
  action: z.string().min(1),
  version_name: text,
  old_version_name: text,
  version_build: text,
  version_os: text,
  platform: text,
  plugin_version: text,
  defaultChannel: text,
  is_emulator: flag,
  is_prod: flag,
  timestamp: milliseconds,
  metadata: metadataSchema.optional().catch(undefined),
});

const NO_METADATA = metadataSchema.parse({});

export function readStatsEvent(value: unknown): CapgoEvent | undefined {
  const parsed = eventSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const event = parsed.data;
  const metadata = event.metadata ?? NO_METADATA;
  return {
    appId: event.app_id,
    // iOS sends upper case, and may send lower case after an update of the plugin.
    device: event.device_id.toLowerCase(),
    action: event.action,
    versionName: event.version_name ?? "",
    oldVersionName: event.old_version_name ?? "",
    nativeVersion: stratum(event.version_build),
    atMs: event.timestamp,
    channel: event.defaultChannel === "" ? undefined : event.defaultChannel,
    platform: stratum(event.platform),
    osVersion: stratum(event.version_os),
    pluginVersion: event.plugin_version,
    isEmulator: event.is_emulator === true,
    isProduction: event.is_prod !== false,
    metadata: {
      exitAtMs: metadata.exit_timestamp ?? metadata.timestamp,
      sessionStartedAtMs: metadata.session_started_at,
      sessionId: metadata.previous_session_id,
      pid: metadata.pid,
      processName: metadata.process_name,
      exitDescription: metadata.exit_description,
      didCrash: metadata.did_crash === undefined ? undefined : metadata.did_crash === "true",
    },
  };
}

// oxlint-disable-next-line no-control-regex -- control characters are exactly what must not pass
const STRATUM = /^[^\u0000-\u001f\u007f]+$/;

/** What a report may have; anything else is not told, so that the report is not lost by it. */
function stratum(value: string | undefined): string | undefined {
  return value !== undefined && value.length <= TEXT_CHARS_MAX && STRATUM.test(value) ? value : undefined;
}

const STORE_BUILD = new Set(["", "builtin", "unknown"]);

/** The name of a bundle; the one of the store build is its native version. "" = nobody can say. */
export function bundleName(name: string, event: Pick<CapgoEvent, "nativeVersion">): string {
  return STORE_BUILD.has(name) ? (event.nativeVersion ?? "") : name;
}

/** `1.2.3:assets/index.js` -> `1.2.3`. */
export function withoutFile(name: string): string {
  const end = name.indexOf(":");
  return end === -1 ? name : name.slice(0, end);
}

/** Plugins before told `download_fail` also when there was nothing to download; Capgo's own server ignores theirs. */
const FAILS_TOLD_RIGHT_SINCE = "7.17.0";
const FAILS_TOLD_RIGHT_SINCE_6 = "6.14.25";

export function tellsDownloadFailuresRight(pluginVersion: string | undefined): boolean {
  const version = semver.parse(pluginVersion ?? "");
  if (version === null) return false;
  return (
    semver.gte(version, FAILS_TOLD_RIGHT_SINCE) ||
    (version.major === 6 && semver.gte(version, FAILS_TOLD_RIGHT_SINCE_6))
  );
}
