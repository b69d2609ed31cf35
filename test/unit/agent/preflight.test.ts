// What the agent asks of its Redis: each finding with its level, at its edge.
import { expect, it } from "vitest";
import { BUCKET_DEVICES_MAX, STATE_BYTES_COMPACT_MAX } from "../../../agent/health/device-table.ts";
import { CLOCK_OFF_MS_MAX, findProblems } from "../../../agent/preflight.ts";
import type { RedisFacts } from "../../../agent/preflight.ts";

const good: RedisFacts = {
  version: "7.0.0",
  maxmemoryPolicy: "noeviction",
  isAppendOnly: true,
  replicas: 0,
  replicaAcks: 0,
  clockOffMs: 0,
  listpack: { entries: BUCKET_DEVICES_MAX, value: STATE_BYTES_COMPACT_MAX },
};
const inSeveralTimesTheMemory = (entries: number, value: number): string =>
  `warn: Redis would keep devices in several times the memory (hash-max-listpack-entries is ${entries}, ` +
  `hash-max-listpack-value ${value}): set them to 2048 and 512.`;

it.each([
  [{}, []],
  [{ version: "8.2.1" }, []],
  [{ version: "6.2.14" }, ["refuse: Redis 6.2.14 is too old: Lastgood needs Redis 7 or newer."]],
  [{ version: "" }, ["refuse: Redis  is too old: Lastgood needs Redis 7 or newer."]],
  [
    { maxmemoryPolicy: "allkeys-lru" },
    ["refuse: Redis may evict counts (maxmemory-policy is allkeys-lru): set maxmemory-policy to noeviction."],
  ],
  [
    { isAppendOnly: false },
    [
      "warn: Redis keeps nothing across a crash (no append-only file, no replica): set appendonly to yes, or add a replica.",
    ],
  ],
  [{ isAppendOnly: false, replicas: 1 }, []],
  [{ replicas: 1, replicaAcks: 1 }, []],
  [
    { replicas: 1, replicaAcks: 2 },
    [
      "warn: Redis has fewer replicas connected (1) than redis.replica_acks asks for (2): reports are refused until there are as many.",
    ],
  ],
  [{ clockOffMs: CLOCK_OFF_MS_MAX }, []],
  [{ clockOffMs: -CLOCK_OFF_MS_MAX }, []],
  [
    { clockOffMs: -CLOCK_OFF_MS_MAX - 1_000 },
    [
      "warn: Redis's clock is -6 s off from this machine's: lags and durations will be wrong; synchronise both (NTP).",
    ],
  ],
  [{ listpack: undefined }, []],
  [{ listpack: { entries: 1e9, value: 1e9 } }, []],
  [{ listpack: { entries: 2_047, value: 512 } }, [inSeveralTimesTheMemory(2_047, 512)]],
  [{ listpack: { entries: 2_048, value: 511 } }, [inSeveralTimesTheMemory(2_048, 511)]],
] as [Partial<RedisFacts>, string[]][])("%j", (facts, findings) => {
  expect(findProblems({ ...good, ...facts }).map(({ level, detail }) => `${level}: ${detail}`)).toEqual(
    findings,
  );
});
