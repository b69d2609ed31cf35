// Tests of counting that run twice: on a single Redis in a project of their own, and on a Redis Cluster in the
// project `cluster`. They get Redis from redis-kinds.ts or shard-for-each.ts; test/unit/support/cluster-tests.test.ts sees to it that
// all who do are named here.
export const CLUSTER_TESTS: string[] = [
  "test/integration/shard-store.test.ts",
  "test/integration/stored-fields.test.ts",
  "test/integration/silence.test.ts",
  "test/integration/roll-up.test.ts",
  "test/integration/retention.test.ts",
  "test/integration/examples.test.ts",
  "test/integration/hostile-names.test.ts",
  "test/integration/release-history.test.ts",
  "test/integration/source-counting.test.ts",
  "test/integration/capgo-timelines.test.ts",
  "test/property/counting.test.ts",
];
