// What the agent checks before it stands on its Redis, with the remedy for each finding. `refuse` stops
// the start: counts could be wrong or evicted. `warn` is said once and the start goes on.
import type { Clock } from "../runtime/clock.ts";
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
  const [server, memory, persistence, replication, time] = await Promise.all([
    redis.info("server"),
    redis.info("memory"),
    redis.info("persistence"),
    redis.info("replication"),
    redis.time(),
  ]);
  return {
    version: field(server, "redis_version"),
    maxmemoryPolicy: field(memory, "maxmemory_policy"),
    isAppendOnly: field(persistence, "aof_enabled") === "1",
    replicas: Number(field(replication, "connected_slaves") || "0"),
    clockOffMs: Number(time[0]) * 1_000 + Number(time[1]) / 1_000 - clock(),
  };
}

export interface RedisFacts {
  readonly version: string;
  readonly maxmemoryPolicy: string;
  readonly isAppendOnly: boolean;
  readonly replicas: number;
  readonly replicaAcks: number;
  readonly clockOffMs: number;
}

export function findProblems({
  version,
  maxmemoryPolicy,
  isAppendOnly,
  replicas,
  replicaAcks,
  clockOffMs,
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
  if (Math.abs(clockOffMs) > CLOCK_OFF_MS_MAX) {
    findings.push({
      level: "warn",
      detail: `Redis's clock is ${Math.round(clockOffMs / 1_000)} s off from this machine's: lags and durations will be wrong; synchronise both (NTP).`,
    });
  }
  return findings;
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim() ?? "";
}
