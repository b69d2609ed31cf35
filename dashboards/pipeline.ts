// Pipeline: do reports get in, are they counted in time, and what is short? By rate, errors and duration for ingest, by
// utilisation, saturation and errors for what it stands on. Enters: nothing. Leaves: the dashboard.
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { annotationsOf } from "./annotations.ts";
import { COLOURS } from "./colours.ts";
import { arrange } from "./layout.ts";
import type { Line } from "./layout.ts";
import { BACKLOG_RATIO, FOLD_LAG_SECONDS } from "./limits.ts";
import { runbook } from "./links.ts";
import { UNITS, graph, number, text } from "./panels.ts";
import { jobs, outward, waiting } from "./pipeline-causes.ts";
import { onDisk, otherWays, reports, requests } from "./pipeline-ingest.ts";
import { resources } from "./pipeline-resources.ts";
import { across, agreed, recorded, select } from "./queries.ts";
import { addressVariables, appVariable, dataSourceVariable } from "./variables.ts";
import { words } from "./verdicts.ts";

const NOT_READ = "no agent answers";
/** How many times the budget of 30 days is spent as fast as planned when a person is called. */
const BURN_PAGES = 14.4;

/** Shares of 30 days that may go wrong; those of alerting/slo.ts, and a test compares. */
export const SLO_BUDGETS = {
  "reports-accepted": 0.001,
  "reports-fresh": 0.005,
  "ingest-fast": 0.01,
} as const;

export function pipelineDashboard(): Dashboard {
  return arrange({
    name: "pipeline",
    description: "Do reports get in, are they counted in time, and what is short?",
    from: "now-3h",
    variables: [dataSourceVariable(), appVariable("several"), ...addressVariables()],
    annotations: annotationsOf({ app: '=~"$app"', channel: '=~".*"' }),
    sections: [
      {
        title: "State: does the pipeline keep its promises?",
        lines: [{ height: 4, panels: [...processes(), ...stuck()] }, promises()],
      },
      { title: "Symptom: do reports get in?", lines: [requests(), reports()] },
      { title: "Symptom: do devices reach us in other ways, and as themselves?", lines: [otherWays()] },
      { title: "Cause: do reports wait on ingest's disk, and will TLS hold?", lines: [onDisk()] },
      { title: "Cause: where do reports wait?", lines: [waiting(), jobs()] },
      { title: "Cause: do pages and polls go out?", lines: [outward()] },
      ...resources(),
    ],
  });
}

function processes() {
  return [
    number({
      title: "Ingest up",
      question:
        "How many ingest processes answer? Good is all that you run; with none, no report is taken in.",
      width: 3,
      unit: UNITS.count,
      noData: "none answers",
      expr: across("count", "ota_build_info", { where: { process: '="ingest"' } }),
      base: COLOURS.bad,
      steps: [[1, COLOURS.good]],
    }),
    number({
      title: "Agents up",
      question:
        "How many agents answer? Good is all that you run; with none, nothing is judged and nothing rolled back.",
      width: 3,
      unit: UNITS.count,
      noData: "none answers",
      expr: across("count", "ota_build_info", { where: { process: '="agent"' } }),
      base: COLOURS.bad,
      steps: [[1, COLOURS.good]],
    }),
    number({
      title: "Redis",
      question: "Can agents read Redis? Good is up; without it ingest turns reports away.",
      width: 3,
      unit: UNITS.text,
      noData: NOT_READ,
      expr: agreed("ota_redis_up"),
      mappings: words({ 0: { text: "DOWN", colour: COLOURS.bad }, 1: { text: "up", colour: COLOURS.good } }),
    }),
    number({
      title: "Oldest uncounted",
      question: "How old is the oldest report that is not counted yet? Good is a few seconds.",
      width: 3,
      unit: UNITS.seconds,
      noData: NOT_READ,
      expr: agreed("ota_fold_lag_seconds"),
      steps: [
        [FOLD_LAG_SECONDS.warning, COLOURS.warning],
        [FOLD_LAG_SECONDS.critical, COLOURS.bad],
      ],
    }),
  ];
}

function stuck() {
  return [
    number({
      title: "Backlog",
      question: "How full is the fullest stream? At 100% ingest turns reports away; good is near 0.",
      width: 3,
      unit: UNITS.ratio,
      noData: NOT_READ,
      expr: `${agreed("ota_stream_entries")} / ${across("max", "ota_ingest_stream_entries_max")}`,
      steps: [
        [BACKLOG_RATIO.warning, COLOURS.warning],
        [BACKLOG_RATIO.critical, COLOURS.bad],
      ],
    }),
    number({
      title: "Dead letters",
      question:
        "How many reports could not be counted and wait for a person? Good is 0; `lastgood dead-letters` shows them.",
      width: 3,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: agreed("ota_dead_letters_kept"),
      steps: [[1, COLOURS.warning]],
    }),
    number({
      title: "Failed jobs",
      question: "How many jobs gave up for good? Good is 0; the log names each.",
      width: 3,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: `sum(${agreed("bullmq_job_count", { by: ["queue"], where: { state: '="failed"' } })})`,
      steps: [[1, COLOURS.warning]],
    }),
    number({
      title: "Configuration",
      question:
        "Is what the configuration file says in force? Good is yes; otherwise `lastgood check-config` names the mistakes.",
      width: 3,
      unit: UNITS.text,
      noData: NOT_READ,
      expr: `min(${select("ota_config_reload_success")})`,
      mappings: words({
        0: { text: "REFUSED", colour: COLOURS.bad },
        1: { text: "in force", colour: COLOURS.good },
      }),
    }),
  ];
}

function promises(): Line {
  const burn = (window: "1h" | "3d") =>
    Object.entries(SLO_BUDGETS).map(([slo, budget]) => ({
      expr: `${recorded(`slo:sli_error:ratio_rate${window}`, { slo: `="${slo}"` })} / ${budget}`,
      legend: `${slo}, ${window}`,
    }));
  return {
    height: 8,
    panels: [
      graph({
        title: "How fast budgets are spent, last hour",
        question:
          "Does the pipeline fail more than it may? 1 spends the budget of 30 days in 30 days; at 14.4 a person is called. Good is below 1.",
        width: 8,
        unit: UNITS.times,
        noData: "no rules loaded, or no reports",
        queries: burn("1h"),
        limit: [BURN_PAGES, COLOURS.bad],
      }),
      graph({
        title: "How fast budgets are spent, last 3 days",
        question:
          "Is a budget going slowly but surely? Good is below 1; above it somebody must look in working hours.",
        width: 8,
        unit: UNITS.times,
        noData: "no rules loaded, or no reports",
        queries: burn("3d"),
        limit: [1, COLOURS.warning],
      }),
      text({
        title: "What to do",
        question: "What do I do when something here is not green?",
        width: 8,
        markdown: `
- **The oldest uncounted report gets older**: is an agent up, and Redis fast? [Runbook](${runbook("OtaFoldLagHigh")})
- **The backlog grows**: at 100% devices are asked to send again later. [Runbook](${runbook("OtaStreamBacklogHigh")})
- **Reports are refused**: \`backlog_full\` and \`redis_unavailable\` are ours, the others are what devices send. [Runbook](${runbook("OtaReportsRefused")})
- **Redis has no memory left**: it must not evict. [Runbook](${runbook("OtaRedisMemoryHigh")})
- **Dead letters**: re-drive or discard them. [Runbook](${runbook("OtaDeadLettersWaiting")})
- **Reports wait on disk**: Redis takes none; when the spool is full devices are turned away. [Runbook](${runbook("OtaSpoolFilling")})
- **Nothing answers**: [ingest](${runbook("OtaIngestDown")}), [agent](${runbook("OtaAgentDown")}), [Redis](${runbook("OtaRedisDown")})

All alerts: [runbooks](${runbook("README")}).`,
      }),
    ],
  };
}
