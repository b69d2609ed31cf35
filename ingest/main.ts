// The ingest process: configuration -> Redis -> HTTP -> ready -> drain. Enters: `--config FILE` (or
// LASTGOOD_CONFIG, or ./lastgood.yaml) and LASTGOOD_REDIS_URL, which the supervisor sets and which wins over
// what the file says of redis. Leaves: a process that takes reports until it is told to stop. Exit code 2 means
// that the configuration is wrong, so that starting it again is of no use. With `ingest.processes` above 1 it starts that
// many of itself as workers, and gives them their settings.
import cluster from "node:cluster";
import { parseArgs } from "node:util";
import { formatProblems } from "../runtime/config-file.ts";
import { announceReady, runProcess } from "../runtime/lifecycle.ts";
import { createLogger } from "../runtime/logger.ts";
import { lastgoodVersion } from "../runtime/version.ts";
import { loadIngestSettings } from "./config.ts";
import { startIngest } from "./ingest.ts";
import { startFirstProcess } from "./workers/first-process.ts";
import { runIngestWorker } from "./workers/worker.ts";

const EXIT_CONFIGURATION = 2;

function refuse(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(EXIT_CONFIGURATION);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: "string" } } });
  // Set but empty counts as unset, as in a shell.
  const file = values.config ?? (process.env["LASTGOOD_CONFIG"] || "lastgood.yaml");
  const loaded = loadIngestSettings({ file, env: process.env });
  if (loaded.kind === "invalid") refuse(formatProblems(loaded.problems));

  const settings = loaded.config;
  const redisUrl = process.env["LASTGOOD_REDIS_URL"] ?? settings.redisUrl;
  if (redisUrl === undefined)
    refuse(
      `${file}: ingest on its own needs redis.url or redis.cluster; \`npm start\` brings a private Redis along`,
    );

  const logger = createLogger({ name: "ingest", level: settings.logLevel });

  await runProcess({
    logger,
    start: async () => {
      const start = (settings.ingest.processes ?? 1) > 1 ? startFirstProcess : startIngest;
      const ingest = await start({ settings, redisUrl, version: lastgoodVersion(), logger });
      logger.info({ url: ingest.url, operations: ingest.operationsUrl }, "ingest takes reports");
      // By default a hang-up ends a process at once, and whoever reloads Lastgood may send it to all of its processes.
      process.on("SIGHUP", () =>
        logger.warn("ingest takes its settings when it starts: start it anew to change them"),
      );
      announceReady({ http: ingest.url, operations: ingest.operationsUrl });
      return ingest;
    },
  });
}

if (cluster.isWorker) await runIngestWorker();
else await main();
