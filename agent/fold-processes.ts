// The processes that fold beside the agent (`agent.processes`), as the agent has them. Enters: the settings in force.
// Leaves: processes that go on while it does, and that know what has changed.
import type { Readiness } from "../runtime/http-server.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Registry } from "../runtime/metrics.ts";
import type { RedisAddress } from "../runtime/redis.ts";
import { keepWorkers } from "../runtime/workers/kept-workers.ts";
import { countingTableOf } from "./config/counting-rules.ts";
import type { Settings } from "./config/schema.ts";
import type { FoldSettings, FoldStart } from "./fold-process.ts";
import type { PolledSources } from "./polling/polled-sources.ts";

export interface FoldProcesses {
  start(): Promise<void>;
  /** To be called when the settings in force are others. */
  tellSettings(): void;
  /** The agent's metrics, and those of all that fold beside it. */
  metrics(own: Registry): Promise<Registry>;
  /** Never more than a note: the agent folds by itself as well. */
  readiness(): Promise<Readiness>;
  stop(): Promise<void>;
}

export interface FoldProcessesOptions {
  readonly settings: () => Settings;
  readonly sources: PolledSources;
  readonly redisUrl: RedisAddress;
  readonly version: string;
  readonly logger: Logger;
}

export function createFoldProcesses(options: FoldProcessesOptions): FoldProcesses {
  const { settings, sources, redisUrl, version, logger } = options;
  const count = settings().agent.processes - 1;
  if (count === 0) return NONE;
  const settingsNow = (): FoldSettings => ({
    counting: countingTableOf(settings()),
    polled: sources.all.map(({ app, id, everyMs }) => ({ app, id, everyMs })),
  });
  const workers = keepWorkers<FoldStart, FoldSettings>({
    count,
    // The agent is the first that folds.
    nameOf: (number) => `fold process ${number + 1}`,
    start: () => {
      const { shards, logLevel, sentryDsn } = settings();
      return { redisUrl, shards, logLevel, sentryDsn, version, settings: settingsNow() };
    },
    logger,
  });
  return {
    start: () => workers.start(),
    tellSettings: () => workers.tell(settingsNow()),
    metrics: (own) => workers.metrics(own),
    async readiness() {
      const answers = await workers.checks();
      const living = answers.filter((answer) => answer !== undefined).length;
      return living === count ? undefined : { note: `${living} of ${count} fold beside the agent` };
    },
    stop: () => workers.stop(),
  };
}

const NONE: FoldProcesses = {
  start: () => Promise.resolve(),
  tellSettings: () => {},
  metrics: (own) => Promise.resolve(own),
  readiness: () => Promise.resolve(undefined),
  stop: () => Promise.resolve(),
};
