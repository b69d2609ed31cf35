// Of the pipeline dashboard what shows the way of a report behind ingest: where it waits, the jobs that count and judge,
// and what goes out to Alertmanager and to OTA servers. Enters: nothing. Leaves: lines of panels.
import { COLOURS, RESULT_COLOURS } from "./colours.ts";
import type { Line } from "./layout.ts";
import { FOLD_LAG_SECONDS } from "./limits.ts";
import { UNITS, coloured, dashed, graph } from "./panels.ts";
import {
  across,
  agreed,
  agreedIncrease,
  agreedRate,
  quantileOf,
  summedBuckets,
  summedRate,
} from "./queries.ts";

const NOT_READ = "no agent answers";
const OF_APPS = { app: '=~"$app"' } as const;

export function waiting(): Line {
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
        limit: [FOLD_LAG_SECONDS.warning, COLOURS.warning],
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

export function jobs(): Line {
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
            expr: agreed("bullmq_job_count", {
              by: ["queue", "state"],
              where: { state: '=~"waiting|active|failed"' },
            }),
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

export function outward(): Line {
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
        noData: "no Alertmanager is configured, or no agent answers",
        colours: RESULT_COLOURS,
        queries: [{ expr: summedRate("ota_page_posts_total", { by: ["result"] }), legend: "{{result}}" }],
      }),
      graph({
        title: "Polls of OTA servers that push nothing",
        question: "Are such servers read? Good is complete; anything else says why devices are not heard.",
        width: 8,
        unit: UNITS.perSecond,
        noData: "no such server is configured, or no agent answers",
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
