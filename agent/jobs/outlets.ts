// Everything that Lastgood tells people by itself, as one thing: pages to Alertmanager, annotations to Grafana, the
// daily summary. Enters: settings and the stores. Leaves: what the upkeep jobs do, the wake-ups they need, and a bell
// for news. What is not configured costs nothing.
import { describeMetric } from "../../ingest/contract/metric-names.ts";
import { readDeviceProofs } from "../../ingest/contract/device-proofs.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { Counter, Gauge } from "../../runtime/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { Settings } from "../config/schema.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { DeadLetterStore } from "../intake/dead-letters.ts";
import type { FreezeStore } from "../journal/freeze-store.ts";
import type { Journal } from "../journal/journal.ts";
import { createConfigJournal } from "../journal/config-record.ts";
import { POST_RESULTS, createAlertmanager } from "../paging/alertmanager.ts";
import type { ServerAnswer } from "../paging/alertmanager.ts";
import { createChangeLog } from "../paging/change-log.ts";
import type { ChangeLog } from "../paging/change-log.ts";
import { createDailySummaryStore } from "../paging/daily-summary-store.ts";
import { annotate, createGrafana } from "../paging/grafana.ts";
import { createJournalCursor } from "../paging/journal-cursor.ts";
import { PAGE_SEVERITIES } from "../paging/page.ts";
import { createPageStore } from "../paging/page-store.ts";
import type { KeptPage } from "../paging/plan-posts.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { tellPages } from "./page.ts";
import type { SnapshotDeps } from "./page.ts";
import type { Queues } from "./queues.ts";
import { sendDueSummaries } from "./send-summary.ts";
import type { WakeUp } from "./wake-ups.ts";

/** How often it is looked whether a page began, changed or ended without news, in milliseconds. */
export const PAGE_INTERVAL_MS = 5_000;
/** How often the journal is looked through for Grafana, and unsent summaries are tried again, in milliseconds. */
export const TELL_INTERVAL_MS = 10_000;

export interface Outlets {
  /** Job `page`. */
  page(): Promise<void>;
  /** Job `tell`: annotations, and summaries that are still due. */
  tell(): Promise<void>;
  /** Job `summary`, by its minute. */
  summary(minute: string): Promise<void>;
  /** Something was decided, held, or ended: a page may have begun or be over. */
  onNews(): Promise<void>;
  readonly wakeUps: readonly WakeUp[];
}

export interface OutletsOptions {
  readonly settings: Pick<Settings, "alertmanager" | "grafana" | "summary" | "externalUrl">;
  readonly stores: Omit<
    SnapshotDeps,
    "channels" | "decisions" | "listFreezes" | "readProofs" | "readRefusedConfig" | "readUnread"
  > & {
    readonly redis: Redis;
    readonly journal: Journal;
    readonly health: Pick<HealthStore, "readLag">;
    readonly deadLetters: Pick<DeadLetterStore, "count">;
    readonly decisions: DecisionStore;
    readonly freezes: Pick<FreezeStore, "list">;
  };
  readonly channels: { readonly all: SnapshotDeps["channels"] };
  readonly readUnread: SnapshotDeps["readUnread"];
  readonly queues: Pick<Queues, "page" | "tell">;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createOutlets(options: OutletsOptions): Outlets {
  const { settings, queues } = options;
  const pageJob = createPageJob(options);
  const annotateJob = createAnnotateJob(options);
  const summaryJob = createSummaryJob(options);
  const isPaging = settings.alertmanager !== undefined;
  const isTelling = settings.grafana !== undefined || settings.summary !== undefined;
  return {
    page: pageJob,
    // Each for itself: Grafana being down is no reason to keep a summary back.
    tell: async () => rethrow(await Promise.allSettled([annotateJob(), summaryJob()])),
    summary: (minute) => summaryJob(minute),
    onNews: () => (isPaging ? queues.page() : Promise.resolve()),
    wakeUps: [
      ...(isPaging ? [{ everyMs: PAGE_INTERVAL_MS, wake: () => queues.page() }] : []),
      ...(isTelling ? [{ everyMs: TELL_INTERVAL_MS, wake: () => queues.tell() }] : []),
    ],
  };
}

function rethrow(results: readonly PromiseSettledResult<void>[]): void {
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

function createPageJob(options: OutletsOptions): () => Promise<void> {
  const { settings, stores, channels, readUnread, registry, clock, logger } = options;
  const { alertmanager: configured, externalUrl } = settings;
  const posts = new Counter({
    ...describeMetric("ota_page_posts_total"),
    registers: [registry],
  });
  if (configured === undefined) return () => Promise.resolve();
  for (const result of POST_RESULTS) posts.inc({ result }, 0);
  const states = new Map<string, ChangeLog>(
    configured.urls.map((url) => [url, createChangeLog({ logger, name: `Alertmanager ${url}` })]),
  );
  const onAnswer = ({ url, result, detail }: ServerAnswer): void => {
    posts.inc({ result });
    states.get(url)?.say(result, detail);
  };
  const alertmanager = createAlertmanager({ settings: configured, externalUrl });
  const pages = createPageStore(stores);
  const config = createConfigJournal(stores);
  const listFreezes: SnapshotDeps["listFreezes"] = () => stores.freezes.list(clock());
  return () =>
    tellPages({
      ...stores,
      listFreezes,
      readRefusedConfig: () => config.refused(),
      readProofs: (nowMs) => readDeviceProofs(stores.redis, nowMs),
      readUnread,
      channels: channels.all,
      pages,
      alertmanager,
      onAnswer,
      nowMs: clock(),
    });
}

function createAnnotateJob({ settings, stores, clock, logger }: OutletsOptions): () => Promise<void> {
  if (settings.grafana === undefined) return () => Promise.resolve();
  const grafana = createGrafana(settings.grafana);
  const cursor = createJournalCursor({ ...stores, name: "grafana" });
  const state = createChangeLog({ logger, name: `Grafana ${settings.grafana.url}` });
  const readDecision = (id: string) => stores.decisions.read(id);
  return () => annotate({ grafana, cursor, readDecision, state, nowMs: clock, logger });
}

function createSummaryJob(options: OutletsOptions): (minute?: string) => Promise<void> {
  const { settings, stores, clock, logger } = options;
  if (settings.summary === undefined) return () => Promise.resolve();
  const { webhook } = settings.summary;
  const store = createDailySummaryStore(stores);
  return async (minute) => {
    const nowMs = clock();
    if (minute !== undefined) await store.ask(minute, nowMs);
    const readInput = () => readSummaryInput(options, nowMs);
    await sendDueSummaries({ store, webhook, readInput, nowMs, logger });
  };
}

async function readSummaryInput({ stores, settings }: OutletsOptions, nowMs: number) {
  const [releases, decisions, pending, holds, freezes, lag, deadLetters] = await Promise.all([
    stores.summaries.list(),
    stores.decisions.list(),
    stores.decisions.listPending(),
    stores.holds.list(),
    stores.freezes.list(nowMs),
    stores.health.readLag(nowMs),
    stores.deadLetters.count(),
  ]);
  const { externalUrl } = settings;
  return {
    nowMs,
    releases,
    decisions,
    pending: new Set(pending),
    holds,
    freezes,
    lag,
    deadLetters,
    externalUrl,
  };
}

const NONE: ReadonlyMap<string, KeptPage> = new Map();

/** Pages that stand, read from Redis when somebody scrapes, over the connection that fails fast. */
export function registerPageMetrics({
  registry,
  redis,
  settings,
}: {
  readonly registry: Registry;
  readonly redis: Redis;
  readonly settings: Pick<Settings, "alertmanager">;
}): void {
  const pages = createPageStore({ redis });
  const gauge = new Gauge({
    ...describeMetric("ota_pages_standing"),
    registers: [registry],
    async collect() {
      // Where nobody is told any more, what is left in Redis does not stand.
      const list = settings.alertmanager === undefined ? Promise.resolve(NONE) : pages.list();
      const kept = await list.catch(() => undefined);
      gauge.reset();
      if (kept === undefined) return;
      for (const severity of PAGE_SEVERITIES) gauge.set({ severity }, 0);
      for (const { page, endedAtMs } of kept.values())
        if (endedAtMs === null) gauge.inc({ severity: page.severity });
    },
  });
}
