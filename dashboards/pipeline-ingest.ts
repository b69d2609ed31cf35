// Of the pipeline dashboard what shows ingest: rate, errors and duration of requests, and what becomes of the reports in
// them. Enters: nothing. Leaves: lines of panels.
import { COLOURS, RESULT_COLOURS } from "./colours.ts";
import type { Line } from "./layout.ts";
import { SPOOL_RATIO } from "./limits.ts";
import { UNITS, coloured, graph } from "./panels.ts";
import { quantileOf, select, summedBuckets, summedCountRate, summedRate } from "./queries.ts";

const NO_INGEST = "ingest answers no scrape";
const OF_APPS = { app: '=~"$app"' } as const;
/** Seconds within which a request is answered fast enough for a phone that is about to sleep. */
const REQUEST_SECONDS_GOOD = 0.25;

export function requests(): Line {
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

export function reports(): Line {
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
        queries: [{ expr: summedRate("ota_ingest_reports_total", { by: ["result"] }), legend: "{{result}}" }],
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

export function onDisk(): Line {
  const bytes = select("ota_ingest_spool_bytes");
  const room = select("ota_ingest_spool_bytes_max");
  return {
    height: 7,
    panels: [
      graph({
        title: "Room taken by reports that wait on disk",
        question:
          "How full is each ingest's spool? Good is 0%: Redis takes everything. At 100% devices are turned away.",
        width: 8,
        unit: UNITS.ratio,
        noData: "the spool is off, or no ingest answers",
        queries: [{ expr: `${bytes} / (${room} > 0)`, legend: "{{instance}}" }],
        limit: [SPOOL_RATIO.critical, COLOURS.bad],
      }),
      graph({
        title: "Reports at the spool",
        question:
          "What becomes of reports that Redis did not take? Good is nothing, or all that was kept drained since; full and failed are lost to us.",
        width: 8,
        unit: UNITS.perSecond,
        noData: NO_INGEST,
        queries: [
          { expr: summedRate("ota_ingest_spool_reports_total", { by: ["result"] }), legend: "{{result}}" },
          { expr: summedRate("ota_ingest_spool_damaged_records_total"), legend: "damaged records" },
        ],
        overrides: [coloured("damaged records", COLOURS.bad)],
      }),
      graph({
        title: "Time until certificates end",
        question:
          "How long is the certificate that each listener serves still good? Good is weeks; below 14 days nobody renewed it, and a line not loaded means that what its files hold is bad.",
        width: 8,
        unit: UNITS.seconds,
        noData: "no listener has TLS, or no process answers",
        queries: [
          {
            expr: `${select("ota_tls_certificate_expiry_timestamp_seconds")} - time()`,
            legend: "{{instance}} {{listener}}",
          },
          {
            expr: `${select("ota_tls_reload_success")} == 0`,
            legend: "not loaded: {{instance}} {{listener}}",
          },
        ],
      }),
    ],
  };
}

export function otherWays(): Line {
  return {
    height: 7,
    panels: [
      graph({
        title: "Events of other systems",
        question: "Do devices that report in another system's words get in? Good is accepted alone.",
        width: 8,
        unit: UNITS.perSecond,
        noData: "no source is configured, or no ingest answers",
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
        noData: "no app asks for proof, or no ingest answers",
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
