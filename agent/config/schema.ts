// The whole configuration file as one schema, and the Settings it becomes. Enters: parsed YAML with
// variables already filled in. Leaves: camelCase Settings with ratios, milliseconds and bytes. Strict: a
// key that nobody reads is a mistake somebody made.
import { z } from "zod";
import { deviceAuthSchema, refuseIdleTrust } from "../../ingest/contract/device-auth.ts";
import type { DeviceAuthSettings } from "../../ingest/contract/device-auth.ts";
import {
  plainHttpSchema,
  refusePlainHttpBesideTls,
  tlsSchema,
  trustedProxiesSchema,
} from "../../ingest/contract/listener.ts";
import type { PlainHttpReason, TlsSettings } from "../../ingest/contract/listener.ts";
import { appIdSchema, channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import type { AppId, Channel, Version } from "../../ingest/contract/release-key.ts";
import {
  dataDirSchema,
  ingestKeysSchema,
  ingestSectionSchema,
  logLevelSchema,
  processesSchema,
  redisSectionSchema,
  sentryDsnSchema,
  shardsSchema,
  wholeNumber,
} from "../../ingest/contract/settings.ts";
import type { IngestSettings } from "../../ingest/contract/settings.ts";
import {
  refuseUnknownSourceChannels,
  refuseUnprovenSources,
  sourcesSchema,
} from "../../ingest/contract/sources.ts";
import { refuseSharedCapgoApps } from "../../ingest/contract/sources/capgo.ts";
import { refuseSharedDeploymentKeys } from "../../ingest/contract/sources/codepush.ts";
import { refuseSharedSentryProjects } from "../../ingest/contract/sources/sentry.ts";
import type { SourcesSettings } from "../../ingest/contract/sources.ts";
import { didYouMean } from "../../runtime/closest-name.ts";
import type { RedisAddress } from "../../runtime/redis.ts";
import { duration, isLoopback, listenAddress } from "../../runtime/units.ts";
import type { ListenAddress } from "../../runtime/units.ts";
import { STRATA_MAX_DEFAULT } from "../health/counting-rules.ts";
import { STRATUM_FIELDS } from "../health/stratum.ts";
import type { StratumField } from "../health/stratum.ts";
import { policiesSchema } from "../policy/policy.ts";
import type { Policy } from "../policy/policy.ts";
import { operatorsSchema } from "./operators.ts";
import type { Operator } from "./operators.ts";

import { observabilitySchema } from "./observability.ts";
import type { ObservabilitySettings } from "./observability.ts";
import { otaServerSchema, refuseUnknownServerChannels } from "./ota-servers.ts";
import type { OtaServerSettings } from "./ota-servers.ts";

export type { Operator };
import { alertmanagerSchema, externalUrlSchema, grafanaSchema, summarySchema } from "./outlets.ts";
import type { AlertmanagerSettings, GrafanaSettings, SummarySettings } from "./outlets.ts";

export interface Settings {
  /** Absolute. */
  readonly dataDir: string;
  /** One server's URL, or those of servers of a cluster; undefined = the supervisor starts a private Redis. */
  readonly redisUrl: RedisAddress | undefined;
  /** Replicas that must have a report before ingest acknowledges it. */
  readonly replicaAcks: number;
  readonly shards: number;
  readonly logLevel: string;
  readonly sentryDsn: string | undefined;
  readonly ingest: IngestSettings;
  readonly agent: AgentSettings;
  readonly retention: RetentionSettings;
  /** Where people reach the agent's page, without a slash at the end; undefined = what is sent out has no links. */
  readonly externalUrl: string | undefined;
  /** Undefined = nobody is told there. */
  readonly alertmanager: AlertmanagerSettings | undefined;
  readonly grafana: GrafanaSettings | undefined;
  readonly summary: SummarySettings | undefined;
  /** What `lastgood start` runs beside Lastgood, and where. */
  readonly observability: ObservabilitySettings;
  readonly apps: ReadonlyMap<AppId, AppSettings>;
  readonly policies: ReadonlyMap<string, Policy>;
}

export interface AgentSettings {
  readonly listen: ListenAddress;
  /** Empty = no token is asked for, which is only allowed on a loopback address. */
  readonly operators: readonly Operator[];
  /** Addresses and networks whose `X-Forwarded-For`, `-Host` and `-Proto` are believed. */
  readonly trustedProxies: readonly string[];
  /** Undefined = plain HTTP. */
  readonly tls?: TlsSettings | undefined;
  readonly plainHttp?: PlainHttpReason | undefined;
  /** That fold reports; 1 = the agent is one process. */
  readonly processes: number;
}

export interface RetentionSettings {
  /** A device that was not heard of for so long leaves the device table; what it did stays counted. */
  readonly devicesMs: number;
}

export interface AppSettings {
  readonly ingestKeys: readonly string[];
  readonly otaServer: OtaServerSettings;
  readonly channels: ReadonlyMap<Channel, ChannelSettings>;
  readonly strata: StrataSettings;
  /** How devices prove who they are to ingest; undefined = an ingest key is enough. A file is as written. */
  readonly deviceAuth?: DeviceAuthSettings | undefined;
  /** Other systems whose devices report to ingest in their own words. */
  readonly sources?: SourcesSettings;
}

export interface StrataSettings {
  /** What splits the app's counts, in the order of STRATUM_FIELDS; empty = nothing does. */
  readonly by: readonly StratumField[];
  /** Strata of the app that each shard tells apart; the rest is counted as `other`. */
  readonly max: number;
}

export interface ChannelSettings {
  readonly policyName: string;
  /** Never rolled back below this version; undefined = no floor. */
  readonly minimumVersion: Version | undefined;
}

/** At least one, for `other` has to be other than something; each costs counters in every shard and time slot. */
export const STRATA_MAX_LEAST = 1;
export const STRATA_MAX_LIMIT = 10_000;
const DAY_MS = 24 * 3_600_000;
/** Well above the age that a report may have (7 days): a device that left and reports again is counted again. */
export const DEVICE_RETENTION_MS_LEAST = 30 * DAY_MS;
export const DEVICE_RETENTION_MS_MAX = 3_650 * DAY_MS;

const agentSectionSchema = z
  .strictObject({
    listen: listenAddress.prefault("127.0.0.1:8082"),
    operators: operatorsSchema,
    trusted_proxies: trustedProxiesSchema,
    tls: tlsSchema.optional(),
    plain_http: plainHttpSchema.optional(),
    processes: processesSchema,
  })
  .prefault({})
  .superRefine(refusePlainHttpBesideTls)
  .superRefine(({ listen, operators }, context) => {
    // Still text when it was refused as an address.
    if (typeof listen === "string" || isLoopback(listen.host) || operators.length > 0) return;
    context.addIssue({
      code: "custom",
      path: ["listen"],
      message:
        "other machines reach this address, so somebody must be named under agent.operators; or listen on 127.0.0.1",
    });
  })
  .superRefine(({ operators, trusted_proxies: proxies }, context) => {
    if (proxies.length === 0 || operators.length > 0) return;
    context.addIssue({
      code: "custom",
      path: ["trusted_proxies"],
      message: "others reach the agent through a proxy, so somebody must be named under agent.operators",
    });
  })
  .transform((section): AgentSettings => ({
    listen: section.listen,
    operators: section.operators,
    trustedProxies: section.trusted_proxies,
    tls: section.tls,
    plainHttp: section.plain_http,
    processes: section.processes,
  }));

const channelSettingsSchema = z
  .strictObject({ policy: z.string().min(1), minimum_version: versionSchema.optional() })
  .transform((channel): ChannelSettings => ({
    policyName: channel.policy,
    minimumVersion: channel.minimum_version,
  }));

const strataSchema = z
  .strictObject({
    by: z
      .array(z.enum(STRATUM_FIELDS))
      .superRefine(refuseRepeatedFields)
      .prefault([...STRATUM_FIELDS]),
    max: wholeNumber({ least: STRATA_MAX_LEAST, most: STRATA_MAX_LIMIT }).prefault(STRATA_MAX_DEFAULT),
  })
  .prefault({})
  .transform(({ by, max }): StrataSettings => ({
    // In the file the order says nothing, so rearranging it must change nothing.
    by: STRATUM_FIELDS.filter((field) => by.includes(field)),
    max,
  }));

function refuseRepeatedFields(fields: readonly StratumField[], context: z.RefinementCtx): void {
  fields.forEach((field, index) => {
    if (fields.indexOf(field) < index)
      context.addIssue({
        code: "custom",
        path: [index],
        message: "stands in this list already: name each field once",
      });
  });
}

const retentionSectionSchema = z
  .strictObject({
    devices: duration
      .refine((ms) => ms >= DEVICE_RETENTION_MS_LEAST && ms <= DEVICE_RETENTION_MS_MAX, {
        error: "must be from 30d to 3650d",
      })
      .prefault("90d"),
  })
  .prefault({})
  .transform(({ devices }): RetentionSettings => ({ devicesMs: devices }));

const appSchema = z
  .strictObject({
    ingest_keys: ingestKeysSchema,
    ota_server: otaServerSchema,
    channels: z
      .record(channelSchema, channelSettingsSchema)
      .refine((channels) => Object.keys(channels).length > 0, { error: "name at least one channel" }),
    strata: strataSchema,
    device_auth: deviceAuthSchema.optional(),
    sources: sourcesSchema,
  })
  .superRefine(refuseIdleTrust)
  .superRefine(refuseUnprovenSources)
  .superRefine(refuseUnknownSourceChannels)
  .superRefine(refuseUnknownServerChannels)
  .transform((app): AppSettings => ({
    ingestKeys: app.ingest_keys,
    otaServer: app.ota_server,
    channels: new Map(Object.entries(app.channels) as [Channel, ChannelSettings][]),
    strata: app.strata,
    deviceAuth: app.device_auth,
    sources: app.sources,
  }));

const appsSchema = z
  .record(appIdSchema, appSchema)
  .refine((apps) => Object.keys(apps).length > 0, { error: "name at least one app" })
  .transform(
    (apps): ReadonlyMap<AppId, AppSettings> => new Map(Object.entries(apps) as [AppId, AppSettings][]),
  );

/** The whole file. `dataDir` is still as written: load.ts makes it absolute. */
export const settingsSchema = z
  .strictObject({
    data_dir: dataDirSchema,
    redis: redisSectionSchema,
    shards: shardsSchema,
    log_level: logLevelSchema,
    sentry_dsn: sentryDsnSchema,
    ingest: ingestSectionSchema,
    agent: agentSectionSchema,
    retention: retentionSectionSchema,
    external_url: externalUrlSchema,
    alertmanager: alertmanagerSchema,
    grafana: grafanaSchema,
    summary: summarySchema,
    observability: observabilitySchema,
    apps: appsSchema,
    policies: policiesSchema,
  })
  .superRefine(({ apps, policies }, context) => {
    // zod comes here with what it has when a value inside was refused; those mistakes are told first.
    if (!(apps instanceof Map && policies instanceof Map)) return;
    refuseSharedCapgoApps(apps, context);
    refuseSharedDeploymentKeys(apps, context);
    refuseSharedSentryProjects(apps, context);
    for (const [app, { channels }] of apps)
      for (const [channel, { policyName }] of channels)
        if (!policies.has(policyName))
          context.addIssue({
            code: "custom",
            path: ["apps", app, "channels", channel, "policy"],
            message: `there is no such policy under policies${knownPolicies(policyName, policies.keys())}`,
          });
  })
  .transform((file): Settings => ({
    dataDir: file.data_dir,
    redisUrl: file.redis.address,
    replicaAcks: file.redis.replicaAcks,
    shards: file.shards,
    logLevel: file.log_level,
    sentryDsn: file.sentry_dsn,
    ingest: file.ingest,
    agent: file.agent,
    retention: file.retention,
    externalUrl: file.external_url,
    alertmanager: file.alertmanager,
    grafana: file.grafana,
    summary: file.summary,
    observability: file.observability,
    apps: file.apps,
    policies: file.policies,
  }));

function knownPolicies(name: string, known: Iterable<string>): string {
  const names = [...known];
  const guess = didYouMean(name, names);
  return guess === "" ? `; it has ${names.join(", ") || "none yet"}` : guess;
}
