// The vitest project `cluster`: one Redis Cluster of six servers for all of its files, which run one after the
// other. Enters: the project, before its first test. Leaves: a cluster that redis-kinds.ts finds, until the end.
import type { TestProject } from "vitest/node";
import { startTestRedisCluster } from "./redis-cluster.ts";
import type { TestRedisCluster } from "./redis-cluster.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Undefined in the other projects. */
    redisClusterUrls: readonly string[] | undefined;
  }
}

let cluster: TestRedisCluster | undefined;

export async function setup(project: TestProject): Promise<void> {
  cluster = await startTestRedisCluster();
  project.provide("redisClusterUrls", cluster.urls);
}

export async function teardown(): Promise<void> {
  await cluster?.stop();
}
