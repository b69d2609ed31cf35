// What ingest needs of the configuration file. Enters: the file and the environment. Leaves: settings in
// camelCase, or problems with line and column. It is loose about everything that only the agent reads: the
// supervisor (or the agent) has the whole file checked, and ingest must not refuse a newer agent's settings.
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { readConfigFile } from "../runtime/config-file.ts";
import type { ConfigResult, Environment, FoundMistake } from "../runtime/config-file.ts";
import type { RedisAddress } from "../runtime/redis.ts";
import { readTlsPair, tlsFilesIn } from "../runtime/tls-files.ts";
import { deviceAuthSchema, refuseIdleTrust } from "./contract/device-auth.ts";
import type { DeviceAuthSettings } from "./contract/device-auth.ts";
import { appIdSchema, channelSchema } from "./contract/release-key.ts";
import type { AppId, Channel } from "./contract/release-key.ts";
import {
  dataDirSchema,
  ingestKeysSchema,
  ingestSectionSchema,
  logLevelSchema,
  redisSectionSchema,
  sentryDsnSchema,
  shardsSchema,
} from "./contract/settings.ts";
import type { IngestSettings, SpoolSettings } from "./contract/settings.ts";
import { refuseUnknownSourceChannels, refuseUnprovenSources, sourcesSchema } from "./contract/sources.ts";
import type { SourcesSettings } from "./contract/sources.ts";
import { refuseSharedCapgoApps } from "./contract/sources/capgo.ts";
import { refuseSharedDeploymentKeys } from "./contract/sources/codepush.ts";
import { refuseSharedSentryProjects } from "./contract/sources/sentry.ts";
import { readKeyFile } from "./device-auth/key-file.ts";

export interface IngestAppSettings {
  readonly ingestKeys: readonly string[];
  readonly channels: ReadonlySet<Channel>;
  /** How devices prove who they are; undefined = an ingest key is enough. Its file, if any, is absolute. */
  readonly deviceAuth?: DeviceAuthSettings | undefined;
  /** Other systems whose devices report here in their own words. */
  readonly sources?: SourcesSettings;
}

export interface IngestProcessSettings {
  /** Absolute. */
  readonly dataDir: string;
  /** Undefined where a private Redis is meant: its address then comes from whoever started it. */
  readonly redisUrl: RedisAddress | undefined;
  /** Replicas that must have a report before it is acknowledged. */
  readonly replicaAcks: number;
  readonly shards: number;
  readonly logLevel: string;
  readonly sentryDsn: string | undefined;
  readonly ingest: IngestSettings;
  readonly apps: ReadonlyMap<AppId, IngestAppSettings>;
}

const appSchema = z
  .looseObject({
    ingest_keys: ingestKeysSchema,
    channels: z.record(channelSchema, z.unknown()),
    device_auth: deviceAuthSchema.optional(),
    sources: sourcesSchema,
  })
  .superRefine(refuseIdleTrust)
  .superRefine(refuseUnprovenSources)
  .superRefine(refuseUnknownSourceChannels)
  .transform((app): IngestAppSettings => ({
    ingestKeys: app.ingest_keys,
    channels: new Set(Object.keys(app.channels) as Channel[]),
    deviceAuth: app.device_auth,
    sources: app.sources,
  }));

const fileSchema = z
  .looseObject({
    data_dir: dataDirSchema,
    redis: redisSectionSchema,
    shards: shardsSchema,
    log_level: logLevelSchema,
    sentry_dsn: sentryDsnSchema,
    ingest: ingestSectionSchema,
    apps: z.record(appIdSchema, appSchema),
  })
  .superRefine(({ apps }, context) => {
    refuseSharedCapgoApps(Object.entries(apps ?? {}), context);
    refuseSharedDeploymentKeys(Object.entries(apps ?? {}), context);
    refuseSharedSentryProjects(Object.entries(apps ?? {}), context);
  })
  .transform((file) => ({
    dataDir: file.data_dir,
    redisUrl: file.redis.address,
    replicaAcks: file.redis.replicaAcks,
    shards: file.shards,
    logLevel: file.log_level,
    sentryDsn: file.sentry_dsn,
    ingest: file.ingest,
    apps: new Map(Object.entries(file.apps) as [AppId, IngestAppSettings][]),
  }));

export function loadIngestSettings({
  file,
  env,
}: {
  file: string;
  env: Environment;
}): ConfigResult<IngestProcessSettings> {
  const folder = dirname(resolve(file));
  const result = readConfigFile({
    file,
    schema: fileSchema,
    env,
    inspect: ({ apps, ingest }) => [
      ...[...apps].flatMap(([app, settings]) => keyFileMistakes(app, settings, folder)),
      ...tlsFileMistakes(ingest, folder),
    ],
  });
  if (result.kind === "invalid") return result;
  const apps = new Map(
    [...result.config.apps].map(
      ([app, settings]) => [app, { ...settings, deviceAuth: inFolder(settings.deviceAuth, folder) }] as const,
    ),
  );
  return {
    kind: "loaded",
    config: {
      ...result.config,
      apps,
      dataDir: resolve(folder, result.config.dataDir),
      ingest: {
        ...result.config.ingest,
        tls: tlsFilesIn(result.config.ingest.tls, folder),
        spool: spoolInFolder(result.config.ingest.spool, folder),
      },
    },
  };
}

function spoolInFolder(spool: SpoolSettings | undefined, folder: string): SpoolSettings | undefined {
  return spool?.dir === undefined ? spool : { ...spool, dir: resolve(folder, spool.dir) };
}

function inFolder(
  deviceAuth: DeviceAuthSettings | undefined,
  folder: string,
): DeviceAuthSettings | undefined {
  if (deviceAuth?.type !== "jwt" || deviceAuth.keys.kind === "secret") return deviceAuth;
  const { keys } = deviceAuth;
  return { ...deviceAuth, keys: { ...keys, file: resolve(folder, keys.file) } };
}

function keyFileMistakes(app: AppId, settings: IngestAppSettings, folder: string): FoundMistake[] {
  const deviceAuth = inFolder(settings.deviceAuth, folder);
  if (deviceAuth?.type !== "jwt" || deviceAuth.keys.kind === "secret") return [];
  const read = readKeyFile(deviceAuth.keys);
  if (read.kind === "keys") return [];
  return [{ path: ["apps", app, "device_auth", deviceAuth.keys.kind], message: read.reason }];
}

function tlsFileMistakes({ tls }: IngestSettings, folder: string): FoundMistake[] {
  const files = tlsFilesIn(tls, folder);
  if (files === undefined) return [];
  const read = readTlsPair(files);
  return read.kind === "pair" ? [] : [{ path: ["ingest", "tls", read.setting], message: read.reason }];
}
