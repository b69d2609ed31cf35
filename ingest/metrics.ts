// Every instrument of ingest in one place. Leaves: the instruments, each label set at zero from the start,
// so that a rate is right from the first report on and an alert can tell "nothing" from "not there".
import { Counter, Gauge, Histogram } from "../runtime/metrics.ts";
import type { Registry } from "../runtime/metrics.ts";
import { REPORTS_PER_REQUEST_MAX } from "./contract/device-report.ts";
import { describeMetric } from "./contract/metric-names.ts";
import type { MetricNameOf } from "./contract/metric-names.ts";
import type { AppId } from "./contract/release-key.ts";
import type { IngestSettings } from "./contract/settings.ts";
import { PROBLEM_CODES, REPORT_CODES, UNAVAILABLE_CODES } from "./problems.ts";
import type { ProblemCode, ReportCode, UnavailableCode } from "./problems.ts";

export type ReportResult = "accepted" | ReportCode | UnavailableCode;
export const REPORT_RESULTS: readonly ReportResult[] = ["accepted", ...REPORT_CODES, ...UNAVAILABLE_CODES];

/** What became of the proof of a report's device; `unsigned_trusted`: the ingest key needs none. */
export const DEVICE_AUTH_RESULTS = [
  "ok",
  "missing",
  "invalid",
  "expired",
  "mismatch",
  "unsigned_trusted",
] as const;
export type DeviceAuthResult = (typeof DEVICE_AUTH_RESULTS)[number];

/** `aborted`: the client was gone before the answer. */
export const STATUS_CLASSES = ["2xx", "4xx", "5xx", "aborted"] as const;

export const REPORTS_ROUTE = "/v1/reports";

/** Systems whose devices report in their own words: `apps.<app>.sources`. */
export const SOURCES = ["capgo", "codepush", "expo", "hot_updater", "otlp", "sentry"] as const;
export type SourceName = (typeof SOURCES)[number];

/** What became of one event of such a system. */
export const SOURCE_RESULTS = [
  /** It became one report, or more. */
  "reported",
  /** It says nothing about how an update went. */
  "no_outcome",
  /** Of an emulator, a development build, another environment: not the fleet. */
  "excluded",
  /** Of which release it speaks can't be told, and guessing would blame a good one. */
  "unattributed",
  /** It names no device, so it can't be counted once per device: the app has to name one. */
  "no_device",
  "unknown_app",
  "unknown_channel",
  /** An action, a status or an item that this version of Lastgood does not know. */
  "unknown_kind",
  /** Not in the form of its own system, or with a name that no release or device can have. */
  "invalid",
] as const;
export type SourceResult = (typeof SOURCE_RESULTS)[number];

/** What became of one request that was to be sent on to the server that it was meant for. */
export const FORWARD_RESULTS = [
  "sent",
  /** More waited than may. */
  "dropped_full",
  /** After the last attempt, or at a stop. */
  "given_up",
  /** The server said that it will never take it. */
  "refused",
] as const;
export type ForwardResult = (typeof FORWARD_RESULTS)[number];

/** Fine where a report's answer usually lies, up to the time that a command to Redis may take. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What became of reports at the spool; `full` and `failed` were answered with "send again later". */
export const SPOOL_RESULTS = ["kept", "drained", "full", "failed"] as const;
export type SpoolResult = (typeof SPOOL_RESULTS)[number];

export interface SpoolMetrics {
  readonly reports: Counter<"result">;
  /** Records, not reports. */
  readonly damaged: Counter;
  /** Rounds of the drain that an error ended. */
  readonly drainErrors: Counter;
  /** Asked with each scrape; until it is called the spool counts as off. */
  watch(read: () => SpoolReading): void;
}

export interface SpoolReading {
  readonly bytes: number;
  /** Epoch milliseconds. */
  readonly oldestAtMs: number | undefined;
  /** Whether Redis does not take reports. */
  readonly isAway: boolean;
}

export interface IngestMetrics {
  /** Reports by what became of them. One refused with 503 counts again when it is sent again. */
  readonly reports: Counter<"result">;
  /** Events of other systems; series only for those that are served. */
  readonly sourceEvents: Counter<"source" | "result">;
  readonly requestsRefused: Counter<"code">;
  readonly clockSkew: Counter<"direction">;
  readonly deviceAuth: Counter<"app" | "result">;
  readonly requestDuration: Histogram<"route" | "method" | "status_class">;
  readonly requestsInFlight: Gauge;
  readonly spool: SpoolMetrics;
}

export interface ServedParts {
  /** Apps whose devices prove who they are; no other has series of `deviceAuth`. */
  readonly deviceAuthApps?: readonly AppId[];
  readonly sources?: readonly SourceName[];
}

export function createIngestMetrics(
  registry: Registry,
  limits: IngestSettings,
  { deviceAuthApps = [], sources = [] }: ServedParts = {},
): IngestMetrics {
  const metrics = { ...instruments(registry), spool: spoolInstruments(registry) };
  for (const result of REPORT_RESULTS) metrics.reports.inc({ result }, 0);
  for (const code of PROBLEM_CODES) metrics.requestsRefused.inc({ code }, 0);
  for (const direction of ["past", "future"]) metrics.clockSkew.inc({ direction }, 0);
  forwardedCounter(registry);
  for (const app of deviceAuthApps)
    for (const result of DEVICE_AUTH_RESULTS) metrics.deviceAuth.inc({ app, result }, 0);
  for (const source of sources)
    for (const result of SOURCE_RESULTS) metrics.sourceEvents.inc({ source, result }, 0);
  for (const status_class of STATUS_CLASSES)
    metrics.requestDuration.zero({ route: REPORTS_ROUTE, method: "POST", status_class });
  for (const result of SPOOL_RESULTS) metrics.spool.reports.inc({ result }, 0);
  exportLimits(registry, limits);
  return metrics;
}

function instruments(registry: Registry): Omit<IngestMetrics, "spool"> {
  const registers = [registry];
  return {
    reports: new Counter({ ...describeMetric("ota_ingest_reports_total"), registers }),
    sourceEvents: new Counter({ ...describeMetric("ota_ingest_source_events_total"), registers }),
    requestsRefused: new Counter({ ...describeMetric("ota_ingest_requests_refused_total"), registers }),
    clockSkew: new Counter({ ...describeMetric("ota_ingest_clock_skew_total"), registers }),
    deviceAuth: new Counter({ ...describeMetric("ota_ingest_device_auth_total"), registers }),
    requestDuration: new Histogram({
      ...describeMetric("http_server_request_duration_seconds"),
      buckets: DURATION_BUCKETS_SECONDS,
      registers,
    }),
    requestsInFlight: new Gauge({ ...describeMetric("ota_ingest_requests_in_flight"), registers }),
  };
}

function spoolInstruments(registry: Registry): SpoolMetrics {
  const registers = [registry];
  let read = (): SpoolReading => ({ bytes: 0, oldestAtMs: undefined, isAway: false });
  const gauge = (
    name: MetricNameOf<"ingest">,
    valueOf: (reading: SpoolReading) => number | undefined,
    aggregator: "min" | "max",
  ): void =>
    void new Gauge({
      ...describeMetric(name),
      registers,
      aggregator,
      collect() {
        const value = valueOf(read());
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  const reports = new Counter({ ...describeMetric("ota_ingest_spool_reports_total"), registers });
  const damaged = new Counter({ ...describeMetric("ota_ingest_spool_damaged_records_total"), registers });
  const drainErrors = new Counter({ ...describeMetric("ota_ingest_spool_drain_errors_total"), registers });
  gauge("ota_ingest_spooling", ({ isAway }) => (isAway ? 1 : 0), "max");
  gauge("ota_ingest_spool_bytes", ({ bytes }) => bytes, "max");
  gauge(
    "ota_ingest_spool_oldest_timestamp_seconds",
    ({ oldestAtMs }) => (oldestAtMs === undefined ? undefined : oldestAtMs / 1_000),
    "min",
  );
  return { reports, damaged, drainErrors, watch: (next) => void (read = next) };
}

/** Series only for sources that send on; every forwarder of a process counts in the same one. */
export function forwardedCounter(registry: Registry): Counter<"source" | "result"> {
  const described = describeMetric("ota_ingest_forwarded_total");
  const made = registry.getSingleMetric(described.name) as Counter<"source" | "result"> | undefined;
  return made ?? new Counter({ ...described, registers: [registry] });
}

function exportLimits(registry: Registry, limits: IngestSettings): void {
  const limit = (name: MetricNameOf<"ingest">, value: number): void =>
    new Gauge({ ...describeMetric(name), registers: [registry], aggregator: "first" }).set(value);
  limit("ota_ingest_stream_entries_max", limits.streamEntriesMax);
  limit("ota_ingest_spool_bytes_max", limits.spool?.bytesMax ?? 0);
  limit("ota_ingest_body_bytes_max", limits.bodyBytesMax);
  limit("ota_ingest_reports_per_request_max", REPORTS_PER_REQUEST_MAX);
}

export function countRefusedRequest(metrics: IngestMetrics, code: ProblemCode): void {
  metrics.requestsRefused.inc({ code });
}
