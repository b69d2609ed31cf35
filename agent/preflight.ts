// What the agent checks before it stands on its Redis, with the remedy for each finding. `refuse` stops
// the start: counts could be wrong or evicted. `warn` is said once and the start goes on.
import type { Clock } from "../runtime/clock.ts";
import { BUCKET_DEVICES_MAX, STATE_BYTES_COMPACT_MAX } from "./health/device-table.ts";
import { infoField } from "../runtime/redis-info.ts";
import { isCluster, primariesOf } from "../runtime/redis-servers.ts";
import { serverName } from "../runtime/redis.ts";
import type { Redis, RedisServer } from "../runtime/redis.ts";

export interface Finding {
  readonly level: "refuse" | "warn";
  readonly detail: string;
}

const REDIS_MAJOR_LEAST = 7;
/** How far Redis's clock may be from ours, in milliseconds. */
export const CLOCK_OFF_MS_MAX = 5_000;

export interface CheckRedisOptions {
  readonly redis: Redis;
  /** Replicas that ingest waits for. */
  readonly replicaAcks: number;
  readonly clock: Clock;
}

/** Of a cluster every primary is checked, and each finding names its server. */
export async function checkRedis({ redis, replicaAcks, clock }: CheckRedisOptions): Promise<Finding[]> {
  const findings = await Promise.all(
    primariesOf(redis).map(async (server) => {
      const ofServer = findProblems({ ...(await readFacts(server, clock)), replicaAcks });
      const prefix = isCluster(redis) ? `${serverName(server)}: ` : "";
      return ofServer.map(({ level, detail }) => ({ level, detail: `${prefix}${detail}` }));
    }),
  );
  return findings.flat();
}

async function readFacts(redis: RedisServer, clock: Clock): Promise<Omit<RedisFacts, "replicaAcks">> {
  const [server, memory, persistence, replication, time, listpack] = await Promise.all([
    redis.info("server"),
    redis.info("memory"),
    redis.info("persistence"),
    redis.info("replication"),
    redis.time(),
    readListpackLimits(redis),
  ]);
  return {
    version: infoField(server, "redis_version"),
    maxmemoryPolicy: infoField(memory, "maxmemory_policy"),
    isAppendOnly: infoField(persistence, "aof_enabled") === "1",
    replicas: Number(infoField(replication, "connected_slaves") || "0"),
    clockOffMs: Number(time[0]) * 1_000 + Number(time[1]) / 1_000 - clock(),
    listpack,
  };
}

/** Undefined where CONFIG is not allowed: who runs that Redis does not let us choose, so there is nothing to say. */
async function readListpackLimits(redis: RedisServer): Promise<ListpackLimits | undefined> {
  try {
    const rows = await redis.config("GET", "hash-max-listpack-*");
    const limitOf = (name: string): number => Number(rows[rows.indexOf(name) + 1]);
    const limits = {
      entries: limitOf("hash-max-listpack-entries"),
      value: limitOf("hash-max-listpack-value"),
    };
    return Number.isNaN(limits.entries + limits.value) ? undefined : limits;
  } catch {
    return undefined;
  }
}

/** Up to here Redis keeps a hash in its compact form. */
export interface ListpackLimits {
  /** Fields. */
  readonly entries: number;
  /** Bytes of the longest field or value. */
  readonly value: number;
}

export interface RedisFacts {
  readonly version: string;
  readonly maxmemoryPolicy: string;
  readonly isAppendOnly: boolean;
  readonly replicas: number;
  readonly replicaAcks: number;
  readonly clockOffMs: number;
  /** Undefined = not told. */
  readonly listpack: ListpackLimits | undefined;
}

export function findProblems({
  version,
  maxmemoryPolicy,
  isAppendOnly,
  replicas,
  replicaAcks,
  clockOffMs,
  listpack,
}: RedisFacts): Finding[] {
  const findings: Finding[] = [];
  if (!(Number(version.split(".")[0]) >= REDIS_MAJOR_LEAST)) {
    findings.push({
      level: "refuse",
      detail: `Redis ${version} is too old: Lastgood needs Redis ${REDIS_MAJOR_LEAST} or newer.`,
    });
  }
  if (maxmemoryPolicy !== "noeviction") {
    findings.push({
      level: "refuse",
      detail: `Redis may evict counts (maxmemory-policy is ${maxmemoryPolicy}): set maxmemory-policy to noeviction.`,
    });
  }
  if (!isAppendOnly && replicas === 0) {
    findings.push({
      level: "warn",
      detail:
        "Redis keeps nothing across a crash (no append-only file, no replica): set appendonly to yes, or add a replica.",
    });
  }
  if (replicas < replicaAcks) {
    findings.push({
      level: "warn",
      detail: `Redis has fewer replicas connected (${replicas}) than redis.replica_acks asks for (${replicaAcks}): reports are refused until there are as many.`,
    });
  }
  if (listpack !== undefined && isTooSmall(listpack)) {
    findings.push({
      level: "warn",
      detail:
        `Redis would keep devices in several times the memory (hash-max-listpack-entries is ${listpack.entries}, hash-max-listpack-value ${listpack.value}): ` +
        `set them to ${BUCKET_DEVICES_MAX} and ${STATE_BYTES_COMPACT_MAX}.`,
    });
  }
  if (Math.abs(clockOffMs) > CLOCK_OFF_MS_MAX) {
    findings.push({
      level: "warn",
      detail: `Redis's clock is ${Math.round(clockOffMs / 1_000)} s off from this machine's: lags and durations will be wrong; synchronise both (NTP).`,
    });
  }
  return findings;
}

function isTooSmall({ entries, value }: ListpackLimits): boolean {
  return entries < BUCKET_DEVICES_MAX || value < STATE_BYTES_COMPACT_MAX;
}
