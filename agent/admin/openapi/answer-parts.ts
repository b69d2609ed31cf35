// Parts that several answers of the operator API have in common, as schemas: times, counts of devices, hours, the
// numbers of a rule. Names with an id become components of the OpenAPI document.
import { z } from "zod";
import { STRATUM_FIELDS } from "../../health/stratum.ts";
import { OUTCOMES } from "../../health/outcomes.ts";
import type { Outcome } from "../../health/outcomes.ts";
import { RULE_FORMS } from "../../judge/verdict.ts";
import { JUDGED_SIGNALS } from "../../judge/signals.ts";

export const timeSchema = z.iso.datetime().meta({ id: "Time", description: "RFC 3339, UTC." });
export const appSchema = z.string().meta({ examples: ["com.acme.till"] });
export const channelSchema = z.string().meta({ examples: ["production"] });
export const versionSchema = z.string().meta({ examples: ["1.4.2"] });

const count = z.int().min(0);

function shapeOf<T extends z.ZodType>(schema: T): Record<Outcome, T> {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, schema])) as Record<Outcome, T>;
}

export const devicesSchema = z.strictObject(shapeOf(count)).meta({
  id: "Devices",
  description: "Devices by outcome, each once per outcome.",
});
/** Those that are not 0. */
export const someDevicesSchema = z.strictObject(shapeOf(count.optional())).meta({
  id: "SomeDevices",
  description: "Devices by outcome, without those that are 0.",
});

export const hoursSchema = z
  .strictObject({
    active: count,
    crashed: count,
    not_responding: count,
    first_crashed: count,
    first_not_responding: count,
  })
  .meta({ id: "Hours", description: "Hours of use, each device once an hour; and devices by their first." });

const intervalSchema = z
  .strictObject({ low: z.number(), high: z.number().nullable() })
  .meta({ id: "Interval", description: "A 95% confidence sequence; `high` null = no upper end yet." });

export const signalSchema = z
  .strictObject({
    signal: z.enum(JUDGED_SIGNALS),
    rule: z.enum(RULE_FORMS),
    unit: z.enum(["devices", "device_hours"]),
    failures: z.number(),
    trials: z.number(),
    limit: z.number().nullable(),
    allowed: z.strictObject({ ratio: z.number(), points: z.number() }).nullable(),
    baseline: z.strictObject({ failures: z.number(), trials: z.number() }).nullable(),
    evidence_log10: z.number().nullable(),
    threshold_log10: z.number(),
    safety_log10: z.number(),
    rate: intervalSchema.nullable(),
    ratio: intervalSchema.nullable(),
    unmeasured: z.enum(["no_baseline", "usage_not_reported", "sample_ratio_mismatch"]).nullable(),
    segments: z.array(
      z.strictObject({
        segment: z.string(),
        failures: z.number(),
        trials: z.number(),
        evidence_log10: z.number(),
        threshold_log10: z.number(),
        share_of_fleet: z.number(),
      }),
    ),
  })
  .meta({ id: "Signal", description: "The numbers of one statement of the policy's rules." });

export const accusingSchema = z
  .strictObject({
    signal: z.enum(JUDGED_SIGNALS),
    rule: z.enum(RULE_FORMS),
    segment: z.string().nullable(),
    failures: count,
    known_devices: z
      .strictObject({ devices: count, known: count, before: z.iso.date() })
      .nullable()
      .meta({ description: "Null where the policy does not ask who accuses." }),
  })
  .meta({ id: "Accusing", description: "A rule over its threshold; `segment` null = of the whole fleet." });

export const stratumSchema = z
  .union([
    z.enum(["unknown", "other"]),
    z.strictObject(Object.fromEntries(STRATUM_FIELDS.map((field) => [field, z.string().optional()]))),
  ])
  .meta({ id: "Stratum", description: "A kind of device, by what it told of itself." });

export const problemSchema = z
  .looseObject({
    type: z.string(),
    code: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
  })
  .meta({
    id: "Problem",
    description: "RFC 9457; build on `code`, which is never renamed (docs/errors.md).",
  });
