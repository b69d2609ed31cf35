// Where `lastgood start` runs Prometheus, Alertmanager and Grafana beside Lastgood, as a schema piece of the configuration
// file. Enters: parsed YAML. Leaves: an address each, or off. Only the supervisor reads it.
import { z } from "zod";
import { isLoopback, listenAddress } from "../../runtime/units.ts";
import type { ListenAddress } from "../../runtime/units.ts";

export const OBSERVERS = ["prometheus", "alertmanager", "grafana"] as const;
export type Observer = (typeof OBSERVERS)[number];
export type ObservabilitySettings = Readonly<Record<Observer, ListenAddress | "off">>;

export const OBSERVABILITY_OFF: ObservabilitySettings = {
  prometheus: "off",
  alertmanager: "off",
  grafana: "off",
};

const OPEN =
  "other machines reach this address, and nobody is asked who they are there: use 127.0.0.1, with a proxy that asks in front";
const NO_PORT = "the others have to know this port beforehand: name one, such as 9090";

const place = z
  .string({ error: (issue) => (issue.input === undefined ? undefined : "write host:port, or off") })
  .transform((text, context): ListenAddress | "off" => {
    if (text === "off") return "off";
    const parsed = listenAddress.safeParse(text);
    const message = parsed.success ? problemOf(parsed.data) : parsed.error.issues[0]?.message;
    if (parsed.success && message === undefined) return parsed.data;
    context.addIssue({ code: "custom", message: message ?? "write host:port, or off" });
    return z.NEVER;
  });

function problemOf({ host, port }: ListenAddress): string | undefined {
  if (!isLoopback(host)) return OPEN;
  return port === 0 ? NO_PORT : undefined;
}

const placesSchema = z.strictObject({
  prometheus: place.prefault("127.0.0.1:9090"),
  alertmanager: place.prefault("127.0.0.1:9093"),
  grafana: place.prefault("127.0.0.1:3000"),
});

/** `off` for all, or a place or `off` for each. */
export const observabilitySchema = z
  .preprocess((value) => (value === "off" ? OBSERVABILITY_OFF : value), placesSchema.prefault({}))
  .prefault({});
