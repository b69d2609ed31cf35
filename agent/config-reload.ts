// Keeps the agent's settings those of its configuration file while it runs. Enters: the file's text whenever it changes.
// Leaves: new settings for whoever asks next, all at once; of a file with mistakes nothing, the settings stay. Both are
// said in the log, in two metrics and in the journal.
import type { Clock } from "../runtime/clock.ts";
import type { ConfigProblem, Environment } from "../runtime/config-file.ts";
import type { Logger } from "../runtime/logger.ts";
import { Gauge } from "../runtime/metrics.ts";
import type { Registry } from "../runtime/metrics.ts";
import { watchConfigFile } from "./config/config-file-watch.ts";
import type { ConfigFileWatch, FileContent } from "./config/config-file-watch.ts";
import { liveChange } from "./config/live-settings.ts";
import { keepLastGood } from "./config/last-good-file.ts";
import { loadSettings } from "./config/load.ts";
import type { Settings } from "./config/schema.ts";
import type { ConfigJournal, ConfigRecord } from "./journal/config-record.ts";
import { describeMetric } from "../ingest/contract/metric-names.ts";

/** Where the settings come from. */
export interface ConfigOrigin {
  readonly file: string;
  /** Fills `${VAR}`. */
  readonly env: Environment;
  /** Where a copy of the file is kept whenever it is right; left out = none is. */
  readonly lastGoodCopy?: string;
  /** For tests: other than CONFIG_POLL_MS and CONFIG_SETTLE_MS. */
  readonly pollMs?: number;
  readonly settleMs?: number;
}

/** The settings in force. */
export interface LiveSettings {
  readonly current: () => Settings;
  readonly replace: (next: Settings) => void;
  /** Told at once, before anybody waits for anything: who counts elsewhere must not count by old settings for longer. */
  readonly onReplaced: (listen: () => void) => void;
}

export function createLiveSettings(first: Settings): LiveSettings {
  let settings = first;
  const listeners: (() => void)[] = [];
  return {
    current: () => settings,
    replace(next) {
      settings = next;
      for (const listen of listeners) listen();
    },
    onReplaced: (listen) => void listeners.push(listen),
  };
}

export interface ConfigReloadDeps {
  readonly origin: ConfigOrigin;
  readonly live: LiveSettings;
  readonly journal: ConfigJournal;
  readonly metrics: ReloadMetrics;
  /** After policies, channels or OTA servers have changed: what is known has to be judged anew. */
  readonly onApplied: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createConfigReload(deps: ConfigReloadDeps): ConfigFileWatch {
  const { origin, metrics, onApplied, journal, clock, logger } = deps;
  /** Applied, but not judged or not journalled yet: Redis may have been away. */
  let toJudge = false;
  let unsaid: readonly string[] = [];
  return watchConfigFile({
    ...origin,
    onContent: async (content) => {
      const record = applyContent(content, deps);
      metrics.tell(record.stage);
      tell(record, deps);
      toJudge ||= record.applied.length > 0;
      unsaid = [...new Set([...unsaid, ...record.applied])];
      if (record.stage === "applied" && content.kind === "text") await keepCopy(content.text, deps);
      if (toJudge) await onApplied();
      toJudge = false;
      await journal.keep({ ...record, applied: unsaid }, clock());
      unsaid = [];
    },
    onError: (err) =>
      logger.warn({ err }, "the configuration file was looked at in vain; that is tried again at once"),
  });
}

async function keepCopy(text: string, { origin, logger }: ConfigReloadDeps): Promise<void> {
  if (origin.lastGoodCopy === undefined) return;
  await keepLastGood(origin.lastGoodCopy, text).catch((err: unknown) =>
    logger.warn({ err }, "no copy of the configuration could be kept; see data_dir"),
  );
}

function applyContent(content: FileContent, { origin, live }: ConfigReloadDeps): ConfigRecord {
  if (content.kind === "unreadable") return refused([content.problem], null);
  const loaded = loadSettings({ file: origin.file, text: content.text, env: origin.env });
  if (loaded.kind === "invalid") return refused(loaded.problems, content.sha256);
  const { settings, applied, needsRestart } = liveChange(live.current(), loaded.config);
  // The one step in which everything changes: who asks before gets all of the old, who asks after all of the new.
  if (applied.length > 0) live.replace(settings);
  return { stage: "applied", sha256: content.sha256, problems: [], applied, needsRestart };
}

function refused(problems: readonly ConfigProblem[], sha256: string | null): ConfigRecord {
  return { stage: "refused", sha256, problems: problems.map(placeOf), applied: [], needsRestart: [] };
}

/** Without the excerpt: what is kept for ever holds no line of the file. */
function placeOf({ file, line, column, path, message }: ConfigProblem): string {
  return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
}

function tell(
  { stage, problems, applied, needsRestart }: ConfigRecord,
  { origin, logger }: ConfigReloadDeps,
): void {
  const { file } = origin;
  if (stage === "refused") {
    logger.error(
      { file, problems },
      `the configuration file has mistakes, the settings stay as they were: ${problems.join("; ")}`,
    );
    return;
  }
  if (applied.length > 0)
    logger.info({ file, applied }, `the configuration has changed: ${applied.join(", ")}`);
  if (needsRestart.length > 0)
    logger.warn(
      { file, needsRestart },
      `not applied before Lastgood is started anew: ${needsRestart.join(", ")}`,
    );
}

export type ReloadMetrics = ReturnType<typeof createReloadMetrics>;

/** At first they say that the agent has started with a file that is right. */
export function createReloadMetrics({ registry, clock }: { registry: Registry; clock: Clock }) {
  const gauge = (name: "ota_config_reload_success" | "ota_config_reload_timestamp_seconds"): Gauge =>
    new Gauge({ ...describeMetric(name), registers: [registry] });
  const success = gauge("ota_config_reload_success");
  const timestamp = gauge("ota_config_reload_timestamp_seconds");
  const tell = (stage: ConfigRecord["stage"]): void => {
    success.set(stage === "applied" ? 1 : 0);
    if (stage === "applied") timestamp.set(clock() / 1_000);
  };
  tell("applied");
  return { tell };
}
