// The parts of the configuration file that ingest and agent both read, as schema pieces: how ingest
// listens, what it accepts, who may send. Enters: parsed YAML. Leaves: camelCase values with units.
// zod and runtime/units.ts only, so that both rooms (and tests) can use it without a side effect.
import { z } from "zod";
import { byteSize, listenAddress } from "../../runtime/units.ts";
import type { ListenAddress } from "../../runtime/units.ts";
import { plainHttpSchema, refusePlainHttpBesideTls, tlsSchema, trustedProxiesSchema } from "./listener.ts";
import type { PlainHttpReason, TlsSettings } from "./listener.ts";
import { SHARDS_DEFAULT, SHARDS_MAX, STREAM_ENTRIES_MAX_DEFAULT } from "./stream-names.ts";

/** Shortest key, secret or token, in characters: below this it can be guessed over the network. */
export const SECRET_CHARS_MIN = 8;
/** Largest request body, inflated, in bytes. */
export const BODY_BYTES_MAX_DEFAULT = 5 * 1024 ** 2;
/** What `body_bytes` may be set to at most: a request is parsed in memory as a whole. */
export const BODY_BYTES_MAX_LIMIT = 256 * 1024 ** 2;
export const BODY_BYTES_MAX_LEAST = 1024;
export const STREAM_ENTRIES_MAX_LIMIT = 100_000_000;
/** Each costs some 10 KiB of memory while it does nothing. */
export const CONNECTIONS_MAX_DEFAULT = 10_000;
export const CONNECTIONS_MAX_LIMIT = 1_000_000;
/** Above it a limit per process limits nothing. */
export const REQUESTS_PER_SECOND_LIMIT = 1_000_000;

/** Bytes that reports may take on disk while Redis does not take them. */
export const SPOOL_BYTES_MAX_DEFAULT = 256 * 1024 ** 2;
export const SPOOL_BYTES_MAX_LEAST = 1024 ** 2;
export const SPOOL_BYTES_MAX_LIMIT = 1024 ** 4;

/** Processes that one ingest may consist of: as many as may spool to one folder. */
export const PROCESSES_MAX = 64;
export const processesSchema = wholeNumber({ least: 1, most: PROCESSES_MAX }).prefault(1);

export interface SpoolSettings {
  /** Undefined = `spool` in the data folder. */
  readonly dir: string | undefined;
  /** Of each ingest process, in bytes. */
  readonly bytesMax: number;
}

export interface IngestSettings {
  readonly listen: ListenAddress;
  /** That serve `listen` together; left out: one, without another that hands connections on. */
  readonly processes?: number;
  /** Where /healthz, /readyz and /metrics are served: not for devices. */
  readonly operationsListen: ListenAddress;
  readonly bodyBytesMax: number;
  /** Entries that may wait in one shard's stream before `503 backlog_full`. */
  readonly streamEntriesMax: number;
  /** Of `listen`; undefined = plain HTTP. */
  readonly tls?: TlsSettings | undefined;
  readonly plainHttp?: PlainHttpReason | undefined;
  /** Addresses and networks whose `X-Forwarded-For` is believed; none unless named. */
  readonly trustedProxies?: readonly string[];
  /** Connections of devices that may be open at once. */
  readonly connectionsMax?: number;
  readonly requestsPerSecond?: RequestsPerSecond;
  /** Where reports wait while Redis does not take them; undefined = nowhere: the sender is told to come back. */
  readonly spool?: SpoolSettings | undefined;
}

/** Undefined = as many as come. */
export interface RequestsPerSecond {
  readonly perAddress?: number | undefined;
  readonly perKey?: number | undefined;
}

/** A whole number, also as text: what `${VAR}` puts in is always text. Both ends are allowed. */
export function wholeNumber({ least, most }: { least: number; most: number }) {
  return z.union([z.number(), z.string()]).transform((value, context) => {
    const number =
      typeof value === "number" ? value : /^\d+$/.test(value.trim()) ? Number(value) : Number.NaN;
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    context.addIssue({ code: "custom", message: `must be a whole number from ${least} to ${most}` });
    return z.NEVER;
  });
}

/** A password-like value that this program checks or signs with. */
export const secretText = z.string().min(SECRET_CHARS_MIN);

export const ingestKeysSchema = z.array(secretText).min(1);

export const redisUrlSchema = z.string().regex(/^(rediss?:\/\/[^\s/]+(\/\d+)?|unix:\/\/\/\S+)$/, {
  error:
    "must be redis://host:port, rediss://host:port or unix:///path; without it a private Redis is started",
});

/** Replicas that `replica_acks` may ask for; a primary with more is rare, and each makes reports slower. */
export const REPLICA_ACKS_MAX = 5;

const CLUSTER_SERVER = /^rediss?:\/\/[^\s/]+\/?$/;
const clusterServerSchema = z.string().regex(CLUSTER_SERVER, {
  error: "must be redis://host:port or rediss://host:port: a cluster is on the network, and has one database",
});

const clusterSchema = z
  .array(clusterServerSchema)
  .min(1)
  .superRefine((servers, context) => {
    // zod comes here with what it has when a server was refused; those mistakes are told first.
    if (!servers.every((server) => CLUSTER_SERVER.test(server))) return;
    servers.forEach((server, index) => {
      if (accessOf(server) === accessOf(servers[0]!)) return;
      context.addIssue({
        code: "custom",
        path: [index],
        message:
          "must have the scheme, user and password of the first: servers that are found through these get them too",
      });
    });
  });

/** The URL without host and port. */
function accessOf(url: string): string {
  return url.replace(/[^/@]*\/?$/, "");
}

export interface RedisSettings {
  /** One server, or servers of a cluster; undefined = the supervisor starts a private Redis. */
  readonly address: string | readonly string[] | undefined;
  /** Replicas that must have a report before ingest acknowledges it. */
  readonly replicaAcks: number;
}

export const redisSectionSchema = z
  .strictObject({
    url: redisUrlSchema.optional(),
    cluster: clusterSchema.optional(),
    replica_acks: wholeNumber({ least: 0, most: REPLICA_ACKS_MAX }).optional(),
  })
  .prefault({})
  .superRefine(({ url, cluster, replica_acks }, context) => {
    const refuse = (field: string, message: string): void =>
      context.addIssue({ code: "custom", path: [field], message });
    if (url !== undefined && cluster !== undefined)
      refuse("cluster", "redis.url is set too: keep url for one server, or cluster for a Redis Cluster");
    if (url === undefined && cluster === undefined && replica_acks !== undefined && replica_acks > 0)
      refuse("replica_acks", "the private Redis has no replicas: name your own Redis as url or cluster");
  })
  .transform(({ url, cluster, replica_acks }): RedisSettings => ({
    address: cluster ?? url,
    replicaAcks: replica_acks ?? (cluster === undefined ? 0 : 1),
  }));

export const shardsSchema = wholeNumber({ least: 1, most: SHARDS_MAX }).prefault(SHARDS_DEFAULT);

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export const logLevelSchema = z.enum(LOG_LEVELS).prefault("info");

/** An empty text is as good as leaving it out: containers pass unset variables on as empty. */
export const sentryDsnSchema = z
  .union([z.literal(""), z.url({ protocol: /^https?$/ })], {
    error: "must be the https:// address that Sentry shows",
  })
  .optional()
  .transform((dsn) => (dsn === "" ? undefined : dsn));

/** As written; the loader makes it absolute, relative to the folder of the configuration file. */
export const dataDirSchema = z.string().min(1).prefault("./data");

const limitsSchema = z
  .strictObject({
    body_bytes: byteSize
      .refine((bytes) => bytes >= BODY_BYTES_MAX_LEAST && bytes <= BODY_BYTES_MAX_LIMIT, {
        error: "must be from 1KiB to 256MiB",
      })
      .prefault(BODY_BYTES_MAX_DEFAULT),
    stream_entries: wholeNumber({ least: 1, most: STREAM_ENTRIES_MAX_LIMIT }).prefault(
      STREAM_ENTRIES_MAX_DEFAULT,
    ),
    connections: wholeNumber({ least: 1, most: CONNECTIONS_MAX_LIMIT }).prefault(CONNECTIONS_MAX_DEFAULT),
    requests_per_second: z
      .strictObject({
        per_address: wholeNumber({ least: 1, most: REQUESTS_PER_SECOND_LIMIT }).optional(),
        per_key: wholeNumber({ least: 1, most: REQUESTS_PER_SECOND_LIMIT }).optional(),
      })
      .prefault({}),
  })
  .prefault({});

const spoolSchema = z
  .union([
    z.literal("off"),
    z.strictObject({
      dir: z.string().min(1).optional(),
      max_bytes: byteSize
        .refine((bytes) => bytes >= SPOOL_BYTES_MAX_LEAST && bytes <= SPOOL_BYTES_MAX_LIMIT, {
          error: "must be from 1MiB to 1024GiB",
        })
        .prefault(SPOOL_BYTES_MAX_DEFAULT),
    }),
  ])
  .prefault({})
  .transform((spool): SpoolSettings | undefined =>
    spool === "off" ? undefined : { dir: spool.dir, bytesMax: spool.max_bytes },
  );

export const ingestSectionSchema = z
  .strictObject({
    listen: listenAddress.prefault("127.0.0.1:8080"),
    operations_listen: listenAddress.prefault("127.0.0.1:8081"),
    processes: processesSchema,
    limits: limitsSchema,
    tls: tlsSchema.optional(),
    plain_http: plainHttpSchema.optional(),
    trusted_proxies: trustedProxiesSchema,
    spool: spoolSchema,
  })
  .prefault({})
  .superRefine(refusePlainHttpBesideTls)
  .transform((section): IngestSettings => ({
    listen: section.listen,
    operationsListen: section.operations_listen,
    processes: section.processes,
    bodyBytesMax: section.limits.body_bytes,
    streamEntriesMax: section.limits.stream_entries,
    tls: section.tls,
    plainHttp: section.plain_http,
    trustedProxies: section.trusted_proxies,
    connectionsMax: section.limits.connections,
    requestsPerSecond: {
      perAddress: section.limits.requests_per_second.per_address,
      perKey: section.limits.requests_per_second.per_key,
    },
    spool: section.spool,
  }));
