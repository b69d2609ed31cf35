// Alerts on Redis, which holds everything: away, nearly full, not writing to disk, slow.
import { alert } from "../alert.ts";
import type { AlertRule, Suppressor } from "../alert.ts";
import { metric } from "../promql.ts";

const REDIS_DOWN: Suppressor = { alertname: "OtaRedisDown", postedBy: "rules", equal: [] };

const MEMORY = {
  name: "OtaRedisMemoryHigh",
  for: "5m",
  identifiedBy: ["server"],
  dashboard: "pipeline",
  summary: "Redis is nearly full",
  description: `Redis {{ $labels.server }} uses {{ $value | humanizePercentage }} of the memory it may; when it is full, reports are
    refused and nothing is decided. First: raise maxmemory if the machine has it, then look what grows (runbook).`,
} as const;

const memory = (above: number): string => `
      max by (server) (max_over_time(${metric.ota_redis_memory_bytes}[1m]))
      /
      max by (server) (max_over_time(${metric.ota_redis_memory_max_bytes}[1m]))
      > ${above}`;

export const REDIS_ALERTS: readonly AlertRule[] = [
  alert({
    name: "OtaRedisDown",
    severity: "critical",
    for: "1m",
    expr: `(max(max_over_time(${metric.ota_redis_up}[1m])) == 0)
      or
      (max(up{job="lastgood-agent"}) == 1 unless on () max(max_over_time(${metric.ota_redis_up}[5m])))`,
    dashboard: "pipeline",
    summary: "Redis does not answer: reports are refused, nothing is judged",
    description: `No agent has reached Redis for 2 minutes. First: redis-cli ping at redis.url;
      start Redis, and look at its log and its disk.`,
    suppressedBy: [{ alertname: "OtaAgentDown", postedBy: "rules", equal: [] }],
  }),
  alert({
    ...MEMORY,
    severity: "warning",
    expr: memory(0.8),
    suppressedBy: [
      { alertname: MEMORY.name, postedBy: "rules", severity: "critical", equal: ["server"] },
      REDIS_DOWN,
    ],
  }),
  alert({ ...MEMORY, severity: "critical", expr: memory(0.92), suppressedBy: [REDIS_DOWN] }),
  alert({
    name: "OtaRedisNotPersisting",
    severity: "critical",
    for: "5m",
    expr: `max by (server) (max_over_time(${metric.ota_redis_persistence_ok}[1m])) == 0`,
    identifiedBy: ["server"],
    dashboard: "pipeline",
    summary: "Redis does not write to disk: a restart loses reports and decisions",
    description: `Redis {{ $labels.server }} does not keep on disk what it acknowledged. First: redis-cli info persistence says whether the disk is full or appendonly is off; do not restart
      Redis before that is mended.`,
    suppressedBy: [REDIS_DOWN],
  }),
  alert({
    name: "OtaRedisSlow",
    severity: "warning",
    for: "10m",
    expr: `max by (server) (avg_over_time(${metric.ota_redis_ping_seconds}[5m])) > 0.1`,
    identifiedBy: ["server"],
    dashboard: "pipeline",
    summary: "Redis answers slowly",
    description: `Redis {{ $labels.server }} takes {{ $value | humanizeDuration }} to answer PING, on average of 5 minutes. First:
      redis-cli slowlog get 10, and the machine's CPU, swap and disk.`,
    suppressedBy: [REDIS_DOWN],
  }),
];
