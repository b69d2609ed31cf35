// Every metric of both processes in one table: who exports it, its type, help and labels. Instruments are made from it,
// docs/metrics.md is generated from it, and dashboards and alerts can name no metric that is not in it. Names are a
// promise to users. Ratios are 0 to 1, times are seconds, evidence is log10. Pure.
export interface MetricDescription {
  /** Whose `/metrics` has it. */
  readonly process: "agent" | "ingest" | "both";
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

export const METRICS = {
  ota_devices_total: {
    process: "agent",
    type: "counter",
    help: "Devices that reported an outcome of a version, each device once; from the counts in Redis.",
    labels: ["app", "channel", "version", "outcome"],
  },
  ota_polls_total: {
    process: "agent",
    type: "counter",
    help: "Polls of an OTA server that pushes nothing, by how they ended: complete, more to read, or why not.",
    labels: ["app", "result"],
  },
  ota_poll_reports_total: {
    process: "agent",
    type: "counter",
    help: "Reports that were read from such a server: kept, or with a name that no release or device can have.",
    labels: ["app", "result"],
  },
  ota_poll_complete_timestamp_seconds: {
    process: "agent",
    type: "gauge",
    help: "When such a server was last read to its end by this agent.",
    labels: ["app"],
  },
  ota_silent_devices: {
    process: "agent",
    type: "gauge",
    help: "Devices that began to take the version up, and said nothing more until the deadline.",
    labels: ["app", "channel", "version"],
  },
  ota_running_devices: {
    process: "agent",
    type: "gauge",
    help: "Devices whose newest word about what they run names the version.",
    labels: ["app", "channel", "version"],
  },
  ota_active_device_hours_total: {
    process: "agent",
    type: "counter",
    help: "Hours in which devices used the version, each device once an hour; from the counts in Redis.",
    labels: ["app", "channel", "version"],
  },
  ota_crashed_device_hours_total: {
    process: "agent",
    type: "counter",
    help: "Hours in which devices crashed on the version, each device once an hour; from the counts in Redis.",
    labels: ["app", "channel", "version"],
  },
  ota_not_responding_device_hours_total: {
    process: "agent",
    type: "counter",
    help: "Hours in which devices did not respond on the version, each device once an hour; from the counts in Redis.",
    labels: ["app", "channel", "version"],
  },
  ota_release_devices: {
    process: "agent",
    type: "gauge",
    help: "Devices that tried to take the version up.",
    labels: ["app", "channel", "version"],
  },
  ota_release_failure_ratio: {
    process: "agent",
    type: "gauge",
    help: "Failed devices by devices that tried (of crash and not_responding: by hours of use), unresolved ones counted as not failed.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_failure_ratio_low: {
    process: "agent",
    type: "gauge",
    help: "Lower end of the 95% confidence sequence of the failure ratio: right at every look at once.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_failure_ratio_high: {
    process: "agent",
    type: "gauge",
    help: "Its upper end, unresolved attempts counted as failed.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_baseline_failure_ratio: {
    process: "agent",
    type: "gauge",
    help: "The same ratio of the baseline: other live versions, at the same times and on the same kinds of device.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_times_baseline_low: {
    process: "agent",
    type: "gauge",
    help: "Lower end of the 95% confidence sequence of how many times as often as its baseline the release fails.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_times_baseline_high: {
    process: "agent",
    type: "gauge",
    help: "Its upper end; no sample while there is none.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_evidence: {
    process: "agent",
    type: "gauge",
    help: "log10 of the e-value against the release keeping the rule.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_evidence_threshold: {
    process: "agent",
    type: "gauge",
    help: "log10 of the e-value at which the release counts as failing.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_verdict: {
    process: "agent",
    type: "gauge",
    help: "1 for the verdict that holds, 0 for the others.",
    labels: ["app", "channel", "version", "verdict"],
  },
  ota_release_verdict_reason: {
    process: "agent",
    type: "gauge",
    help: "1 for the reason of the verdict that holds.",
    labels: ["app", "channel", "version", "reason"],
  },
  ota_release_condemned: {
    process: "agent",
    type: "gauge",
    help: "1 when the version was condemned on the channel.",
    labels: ["app", "channel", "version"],
  },
  ota_release_last_report_timestamp_seconds: {
    process: "agent",
    type: "gauge",
    help: "When ingest took in the newest report about the version.",
    labels: ["app", "channel", "version"],
  },
  ota_release_segment_failure_ratio: {
    process: "agent",
    type: "gauge",
    help: "Failed by tried on one kind of device (model=till-9) that stands out; the strongest 5 of each rule at most.",
    labels: ["app", "channel", "version", "signal", "rule", "segment"],
  },
  ota_release_segment_evidence: {
    process: "agent",
    type: "gauge",
    help: "log10 of the e-value against the release keeping the rule on that kind of device.",
    labels: ["app", "channel", "version", "signal", "rule", "segment"],
  },
  ota_release_segment_evidence_threshold: {
    process: "agent",
    type: "gauge",
    help: "log10 of the e-value at which the release counts as failing on that kind of device.",
    labels: ["app", "channel", "version", "signal", "rule", "segment"],
  },
  ota_policy_limit_ratio: {
    process: "agent",
    type: "gauge",
    help: "Setting: the failure ratio that the channel's policy allows; no sample where its rule only compares.",
    labels: ["app", "channel", "signal"],
  },
  ota_channel_offered_info: {
    process: "agent",
    type: "gauge",
    help: "1 for the version that the OTA server said last it offers on the channel.",
    labels: ["app", "channel", "version"],
  },
  ota_channel_evaluated_timestamp_seconds: {
    process: "agent",
    type: "gauge",
    help: "When a release of the channel was last judged.",
    labels: ["app", "channel"],
  },
  ota_last_decision_timestamp_seconds: {
    process: "agent",
    type: "gauge",
    help: "When the channel's newest decision was made, and what it was; outcome=none until the OTA server has answered.",
    labels: ["app", "channel", "version", "target_version", "action", "mode", "reason", "outcome"],
  },
  ota_versions_folded: {
    process: "agent",
    type: "gauge",
    help: 'Versions that stand in version="other" because their channel has more than are shown.',
    labels: ["app", "channel"],
  },
  ota_rollback_decisions_total: {
    process: "agent",
    type: "counter",
    help: "Rollbacks decided, and times that a guard began to hold one back (action=hold).",
    labels: ["action", "reason"],
  },
  ota_rollbacks_total: {
    process: "agent",
    type: "counter",
    help: "Decided rollbacks by how they ended.",
    labels: ["outcome"],
  },
  ota_rollbacks_held: {
    process: "agent",
    type: "gauge",
    help: "Rollbacks that a guard holds back now.",
    labels: ["reason"],
  },
  ota_rollbacks_pending: {
    process: "agent",
    type: "gauge",
    help: "Decided rollbacks that the OTA server has not answered yet.",
    labels: [],
  },
  ota_rollback_duration_seconds: {
    process: "agent",
    type: "histogram",
    help: "From the newest failing report in the evidence being taken in to the OTA server's answer, read back.",
    labels: [],
  },
  ota_last_rollback_timestamp_seconds: {
    process: "agent",
    type: "gauge",
    help: "When the channel was last put back on an earlier version.",
    labels: ["app", "channel"],
  },
  ota_rollback_follow_ups: {
    process: "agent",
    type: "gauge",
    help: "Rollbacks that went through, by whether devices left the version: watching, effective, not_effective.",
    labels: ["kind"],
  },
  ota_approvals_waiting: {
    process: "agent",
    type: "gauge",
    help: "Decisions that wait for a person's yes.",
    labels: [],
  },
  ota_agent_frozen: {
    process: "agent",
    type: "gauge",
    help: "1 while the kill switch keeps Lastgood from acting by itself anywhere.",
    labels: [],
  },
  ota_channel_frozen: {
    process: "agent",
    type: "gauge",
    help: "1 while a freeze keeps Lastgood from acting by itself on the channel.",
    labels: ["app", "channel"],
  },
  ota_redis_up: {
    process: "agent",
    type: "gauge",
    help: "1 when Redis answered this scrape; 0 means that every metric read from it is missing.",
    labels: [],
  },
  ota_redis_memory_bytes: {
    process: "agent",
    type: "gauge",
    help: "Memory that the Redis server uses (used_memory).",
    labels: ["server"],
  },
  ota_redis_memory_max_bytes: {
    process: "agent",
    type: "gauge",
    help: "Memory that the Redis server may use (maxmemory); no sample where it has no limit.",
    labels: ["server"],
  },
  ota_redis_clients: {
    process: "agent",
    type: "gauge",
    help: "Connections that the Redis server has (connected_clients).",
    labels: ["server"],
  },
  ota_redis_commands_total: {
    process: "agent",
    type: "counter",
    help: "Commands that the Redis server has run since its start (total_commands_processed).",
    labels: ["server"],
  },
  ota_redis_persistence_ok: {
    process: "agent",
    type: "gauge",
    help: "1 while the Redis server writes what it acknowledged to disk; 0 when its append-only file is off or its last write failed.",
    labels: ["server"],
  },
  ota_redis_ping_seconds: {
    process: "agent",
    type: "gauge",
    help: "Time that the Redis server took to answer PING with this scrape.",
    labels: ["server"],
  },
  ota_listening_since_timestamp_seconds: {
    process: "agent",
    type: "gauge",
    help: "Since when ingest has listened without a gap and without turning reports away; no sample while it does not, when nobody is counted silent.",
    labels: [],
  },
  ota_fold_lag_seconds: {
    process: "agent",
    type: "gauge",
    help: "Age of the oldest report entry that is not folded yet.",
    labels: ["shard"],
  },
  ota_stream_entries: {
    process: "agent",
    type: "gauge",
    help: "Report entries that wait to be folded.",
    labels: ["shard"],
  },
  ota_folded_reports_total: {
    process: "agent",
    type: "counter",
    help: "Reports folded into counts; from the counts in Redis.",
    labels: [],
  },
  ota_dead_letters_total: {
    process: "agent",
    type: "counter",
    help: "Entries and reports put aside because they cannot be folded.",
    labels: [],
  },
  ota_dead_letters_kept: {
    process: "agent",
    type: "gauge",
    help: "Dead letters that wait for somebody to re-drive or discard them.",
    labels: [],
  },
  ota_dead_letters_dropped_total: {
    process: "agent",
    type: "counter",
    help: "Dead letters that gave way to newer ones and are lost.",
    labels: [],
  },
  ota_folds_lost_total: {
    process: "agent",
    type: "counter",
    help: "Batches that another agent had folded first.",
    labels: [],
  },
  ota_evaluation_duration_seconds: {
    process: "agent",
    type: "histogram",
    help: "Time to evaluate one channel.",
    labels: [],
  },
  ota_config_reload_success: {
    process: "agent",
    type: "gauge",
    help: "1 when the configuration file is right; 0 while it has mistakes or can't be read, and the settings before it go on.",
    labels: [],
  },
  ota_config_reload_timestamp_seconds: {
    process: "agent",
    type: "gauge",
    help: "When a right configuration file was last read.",
    labels: [],
  },
  ota_pages_standing: {
    process: "agent",
    type: "gauge",
    help: "Pages that stand now, told to Alertmanager or waiting to be; 0 where no Alertmanager is configured.",
    labels: ["severity"],
  },
  ota_page_posts_total: {
    process: "agent",
    type: "counter",
    help: "Requests to Alertmanager with pages, by what became of them: taken, refused, unavailable.",
    labels: ["result"],
  },
  bullmq_job_count: {
    process: "agent",
    type: "gauge",
    help: "Jobs by queue and state.",
    labels: ["queue", "state"],
  },
  ota_ingest_reports_total: {
    process: "ingest",
    type: "counter",
    help: "Device reports by what became of them: accepted, or the code they were refused with.",
    labels: ["result"],
  },
  ota_ingest_release_reports_total: {
    process: "ingest",
    type: "counter",
    help: "Accepted reports of the releases that are reported about most, by event: reports, not devices, and not read from Redis, so that it speaks while the agent is dead.",
    labels: ["app", "channel", "version", "event"],
  },
  ota_ingest_source_events_total: {
    process: "ingest",
    type: "counter",
    help: "Events that came in the words of another system (apps.<app>.sources), by what became of them.",
    labels: ["source", "result"],
  },
  ota_ingest_requests_refused_total: {
    process: "ingest",
    type: "counter",
    help: "Requests that were refused as a whole, by problem code.",
    labels: ["code"],
  },
  ota_ingest_clock_skew_total: {
    process: "ingest",
    type: "counter",
    help: "Accepted reports whose time was too far in the past or future and was clamped.",
    labels: ["direction"],
  },
  ota_ingest_device_auth_total: {
    process: "ingest",
    type: "counter",
    help: "Reports of apps with device_auth by what became of the proof of their device, in mode observe too.",
    labels: ["app", "result"],
  },
  http_server_request_duration_seconds: {
    process: "ingest",
    type: "histogram",
    help: "Time from a request's headers to its answer.",
    labels: ["route", "method", "status_class"],
  },
  ota_ingest_requests_in_flight: {
    process: "ingest",
    type: "gauge",
    help: "Requests being handled now.",
    labels: [],
  },
  ota_ingest_forwarded_total: {
    process: "ingest",
    type: "counter",
    help: "Requests to be sent on to the server that they were meant for, by what became of them.",
    labels: ["source", "result"],
  },
  ota_ingest_spool_reports_total: {
    process: "ingest",
    type: "counter",
    help: "Reports that Redis did not take, by what became of them at the spool: kept on disk, drained into Redis since, or turned away because it was full or the disk failed.",
    labels: ["result"],
  },
  ota_ingest_spool_damaged_records_total: {
    process: "ingest",
    type: "counter",
    help: "Records of the spool that could not be read back: the reports in them are lost.",
    labels: [],
  },
  ota_ingest_spooling: {
    process: "ingest",
    type: "gauge",
    help: "1 while Redis does not take reports, so that they go to the spool; always 0 where it is off.",
    labels: [],
  },
  ota_ingest_spool_bytes: {
    process: "ingest",
    type: "gauge",
    help: "Bytes on disk of reports that wait for Redis.",
    labels: [],
  },
  ota_ingest_spool_oldest_timestamp_seconds: {
    process: "ingest",
    type: "gauge",
    help: "About when the oldest report that waits in the spool was taken in; no sample while none waits.",
    labels: [],
  },
  ota_ingest_stream_entries_max: {
    process: "ingest",
    type: "gauge",
    help: "Setting: entries that may wait in a shard's stream before reports are refused.",
    labels: [],
  },
  ota_ingest_spool_bytes_max: {
    process: "ingest",
    type: "gauge",
    help: "Setting: bytes that the spool may take on disk; 0 = it is off.",
    labels: [],
  },
  ota_ingest_body_bytes_max: {
    process: "ingest",
    type: "gauge",
    help: "Setting: bytes of a request body, inflated.",
    labels: [],
  },
  ota_ingest_reports_per_request_max: {
    process: "ingest",
    type: "gauge",
    help: "Limit: reports that one request may carry.",
    labels: [],
  },
  ota_build_info: {
    process: "both",
    type: "gauge",
    help: "Version of Lastgood and of Node; the value is always 1.",
    labels: ["process", "version", "node"],
  },
} as const satisfies Record<string, MetricDescription>;

export type MetricName = keyof typeof METRICS;
export type MetricNameOf<P extends MetricDescription["process"]> = {
  [N in MetricName]: (typeof METRICS)[N]["process"] extends P ? N : never;
}[MetricName];
export type LabelOf<N extends MetricName> = (typeof METRICS)[N]["labels"][number];

/** What an instrument of that name is made of, but for its registry. */
export function describeMetric<N extends MetricName>(
  name: N,
): { readonly name: N; readonly help: string; readonly labelNames: LabelOf<N>[] } {
  const { help, labels } = METRICS[name];
  return { name, help, labelNames: [...labels] as LabelOf<N>[] };
}
