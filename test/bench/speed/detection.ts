// How long it takes from the last report that proves a release bad to the rollback at the OTA server, and beside it the
// classic way on the very same releases in the same run: Prometheus scrapes, a rule fires, Alertmanager calls a webhook.
// Once with nothing else to do, once under a load of reports. Enters: how many bad releases. Leaves: the times, in order.
import { setTimeout as sleep } from "node:timers/promises";
import type { AppId, Channel, Version } from "../../../ingest/contract/release-key.ts";
import { startAlertmanager } from "../../support/alertmanager.ts";
import type { TestAlertmanager } from "../../support/alertmanager.ts";
import { startOtaServer } from "../../support/agent.ts";
import type { TestOtaServer } from "../../support/agent.ts";
import { startPrometheus } from "../../support/prometheus.ts";
import type { TestPrometheus } from "../../support/prometheus.ts";
import type { Progress } from "../progress.ts";
import { startPipeline } from "./end-to-end.ts";
import type { PipelineStack } from "./end-to-end.ts";
import { histogramOf, quantile, tableOf, whole } from "./figures.ts";
import { APP, CHANNEL, INGEST_KEY, configText } from "./stack.ts";
import { runLoad } from "./wrk.ts";

/** Of the background, in reports a second; how full its requests are. */
const BACKGROUND_PER_SECOND = 20_000;
const BACKGROUND_REPORTS_PER_REQUEST = 500;
/** Devices that fail to update in one request: enough that nobody needs to wait for more. */
const FAILING_DEVICES = 40;
const ANNOUNCED_BEFORE_MS = 1_000;
/** Pause before the next release, so that it falls anywhere between two scrapes, in milliseconds. */
const PAUSE_MS_MAX = 1_000;
const ROLLBACK_MS_MAX = 20_000;
/** After so many in a row that were missed the machine is too busy: nobody waits for the rest. */
const MISSED_MAX = 3;
/** The slower Prometheus needs a scrape and an evaluation, and some more under load. */
const CLASSIC_MS_MAX = 45_000;
const LOOK_MS = 10;
/** A Prometheus that has just started takes seconds until it knows its Alertmanager, in milliseconds. */
const CLASSIC_START_MS = 10_000;
const GOOD = "1.0.0" as Version;
const BAD = "2.0.0" as Version;

/** Scraped and evaluated this often; Alertmanager passes everything on at once for both (its default waits 30 s). */
const CLASSIC = { tuned: "1s", usual: "15s" } as const;
type ClassicName = keyof typeof CLASSIC;

export interface DetectionResult {
  readonly load: "idle" | "20,000 reports/s";
  /** In order, in milliseconds. */
  readonly lastgoodMs: readonly number[];
  readonly tunedMs: readonly number[];
  readonly usualMs: readonly number[];
  /** Releases that were not rolled back in time. */
  readonly missed: number;
}

export async function benchDetection(releases: number, progress: Progress): Promise<DetectionResult[]> {
  const idle = Array.from({ length: releases }, (_, index) => `idle-${index}`);
  const loaded = Array.from({ length: releases }, (_, index) => `loaded-${index}`);
  const ota = await startOtaServer();
  const stack = await startPipeline(configText({ otaUrl: ota.url, channels: [CHANNEL, ...idle, ...loaded] }));
  const alertmanager = await startAlertmanager();
  const prometheuses: TestPrometheus[] = [];
  try {
    for (const name of Object.keys(CLASSIC) as ClassicName[])
      prometheuses.push(await startPrometheus(prometheusFiles(name, { stack, alertmanager })));
    publish(ota, CHANNEL, GOOD);
    for (const channel of [...idle, ...loaded])
      for (const version of [GOOD, BAD]) publish(ota, channel, version);
    await sleep(CLASSIC_START_MS);
    const run: Run = { stack, ota, alertmanager, progress };
    return [await detectAll(run, idle, "idle"), await underLoad(run, loaded)];
  } finally {
    for (const prometheus of prometheuses) await prometheus.stop();
    await alertmanager.stop();
    await stack.stop();
    await ota.close();
  }
}

interface Run {
  readonly stack: PipelineStack;
  readonly ota: TestOtaServer;
  readonly alertmanager: TestAlertmanager;
  readonly progress: Progress;
}

function publish(ota: TestOtaServer, channel: string, version: Version): void {
  ota.publish({ app: APP as AppId, channel: channel as Channel, version });
}

async function underLoad(run: Run, channels: readonly string[]): Promise<DetectionResult> {
  const over = new AbortController();
  const background = (async () => {
    while (!over.signal.aborted)
      await runLoad(run.stack.folder, {
        url: `${run.stack.ingest.urls["http"]}/v1/reports`,
        seconds: 5,
        connections: 8,
        reportsPerRequest: BACKGROUND_REPORTS_PER_REQUEST,
        requestsPerSecond: BACKGROUND_PER_SECOND / BACKGROUND_REPORTS_PER_REQUEST,
        channel: CHANNEL,
      });
  })();
  await sleep(2_000);
  try {
    return await detectAll(run, channels, "20,000 reports/s");
  } finally {
    over.abort();
    await background;
  }
}

async function detectAll(
  run: Run,
  channels: readonly string[],
  load: DetectionResult["load"],
): Promise<DetectionResult> {
  const classic = watchClassic(run.alertmanager);
  const sentAtMs = new Map<string, number>();
  const lastgoodMs: number[] = [];
  let missed = 0;
  for (const [index, channel] of channels.entries()) {
    run.progress.say(() => `detection, ${load}: release ${index + 1} of ${channels.length}`);
    await sleep(Math.random() * PAUSE_MS_MAX);
    sentAtMs.set(channel, Date.now());
    await sendFailures(run.stack, channel);
    const calledAtMs = await rollbackCallOf(run.ota, channel);
    missed = calledAtMs === undefined ? missed + 1 : 0;
    if (calledAtMs !== undefined) lastgoodMs.push(calledAtMs - sentAtMs.get(channel)!);
    if (missed === MISSED_MAX) break;
  }
  run.progress.say(() => `detection, ${load}: waiting for the classic way`);
  const firedAtMs = await classic.untilAll([...sentAtMs.keys()]);
  const timesOf = (name: ClassicName): number[] =>
    inOrder(
      channels.flatMap((channel) => {
        const atMs = firedAtMs.get(`${name} ${channel}`);
        const sent = sentAtMs.get(channel);
        return atMs === undefined || sent === undefined ? [] : [atMs - sent];
      }),
    );
  return {
    load,
    lastgoodMs: inOrder(lastgoodMs),
    tunedMs: timesOf("tuned"),
    usualMs: timesOf("usual"),
    missed: channels.length - lastgoodMs.length,
  };
}

function inOrder(times: readonly number[]): number[] {
  return times.toSorted((one, other) => one - other);
}

/** All that is needed, in one request: the clock runs from the moment before it is sent. */
async function sendFailures(stack: PipelineStack, channel: string): Promise<void> {
  const reports = Array.from({ length: FAILING_DEVICES }, (_, index) => {
    const device = { app: APP, channel, device: `${channel}-${index}`, version: BAD };
    // A failure that was not announced counts minutes later only (docs/judging.md).
    return [
      { ...device, event: "update_started", at: Date.now() - ANNOUNCED_BEFORE_MS },
      { ...device, event: "install_failed" },
    ];
  }).flat();
  const response = await fetch(`${stack.ingest.urls["http"]}/v1/reports`, {
    method: "POST",
    headers: { Authorization: `Bearer ${INGEST_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify(reports),
    signal: AbortSignal.timeout(ROLLBACK_MS_MAX),
  });
  if (response.status !== 202)
    throw new Error(`ingest answered ${response.status}: ${await response.text()}`);
}

/** When the OTA server got the call; it runs in this process, so that there is one clock. */
async function rollbackCallOf(ota: TestOtaServer, channel: string): Promise<number | undefined> {
  const deadline = Date.now() + ROLLBACK_MS_MAX;
  while (Date.now() < deadline) {
    const call = ota.calls().find((each) => each.call === "rollback" && each.channel === channel);
    if (call !== undefined) return call.receivedAtMs;
    await sleep(LOOK_MS);
  }
  return undefined;
}

/** Notes when the webhook was first called for a channel, by either Prometheus. */
function watchClassic(alertmanager: TestAlertmanager): {
  untilAll(channels: readonly string[]): Promise<ReadonlyMap<string, number>>;
} {
  const firedAtMs = new Map<string, number>();
  let seen = 0;
  const look = (): void => {
    const alerts = alertmanager.notified();
    for (const { labels } of alerts.slice(seen)) {
      const key = `${labels["classic"]} ${labels["channel"]}`;
      if (!firedAtMs.has(key)) firedAtMs.set(key, Date.now());
    }
    seen = alerts.length;
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    async untilAll(channels) {
      const deadline = Date.now() + CLASSIC_MS_MAX;
      const isDone = (): boolean =>
        Object.keys(CLASSIC).every((name) =>
          channels.every((channel) => firedAtMs.has(`${name} ${channel}`)),
        );
      while (!isDone() && Date.now() < deadline) await sleep(LOOK_MS);
      clearInterval(timer);
      return firedAtMs;
    },
  };
}

/** The rule that a team would write: more than 5% of at least 20 devices failed. It does not wait (`for: 0s`). */
function prometheusFiles(
  name: ClassicName,
  { stack, alertmanager }: { stack: PipelineStack; alertmanager: TestAlertmanager },
): { config: string; files: Record<string, string> } {
  const interval = CLASSIC[name];
  const by = "sum by (app, channel, version)";
  const tried = `${by} (ota_devices_total{outcome="attempted"})`;
  const failed = `${by} (ota_devices_total{outcome="failed"})`;
  return {
    config: `
global: { scrape_interval: ${interval}, evaluation_interval: ${interval}, scrape_timeout: ${interval} }
rule_files: [rules.yml]
alerting: { alertmanagers: [{ static_configs: [{ targets: ["${new URL(alertmanager.url).host}"] }] }] }
scrape_configs:
  - job_name: agent
    static_configs: [{ targets: ["${new URL(stack.agent.urls["http"]!).host}"] }]
`,
    files: {
      "rules.yml": `
groups:
  - name: releases
    rules:
      - alert: ReleaseFails
        expr: ${failed} / ${tried} > 0.05 and ${tried} >= 20
        labels: { classic: ${name} }
`,
    },
  };
}

export function renderDetection(results: readonly DetectionResult[]): string {
  const header = [
    "last needed report in to the call",
    "load",
    "releases",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "missed",
  ];
  const rows = results.flatMap(({ load, lastgoodMs, tunedMs, usualMs, missed }) => [
    rowOf("Lastgood: rollback at the OTA server", load, lastgoodMs, String(missed)),
    rowOf("Prometheus every 1 s, Alertmanager, webhook", load, tunedMs, ""),
    rowOf("Prometheus every 15 s, Alertmanager, webhook", load, usualMs, ""),
  ]);
  const histograms = results.map(
    ({ load, lastgoodMs, tunedMs }) =>
      `\`\`\`text\nLastgood, ${load}\n${histogramOf(lastgoodMs)}\nPrometheus every 1 s, ${load}\n${histogramOf(tunedMs)}\`\`\`\n`,
  );
  return [tableOf([header, ...rows]), ...histograms].join("\n");
}

function rowOf(way: string, load: string, timesMs: readonly number[], missed: string): string[] {
  const at = (share: number): string => (timesMs.length === 0 ? "" : whole(quantile(timesMs, share)));
  return [way, load, String(timesMs.length), at(0.5), at(0.9), at(0.99), missed];
}
