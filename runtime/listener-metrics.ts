// What each listener of a process says of itself: how long its certificate is good, whether what the files hold is
// served, and how many connections it had to close at once. In the registry of every process, with no series until a
// listener has something to say.
import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";

export interface ListenerMetrics {
  readonly certificateExpiry: Gauge<"listener">;
  readonly certificateReload: Gauge<"listener">;
  readonly connectionsDropped: Counter<"listener">;
}

const made = new WeakMap<Registry, ListenerMetrics>();

/** The same instruments each time that a registry comes. */
export function listenerMetrics(registry: Registry): ListenerMetrics {
  const known = made.get(registry);
  if (known !== undefined) return known;
  const common = { labelNames: ["listener"] as const, registers: [registry] };
  const metrics: ListenerMetrics = {
    certificateExpiry: new Gauge({
      name: "ota_tls_certificate_expiry_timestamp_seconds",
      help: "When the certificate that a listener serves ends; no series without TLS.",
      aggregator: "min",
      ...common,
    }),
    certificateReload: new Gauge({
      name: "ota_tls_reload_success",
      help: "1 while a listener serves what its certificate files hold; 0 while they are bad and the pair before them is served.",
      aggregator: "min",
      ...common,
    }),
    connectionsDropped: new Counter({
      name: "ota_connections_dropped_total",
      help: "Connections that a listener closed at once, because as many as may be were open.",
      ...common,
    }),
  };
  made.set(registry, metrics);
  return metrics;
}
