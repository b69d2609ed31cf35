// Alerts on what stands between devices and the streams: the spool, where reports wait on disk while Redis does not take
// them, and the certificates of TLS. What waits on disk is in no other measure of how late reports are counted.
import { alert } from "../alert.ts";
import type { AlertRule, Suppressor } from "../alert.ts";
import { metric } from "../promql.ts";

const REDIS_DOWN: Suppressor = { alertname: "OtaRedisDown", postedBy: "rules", equal: [] };
/** Certificates of 90 days are renewed 30 days before their end: by then that has failed for two weeks. */
const CERTIFICATE_SECONDS_MIN = 14 * 86_400;
/** The last day on which a person can still do it in office hours has begun. */
const CERTIFICATE_SECONDS_LAST = 86_400;

const CERTIFICATE = {
  name: "OtaTlsCertificateEnding",
  for: "15m",
  identifiedBy: ["instance"],
  dashboard: "pipeline",
  summary: "A certificate ends and was not renewed",
  description: `The certificate that {{ $labels.instance }} serves ends in {{ $value | humanizeDuration }}; then devices, Prometheus and
    people are turned away. First: renew it and put it where tls.cert_file says; it is served within a minute.`,
} as const;

const endsWithin = (seconds: number): string =>
  `min by (instance) (${metric.ota_tls_certificate_expiry_timestamp_seconds}) - time() < ${seconds}`;

export const EDGE_ALERTS: readonly AlertRule[] = [
  alert({
    name: "OtaSpooling",
    severity: "critical",
    for: "5m",
    expr: `max by (instance) (max_over_time(${metric.ota_ingest_spooling}[1m])) == 1`,
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "Reports wait on disk, because Redis does not take them",
    description: `{{ $labels.instance }} has kept reports on its disk for over 5 minutes: nothing is lost, and a release that turns bad
      is not seen. First: its /readyz says why Redis does not take them (away, full, a network between).`,
    suppressedBy: [REDIS_DOWN],
  }),
  alert({
    name: "OtaSpoolNearlyFull",
    severity: "critical",
    for: "1m",
    expr: `
      max by (instance) (${metric.ota_ingest_spool_bytes})
      /
      (max by (instance) (${metric.ota_ingest_spool_bytes_max}) > 0)
      > 0.8`,
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "The disk's share for reports is nearly full",
    description: `The spool of {{ $labels.instance }} is {{ $value | humanizePercentage }} full; at 100% devices are turned away. First:
      bring Redis back; if that takes longer, raise ingest.spool.max_bytes while the disk has room, and restart ingest.`,
  }),
  alert({
    name: "OtaSpoolDamaged",
    severity: "warning",
    for: "1m",
    expr: `
      sum by (instance) (increase(${metric.ota_ingest_spool_damaged_records_total}[30m])) > 0
      or
      sum by (instance) (${metric.ota_ingest_spool_damaged_records_total} > 0)
      unless
      sum by (instance) (${metric.ota_ingest_spool_damaged_records_total} offset 30m)`,
    keepFiringFor: "10m",
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "Reports that waited on disk could not be read back",
    description: `About {{ $value | humanize }} records of the spool of {{ $labels.instance }} were damaged in 30 minutes, and the reports in
      them are lost. First: the disk (dmesg, SMART); ingest's log names the files.`,
  }),
  alert({ ...CERTIFICATE, severity: "critical", expr: endsWithin(CERTIFICATE_SECONDS_LAST) }),
  alert({
    ...CERTIFICATE,
    severity: "warning",
    expr: endsWithin(CERTIFICATE_SECONDS_MIN),
    suppressedBy: [
      { alertname: CERTIFICATE.name, postedBy: "rules", severity: "critical", equal: ["instance"] },
    ],
  }),
  alert({
    name: "OtaTlsNotReloaded",
    severity: "warning",
    for: "10m",
    expr: `min by (instance) (max_over_time(${metric.ota_tls_reload_success}[1m])) == 0`,
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "New certificate files are bad, and the old pair is served",
    description: `{{ $labels.instance }} could not take its certificate files for over 10 minutes and goes on with the pair before them; a
      restart would fail. First: its log says what is wrong with which file.`,
  }),
];
