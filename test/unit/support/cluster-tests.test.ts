// The list of tests that also run on a Redis Cluster says neither too little nor too much.
import { expect, test } from "vitest";
import { CLUSTER_TESTS } from "../../support/cluster-tests.ts";
import { readSources } from "../../support/source-files.ts";

test("every test that gets Redis of either kind runs on both", () => {
  const givers = ["test/support/redis-kinds.ts", "test/support/shard-for-each.ts"];
  const users = readSources()
    .filter(
      ({ path, imports }) => path.endsWith(".test.ts") && givers.some((giver) => imports.includes(giver)),
    )
    .map(({ path }) => path);
  expect(users.toSorted()).toEqual(CLUSTER_TESTS.toSorted());
});
