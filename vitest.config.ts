// Four projects: `unit` runs in parallel and touches no network; `integration` starts a real
// redis-server of its own; `cluster` runs some files of these two once more, on one Redis Cluster for all of
// them; `e2e` starts the real processes. One project runs after the other, because
// they have different numbers of workers.
import { defineConfig } from "vitest/config";
import { closingLine } from "./test/support/closing-line.ts";
import { CLUSTER_TESTS } from "./test/support/cluster-tests.ts";

export default defineConfig({
  test: {
    // "12 passed, 0 failed, 1 skipped" as the last line, for scripts and CI.
    reporters: ["default", closingLine()],
    projects: [
      {
        test: {
          name: "unit",
          sequence: { groupOrder: 0 },
          include: ["test/unit/**/*.test.ts", "test/property/**/*.test.ts", "test/architecture.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "integration",
          sequence: { groupOrder: 1 },
          include: ["test/integration/**/*.test.ts", "test/contract/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "cluster",
          sequence: { groupOrder: 2 },
          include: CLUSTER_TESTS,
          globalSetup: "test/support/cluster-project.ts",
          testTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          sequence: { groupOrder: 3 },
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // They wait for processes more than they compute.
          maxWorkers: 2,
        },
      },
    ],
  },
});
