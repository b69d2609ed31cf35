// Every metric of the agent in one table: name, help and labels. Instruments are made from it, the
// reference in docs/metrics.md is checked against it, and dashboards and alerts refer to it. Ratios are
// 0..1, times are seconds, evidence is log10.
export interface MetricDescription {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

export const AGENT_METRICS = {
  ota_devices_total: {
    type: "counter",
    help: "Devices that reported an outcome of a version, each device once; from the counts in Redis.",
    labels: ["app", "channel", "version", "outcome"],
  },
  ota_polls_total: {
    type: "counter",
    help: "Polls of an OTA server that pushes nothing, by how they ended: complete, more to read, or why not.",
    labels: ["app", "result"],
  },
  ota_poll_reports_total: {
    type: "counter",
    help: "Reports that were read from such a server: kept, or with a name that no release or device can have.",
    labels: ["app", "result"],
  },
  ota_poll_complete_timestamp_seconds: {
    type: "gauge",
    help: "When such a server was last read to its end by this agent.",
    labels: ["app"],
  },
  ota_silent_devices: {
    type: "gauge",
    help: "Devices that began to take the version up, and said nothing more until the deadline.",
    labels: ["app", "channel", "version"],
  },
  ota_running_devices: {
    type: "gauge",
    help: "Devices whose newest word about what they run names the version.",
    labels: ["app", "channel", "version"],
  },
  ota_active_device_hours_total: {
    type: "counter",
    help: "Hours in which devices used the version, each device once an hour; from the counts in Redis.",
    labels: ["app", "channel", "version"],
  },
  ota_crashed_device_hours_total: {
    type: "counter",
    help: "Hours in which devices crashed on the version, each device once an hour; from the counts in Redis.",
    labels: ["app", "channel", "version"],
  },
  ota_not_responding_device_hours_total: {
    type: "counter",
    help: "Hours in which devices did not respond on the version, each device once an hour; from the counts in Redis.",
    labels: ["app", "channel", "version"],
  },
  ota_release_devices: {
    type: "gauge",
    help: "Devices that tried to take the version up.",
    labels: ["app", "channel", "version"],
  },
  ota_release_failure_ratio: {
    type: "gauge",
    help: "Failed devices by devices that tried (of crash and not_responding: by hours of use), unresolved ones counted as not failed.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_failure_ratio_low: {
    type: "gauge",
    help: "Lower end of the 95% confidence sequence of the failure ratio: right at every look at once.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_failure_ratio_high: {
    type: "gauge",
    help: "Its upper end, unresolved attempts counted as failed.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_baseline_failure_ratio: {
    type: "gauge",
    help: "The same ratio of the baseline: other live versions, at the same times and on the same kinds of device.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_times_baseline_low: {
    type: "gauge",
    help: "Lower end of the 95% confidence sequence of how many times as often as its baseline the release fails.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_times_baseline_high: {
    type: "gauge",
    help: "Its upper end; no sample while there is none.",
    labels: ["app", "channel", "version", "signal"],
  },
  ota_release_evidence: {
    type: "gauge",
    help: "log10 of the e-value against the release keeping the rule.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_evidence_threshold: {
    type: "gauge",
    help: "log10 of the e-value at which the release counts as failing.",
    labels: ["app", "channel", "version", "signal", "rule"],
  },
  ota_release_verdict: {
    type: "gauge",
    help: "1 for the verdict that holds, 0 for the others.",
    labels: ["app", "channel", "version", "verdict"],
  },
  ota_release_verdict_reason: {
    type: "gauge",
    help: "1 for the reason of the verdict that holds.",
    labels: ["app", "channel", "version", "reason"],
  },
  ota_release_condemned: {
    type: "gauge",
    help: "1 when the version was condemned on the channel.",
    labels: ["app", "channel", "version"],
  },
  ota_release_last_report_timestamp_seconds: {
    type: "gauge",
    help: "When ingest took in the newest report about the version.",
    labels: ["app", "channel", "version"],
  },
  ota_versions_folded: {
    type: "gauge",
    help: 'Versions that stand in version="other" because their channel has more than are shown.',
    labels: ["app", "channel"],
  },
  ota_rollback_decisions_total: {
    type: "counter",
    help: "Rollbacks decided, and times that a guard began to hold one back (action=hold).",
    labels: ["action", "reason"],
  },
  ota_rollbacks_total: { type: "counter", help: "Decided rollbacks by how they ended.", labels: ["outcome"] },
  ota_rollbacks_held: { type: "gauge", help: "Rollbacks that a guard holds back now.", labels: ["reason"] },
  ota_rollbacks_pending: {
    type: "gauge",
    help: "Decided rollbacks that the OTA server has not answered yet.",
    labels: [],
  },
  ota_rollback_duration_seconds: {
    type: "histogram",
    help: "From the newest failing report in the evidence being taken in to the OTA server's answer, read back.",
    labels: [],
  },
  ota_last_rollback_timestamp_seconds: {
    type: "gauge",
    help: "When the channel was last put back on an earlier version.",
    labels: ["app", "channel"],
  },
  ota_rollback_follow_ups: {
    type: "gauge",
    help: "Rollbacks that went through, by whether devices left the version: watching, effective, not_effective.",
    labels: ["kind"],
  },
  ota_approvals_waiting: { type: "gauge", help: "Decisions that wait for a person's yes.", labels: [] },
  ota_agent_frozen: {
    type: "gauge",
    help: "1 while the kill switch keeps Lastgood from acting by itself anywhere.",
    labels: [],
  },
  ota_channel_frozen: {
    type: "gauge",
    help: "1 while a freeze keeps Lastgood from acting by itself on the channel.",
    labels: ["app", "channel"],
  },
  ota_redis_up: {
    type: "gauge",
    help: "1 when Redis answered this scrape; 0 means that every metric read from it is missing.",
    labels: [],
  },
  ota_listening_since_timestamp_seconds: {
    type: "gauge",
    help: "Since when ingest has listened without a gap and without turning reports away; no sample while it does not, when nobody is counted silent.",
    labels: [],
  },
  ota_fold_lag_seconds: {
    type: "gauge",
    help: "Age of the oldest report entry that is not folded yet.",
    labels: ["shard"],
  },
  ota_stream_entries: { type: "gauge", help: "Report entries that wait to be folded.", labels: ["shard"] },
  ota_folded_reports_total: {
    type: "counter",
    help: "Reports folded into counts; from the counts in Redis.",
    labels: [],
  },
  ota_dead_letters_total: {
    type: "counter",
    help: "Entries and reports put aside because they cannot be folded.",
    labels: [],
  },
  ota_dead_letters_kept: {
    type: "gauge",
    help: "Dead letters that wait for somebody to re-drive or discard them.",
    labels: [],
  },
  ota_dead_letters_dropped_total: {
    type: "counter",
    help: "Dead letters that gave way to newer ones and are lost.",
    labels: [],
  },
  ota_folds_lost_total: { type: "counter", help: "Batches that another agent had folded first.", labels: [] },
  ota_evaluation_duration_seconds: { type: "histogram", help: "Time to evaluate one channel.", labels: [] },
  ota_config_reload_success: {
    type: "gauge",
    help: "1 when the configuration file is right; 0 while it has mistakes or can't be read, and the settings before it go on.",
    labels: [],
  },
  ota_config_reload_timestamp_seconds: {
    type: "gauge",
    help: "When a right configuration file was last read.",
    labels: [],
  },
  ota_pages_standing: {
    type: "gauge",
    help: "Pages that stand now, told to Alertmanager or waiting to be; 0 where no Alertmanager is configured.",
    labels: ["severity"],
  },
  ota_page_posts_total: {
    type: "counter",
    help: "Requests to Alertmanager with pages, by what became of them: taken, refused, unavailable.",
    labels: ["result"],
  },
  bullmq_job_count: { type: "gauge", help: "Jobs by queue and state.", labels: ["queue", "state"] },
} as const satisfies Record<string, MetricDescription>;

export type AgentMetricName = keyof typeof AGENT_METRICS;
