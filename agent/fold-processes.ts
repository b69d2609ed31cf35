// The processes that fold beside the agent (`agent.processes`), as the agent has them. Enters: the settings in force.
// Leaves: processes that go on while it does, and that know what has changed.
import type { Readiness } from "../runtime/http-server.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Registry } from "../runtime/metrics.ts";
import type { RedisAddress } from "../runtime/redis.ts";
import { keepWorkers } from "../runtime/workers/kept-workers.ts";
import { countingTableOf } from "./config/counting-rules.ts";
import type { LiveSettings } from "./config-reload.ts";
import type { FoldSettings, FoldStart } from "./fold-process.ts";
import type { PolledSources } from "./polling/polled-sources.ts";

export interface FoldProcesses {
  /** Nobody waits for them, and one that does not start is tried again. */
  start(): void;
  /** The agent's metrics, and those of all that fold beside it. */
  metrics(own: Registry): Promise<Registry>;
  /** Never more than a note: the agent folds by itself as well. */
  readiness(): Promise<Readiness>;
  stop(): Promise<void>;
  /** What has not stopped. */
  kill(): void;
}

export interface FoldProcessesOptions {
  readonly live: LiveSettings;
  readonly sources: PolledSources;
  readonly redisUrl: RedisAddress;
  readonly version: string;
  readonly logger: Logger;
}

export function createFoldProcesses(options: FoldProcessesOptions): FoldProcesses {
  const { live, sources, redisUrl, version, logger } = options;
  const settings = live.current;
  const count = settings().agent.processes - 1;
  if (count === 0) return NONE;
  const settingsNow = (): FoldSettings => ({
    counting: countingTableOf(settings()),
    polled: sources.all.map(({ app, id, everyMs }) => ({ app, id, everyMs })),
  });
  const workers = keepWorkers<FoldStart, FoldSettings>({
    count,
    kind: "helper",
    // The agent is the first that folds.
    nameOf: (number) => `fold process ${number + 1}`,
    start: () => {
      const { shards, logLevel, sentryDsn } = settings();
      return { redisUrl, shards, logLevel, sentryDsn, version, settings: settingsNow() };
    },
    logger,
  });
  live.onReplaced(() => workers.tell(settingsNow()));
  return {
    start: () =>
      void workers.start().catch((err: unknown) => logger.error({ err }, "no fold process could be started")),
    metrics: (own) => workers.metrics(own),
    async readiness() {
      const answers = await workers.checks();
      const living = answers.filter((answer) => answer !== undefined).length;
      return living === count ? undefined : { note: `${living} of ${count} fold beside the agent` };
    },
    stop: () => workers.stop(),
    kill: () => workers.kill(),
  };
}

const NONE: FoldProcesses = {
  start: () => {},
  metrics: (own) => Promise.resolve(own),
  readiness: () => Promise.resolve(undefined),
  stop: () => Promise.resolve(),
  kill: () => {},
};
