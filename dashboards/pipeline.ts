// Pipeline: do reports get in, are they counted in time, and what is short? By rate, errors and duration for ingest, by
// utilisation, saturation and errors for what it stands on. Enters: nothing. Leaves: the dashboard.
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { annotationsOf } from "./annotations.ts";
import { COLOURS, RESULT_COLOURS } from "./colours.ts";
import { arrange } from "./layout.ts";
import type { Line } from "./layout.ts";
import { runbook } from "./links.ts";
import { UNITS, coloured, dashed, graph, number, text } from "./panels.ts";
import { resources } from "./pipeline-resources.ts";
import {
  across,
  agreed,
  agreedIncrease,
  agreedRate,
  quantileOf,
  select,
  summedBuckets,
  summedCountRate,
  summedRate,
} from "./queries.ts";
import { addressVariables, appVariable, dataSourceVariable } from "./variables.ts";
import { words } from "./verdicts.ts";

const NOT_READ = "no agent answers";
const NO_INGEST = "ingest answers no scrape";
const OF_APPS = { app: '=~"$app"' } as const;

/** Seconds; the alert on fold lag has the same. */
const FOLD_LAG_SECONDS = { slow: 30, late: 60 } as const;
/** Seconds within which a request is answered fast enough for a phone that is about to sleep. */
const REQUEST_SECONDS_GOOD = 0.25;
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
    annotations: annotationsOf({ app: OF_APPS.app, channel: '=~".*"' }),
    sections: [
      {
        title: "State: does the pipeline keep its promises?",
        lines: [{ height: 4, panels: numbers() }, promises()],
      },
      { title: "Symptom: do reports get in?", lines: [requests(), reports()] },
      { title: "Symptom: do devices reach us in other ways, and as themselves?", lines: [otherWays()] },
      { title: "Cause: where do reports wait?", lines: [waiting(), jobs()] },
      { title: "Cause: do pages and polls go out?", lines: [outward()] },
      ...resources(),
    ],
  });
}

function numbers() {
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
        [FOLD_LAG_SECONDS.slow, COLOURS.warning],
        [FOLD_LAG_SECONDS.late, COLOURS.bad],
      ],
    }),
    number({
      title: "Backlog",
      question: "How full is the fullest stream? At 100% ingest turns reports away; good is near 0.",
      width: 3,
      unit: UNITS.ratio,
      noData: NOT_READ,
      expr: `${agreed("ota_stream_entries")} / ${across("max", "ota_ingest_stream_entries_max")}`,
      steps: [
        [0.5, COLOURS.warning],
        [0.8, COLOURS.bad],
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
  const burn = (window: "1h" | "6h" | "3d") =>
    Object.entries(SLO_BUDGETS).map(([slo, budget]) => ({
      expr: `slo:sli_error:ratio_rate${window}{slo="${slo}"} / ${budget}`,
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
- **The oldest uncounted report gets older**: is an agent up, and Redis fast? Then more agents, or more shards.
- **The backlog grows**: as above; at 100% devices are asked to send again later, and nothing is lost until they give up.
- **Reports are refused**: the code says why (docs/errors.md). \`backlog_full\` and \`redis_unavailable\` are ours, the others are what devices send.
- **Redis has no memory left**: it must not evict. Give it more, or shorten the retention.
- **Dead letters**: \`lastgood dead-letters\` shows them; re-drive or discard them.

What each alert means: [runbooks](${runbook("README")}).`,
      }),
    ],
  };
}

function requests(): Line {
  const failed = summedCountRate("http_server_request_duration_seconds", {
    where: { status_class: '="5xx"' },
  });
  const all = summedCountRate("http_server_request_duration_seconds");
  return {
    height: 8,
    panels: [
      graph({
        title: "Requests",
        question: "How many requests does ingest answer, and how? Good is the usual rate of 2xx.",
        width: 8,
        unit: UNITS.requestsPerSecond,
        noData: NO_INGEST,
        form: "stacked",
        colours: RESULT_COLOURS,
        queries: [
          {
            expr: summedCountRate("http_server_request_duration_seconds", { by: ["status_class"] }),
            legend: "{{status_class}}",
          },
        ],
      }),
      graph({
        title: "Requests that fail by our fault",
        question: "Which share of requests fails with 5xx? Good is 0; devices send those again.",
        width: 8,
        unit: UNITS.ratio,
        noData: "no requests",
        queries: [{ expr: `${failed} / (${all} > 0)`, legend: "5xx" }],
        colours: { "5xx": COLOURS.bad },
      }),
      graph({
        title: "Time to an answer",
        question: "How long do devices wait for an answer? Good is 99 of 100 under a quarter of a second.",
        width: 8,
        unit: UNITS.seconds,
        noData: "no requests",
        queries: [0.5, 0.95, 0.99].map((ratio) => ({
          expr: quantileOf(ratio, summedBuckets("http_server_request_duration_seconds")),
          legend: `${ratio * 100} of 100`,
        })),
        limit: [REQUEST_SECONDS_GOOD, COLOURS.warning],
      }),
    ],
  };
}

function reports(): Line {
  return {
    height: 8,
    panels: [
      graph({
        title: "Reports by what became of them",
        question: "Are reports accepted, and if not, why? Good is nothing but accepted.",
        width: 8,
        unit: UNITS.perSecond,
        noData: NO_INGEST,
        form: "stacked",
        colours: RESULT_COLOURS,
        queries: [
          { expr: `${summedRate("ota_ingest_reports_total", { by: ["result"] })} > 0`, legend: "{{result}}" },
        ],
      }),
      graph({
        title: "Requests refused as a whole",
        question:
          "Which requests are turned away before a report is read, and why? Good is none; docs/errors.md explains the codes.",
        width: 8,
        unit: UNITS.perSecond,
        noData: NO_INGEST,
        form: "stacked",
        queries: [
          { expr: summedRate("ota_ingest_requests_refused_total", { by: ["code"] }), legend: "{{code}}" },
        ],
      }),
      graph({
        title: "Reports by event",
        question:
          "What do devices report most? Of the releases most is reported about, and straight from ingest: it is seen while agents are dead.",
        width: 8,
        unit: UNITS.perSecond,
        noData: "no report yet",
        form: "stacked",
        queries: [
          {
            expr: summedRate("ota_ingest_release_reports_total", { by: ["event"], where: OF_APPS }),
            legend: "{{event}}",
          },
        ],
      }),
    ],
  };
}

function otherWays(): Line {
  return {
    height: 7,
    panels: [
      graph({
        title: "Events of other systems",
        question: "Do devices that report in another system's words get in? Good is accepted alone.",
        width: 8,
        unit: UNITS.perSecond,
        noData: "no source is configured",
        queries: [
          {
            expr: summedRate("ota_ingest_source_events_total", { by: ["source", "result"] }),
            legend: "{{source}} {{result}}",
          },
          {
            expr: summedRate("ota_ingest_forwarded_total", { by: ["source", "result"] }),
            legend: "sent on: {{source}} {{result}}",
          },
        ],
      }),
      graph({
        title: "Proof of devices",
        question:
          "Can devices prove who they are? Good is ok alone; anything else is forged, or devices have lost their tokens.",
        width: 8,
        unit: UNITS.perSecond,
        noData: "no app asks for proof",
        queries: [
          {
            expr: summedRate("ota_ingest_device_auth_total", { by: ["app", "result"], where: OF_APPS }),
            legend: "{{app}} {{result}}",
          },
        ],
        overrides: [coloured("/ ok$/", COLOURS.good), coloured("/ (invalid|mismatch)$/", COLOURS.bad)],
      }),
      graph({
        title: "Clocks that are wrong",
        question:
          "How many reports have a time that cannot be? Good is few; many mean a broken clock, or a queue of days.",
        width: 8,
        unit: UNITS.perSecond,
        noData: NO_INGEST,
        queries: [
          {
            expr: summedRate("ota_ingest_clock_skew_total", { by: ["direction"] }),
            legend: "too far in the {{direction}}",
          },
        ],
      }),
    ],
  };
}

function waiting(): Line {
  return {
    height: 8,
    panels: [
      graph({
        title: "Backlog and its limit",
        question:
          "How many entries wait in each stream? At the dashed limit ingest turns reports away; good is near 0.",
        width: 8,
        unit: UNITS.count,
        noData: NOT_READ,
        queries: [
          { expr: agreed("ota_stream_entries", { by: ["shard"] }), legend: "shard {{shard}}" },
          { expr: across("max", "ota_ingest_stream_entries_max"), legend: "limit" },
        ],
        overrides: [dashed("limit", COLOURS.limit)],
      }),
      graph({
        title: "Age of the oldest uncounted report",
        question:
          "Is counting behind, and on which shard? Good is a few seconds; on one shard alone, look for a busy release.",
        width: 8,
        unit: UNITS.seconds,
        noData: NOT_READ,
        queries: [{ expr: agreed("ota_fold_lag_seconds", { by: ["shard"] }), legend: "shard {{shard}}" }],
        limit: [FOLD_LAG_SECONDS.late, COLOURS.bad],
      }),
      graph({
        title: "Taken in and counted",
        question: "Does counting keep up with what comes in? Good is both lines as one.",
        width: 8,
        unit: UNITS.perSecond,
        noData: NOT_READ,
        queries: [
          {
            expr: summedRate("ota_ingest_reports_total", { where: { result: '="accepted"' } }),
            legend: "taken in",
          },
          { expr: agreedRate("ota_folded_reports_total"), legend: "counted" },
          { expr: summedRate("ota_folds_lost_total"), legend: "batches another agent had" },
        ],
        colours: {
          "taken in": COLOURS.candidate,
          counted: COLOURS.good,
          "batches another agent had": COLOURS.unknown,
        },
      }),
    ],
  };
}

function jobs(): Line {
  return {
    height: 8,
    panels: [
      graph({
        title: "Jobs",
        question:
          "Do jobs pile up? Good is a handful; waiting that only grows means that agents are too few or stuck.",
        width: 8,
        unit: UNITS.count,
        noData: NOT_READ,
        queries: [
          {
            expr: `${agreed("bullmq_job_count", { by: ["queue", "state"], where: { state: '=~"waiting|active|failed"' } })} > 0`,
            legend: "{{queue}} {{state}}",
          },
        ],
        overrides: [coloured("/ failed$/", COLOURS.bad)],
      }),
      graph({
        title: "Time to judge a channel",
        question: "How long does one look at a channel take? Good is well below a second.",
        width: 8,
        unit: UNITS.seconds,
        noData: "nothing was judged in this time",
        queries: [0.5, 0.95].map((ratio) => ({
          expr: quantileOf(ratio, summedBuckets("ota_evaluation_duration_seconds")),
          legend: `${ratio * 100} of 100`,
        })),
        limit: [1, COLOURS.warning],
      }),
      graph({
        title: "Dead letters put aside",
        question:
          "When did reports come that could not be counted, and were any lost? Good is none; those that gave way to newer ones are lost.",
        width: 8,
        unit: UNITS.count,
        noData: NOT_READ,
        form: "bars",
        queries: [
          { expr: agreedIncrease("ota_dead_letters_total", { over: "interval" }), legend: "put aside" },
          { expr: agreedIncrease("ota_dead_letters_dropped_total", { over: "interval" }), legend: "lost" },
        ],
        colours: { "put aside": COLOURS.warning, lost: COLOURS.bad },
      }),
    ],
  };
}

function outward(): Line {
  return {
    height: 8,
    panels: [
      graph({
        title: "Pages standing",
        question: "Which pages stand? Good is none that is critical.",
        width: 8,
        unit: UNITS.count,
        noData: NOT_READ,
        form: "steps",
        colours: RESULT_COLOURS,
        queries: [{ expr: agreed("ota_pages_standing", { by: ["severity"] }), legend: "{{severity}}" }],
      }),
      graph({
        title: "Posts to Alertmanager",
        question: "Does Alertmanager take our pages? Good is taken alone; otherwise nobody is called.",
        width: 8,
        unit: UNITS.perSecond,
        noData: "no Alertmanager is configured",
        colours: RESULT_COLOURS,
        queries: [{ expr: summedRate("ota_page_posts_total", { by: ["result"] }), legend: "{{result}}" }],
      }),
      graph({
        title: "Polls of OTA servers that push nothing",
        question: "Are such servers read? Good is complete; anything else says why devices are not heard.",
        width: 8,
        unit: UNITS.perSecond,
        noData: "no such server is configured",
        queries: [
          {
            expr: summedRate("ota_polls_total", { by: ["app", "result"], where: OF_APPS }),
            legend: "{{app}}: {{result}}",
          },
          {
            expr: summedRate("ota_poll_reports_total", { by: ["app", "result"], where: OF_APPS }),
            legend: "{{app}}: reports {{result}}",
          },
        ],
      }),
    ],
  };
}
