// `sources.otlp`, as a schema piece: apps with an OpenTelemetry SDK, whose log exporter leads here. Enters: parsed YAML.
// Leaves: which channel they are on, and in which attributes the release and the device stand.
import { z } from "zod";
import { environmentFields, refuseTwoChannels, toEnvironmentChannels } from "./environment-channels.ts";

const attributeSchema = z.string().min(1).max(128);

/** There is no convention for the release of an OTA system; `service.version` is the native one. */
export const RELEASE_ATTRIBUTE_DEFAULT = "app.ota.release";
export const DEVICE_ATTRIBUTE_DEFAULT = "app.installation.id";
/** Events that say that somebody uses the app (OpenTelemetry's semantic conventions). */
export const ACTIVE_EVENTS_DEFAULT = [
  "session.start",
  "session.end",
  "device.app.lifecycle",
  "app.lifecycle",
];

export const otlpSourceSchema = z
  .strictObject({
    ...environmentFields,
    service_name: z.string().min(1).max(128).optional(),
    release_attribute: attributeSchema.prefault(RELEASE_ATTRIBUTE_DEFAULT),
    device_attribute: attributeSchema.prefault(DEVICE_ATTRIBUTE_DEFAULT),
    active_events: z.array(z.string().min(1).max(128)).prefault(ACTIVE_EVENTS_DEFAULT),
  })
  .superRefine(refuseTwoChannels)
  .transform((source) => ({
    channels: toEnvironmentChannels(source),
    /** `service.name` of this app, where the key is for several; undefined = the name that the app has here. */
    serviceName: source.service_name,
    releaseAttribute: source.release_attribute,
    deviceAttribute: source.device_attribute,
    activeEvents: new Set(source.active_events) as ReadonlySet<string>,
  }));

export type OtlpSource = z.infer<typeof otlpSourceSchema>;
