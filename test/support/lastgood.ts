// The whole of Lastgood in this process, for tests that go from a device's own words to the OTA server: ingest and agent
// on a Redis of their own, configured by a real configuration file. Enters: its YAML. Leaves: URLs, the operator API, a stop.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startAgent } from "../../agent/agent.ts";
import { loadSettings } from "../../agent/config/load.ts";
import { loadIngestSettings } from "../../ingest/config.ts";
import { startIngest } from "../../ingest/ingest.ts";
import type { ConfigResult } from "../../runtime/config-file.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createOperatorClient } from "./operator-client.ts";
import type { OperatorClient } from "./operator-client.ts";
import { startTestRedis } from "./redis.ts";

export interface TestLastgood {
  readonly ingestUrl: string;
  readonly operationsUrl: string;
  readonly agentUrl: string;
  readonly operator: OperatorClient;
  /** What ingest says of itself. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

const STOP_MS_MAX = 5_000;

/** `yaml`: everything but how to listen, where to keep data, and the number of shards. */
export async function startLastgood(yaml: string): Promise<TestLastgood> {
  const redis = await startTestRedis();
  const folder = mkdtempSync(path.join(tmpdir(), "lg-whole-"));
  const file = path.join(folder, "lastgood.yaml");
  const listen = `shards: 2
ingest: { listen: "127.0.0.1:0", operations_listen: "127.0.0.1:0" }
agent: { listen: "127.0.0.1:0" }
`;
  writeFileSync(file, `${listen}${yaml}`);
  const started = {
    redisUrl: redis.url,
    version: "0.0.0",
    logger: createLogger({ name: "test", level: "silent" }),
  };
  const ingest = await startIngest({ ...started, settings: loaded(loadIngestSettings({ file, env: {} })) });
  const agent = await startAgent({ ...started, settings: loaded(loadSettings({ file, env: {} })) });
  return {
    ingestUrl: ingest.url,
    operationsUrl: ingest.operationsUrl,
    agentUrl: agent.url,
    operator: createOperatorClient(() => agent),
    metrics: async () => (await fetch(`${ingest.operationsUrl}/metrics`)).text(),
    async stop() {
      await ingest.stop(STOP_MS_MAX);
      await agent.stop(STOP_MS_MAX);
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function loaded<T>(result: ConfigResult<T>): T {
  if (result.kind === "loaded") return result.config;
  throw new Error(result.problems.map(({ path: at, message }) => `${at} ${message}`).join("; "));
}
