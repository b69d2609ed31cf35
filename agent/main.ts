// The agent process: configuration -> Redis -> workers -> ready -> drain. Enters: `--config FILE` (or
// LASTGOOD_CONFIG, or ./lastgood.yaml) and LASTGOOD_REDIS_URL, which the supervisor sets and which wins
// over what the file says of redis. Changes of the file take effect while it runs, at once with SIGHUP. Exit code 2
// means that the configuration is wrong: starting again is of no use. With `agent.processes` above 1 it starts that
// many less one of itself, which fold beside it. With `--last-good FILE`, a copy that the agent
// keeps of a right file, a broken one does not keep it from coming back.
import cluster from "node:cluster";
import { parseArgs } from "node:util";
import { formatProblems } from "../runtime/config-file.ts";
import { announceReady, runProcess } from "../runtime/lifecycle.ts";
import { createLogger } from "../runtime/logger.ts";
import { lastgoodVersion } from "../runtime/version.ts";
import { startAgent } from "./agent.ts";
import { loadFirstSettings } from "./config/last-good-file.ts";
import { findConfig } from "./config/load.ts";
import { runFoldProcess } from "./fold-process.ts";

const EXIT_CONFIGURATION = 2;

function refuse(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(EXIT_CONFIGURATION);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: "string" }, "last-good": { type: "string" } } });
  const { file } = findConfig({ given: values.config, env: process.env, workingDir: process.cwd() });
  const copy = values["last-good"];
  const loaded = loadFirstSettings({ file, copy, env: process.env });
  if (loaded.kind === "invalid") refuse(formatProblems(loaded.problems));

  const settings = loaded.config;
  const redisUrl = process.env["LASTGOOD_REDIS_URL"] ?? settings.redisUrl;
  if (redisUrl === undefined)
    refuse(
      `${file}: the agent on its own needs redis.url or redis.cluster; \`npm start\` brings a private Redis along`,
    );

  const logger = createLogger({ name: "agent", level: settings.logLevel });
  if (loaded.kind === "last_good")
    logger.error(
      `started with the configuration that was right last: ${formatProblems(loaded.broken.problems)}`,
    );

  await runProcess({
    logger,
    start: async () => {
      const origin = { file, env: process.env, ...(copy === undefined ? {} : { lastGoodCopy: copy }) };
      const agent = await startAgent({ settings, redisUrl, version: lastgoodVersion(), logger, origin });
      process.on("SIGHUP", () => void agent.reload());
      logger.info({ url: agent.url }, "the agent watches");
      announceReady({ http: agent.url, operations: agent.url });
      return agent;
    },
  });
}

if (cluster.isWorker) await runFoldProcess();
else await main();
