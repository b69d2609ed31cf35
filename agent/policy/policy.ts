// A Policy says when a release counts as failing and what is then done about it. Enters: one entry of
// `policies` of the configuration file. Leaves: a Policy with ratios in 0..1 and milliseconds. Pure.
import { z } from "zod";
import { duration, ratio } from "../../runtime/units.ts";
import { SILENCE_DEADLINE_MS_DEFAULT } from "../health/counting-rules.ts";
import { JUDGED_SIGNALS } from "../judge/signals.ts";
import type { JudgedSignal } from "../judge/signals.ts";

/** "The true rate of this signal is above the limit." */
export interface LimitRule {
  readonly signal: Exclude<JudgedSignal, "silence">;
  /** Ratio, from LIMIT_LEAST to LIMIT_MAX. */
  readonly limit: number;
}

/** The same for devices that announce the update and then say nothing until the deadline. */
export interface SilenceRule {
  readonly signal: "silence";
  /** Ratio, from LIMIT_LEAST to LIMIT_MAX. */
  readonly limit: number;
  /** From SILENCE_DEADLINE_MS_LEAST to SILENCE_DEADLINE_MS_MAX. */
  readonly deadlineMs: number;
}

export type Rule = LimitRule | SilenceRule;

export interface Guards {
  /** Devices that must have attempted the release before anything is done; at least 1. */
  readonly minDevices: number;
  /** Time after an automatic rollback of a channel in which it gets no other. */
  readonly cooldownMs: number;
}

export interface Policy {
  readonly name: string;
  readonly action: "rollback";
  /** `shadow` decides and writes to the journal, and leaves the OTA server alone. */
  readonly mode: "automatic" | "shadow";
  /** Chance that a release no worse than its limits is ever rolled back; ratio, above 0 and at most 0.5. */
  readonly falseRollbackBudget: number;
  /** At least one, no two with the same signal. */
  readonly rules: readonly Rule[];
  readonly guards: Guards;
}

/** Bounds of a rule's limit, ratios. */
export const LIMIT_LEAST = 0.0001;
export const LIMIT_MAX = 0.99;
/** Below it, devices that are only installing would count as silent; above it, nobody would still act on it. */
export const SILENCE_DEADLINE_MS_LEAST = 5 * 60_000;
export const SILENCE_DEADLINE_MS_MAX = 7 * 24 * 3_600_000;
export const FALSE_ROLLBACK_BUDGET_MAX = 0.5;
export const MIN_DEVICES_LIMIT = 1_000_000_000;
export const COOLDOWN_MS_MAX = 30 * 24 * 3_600_000;
/** Longest policy name, in characters. */
export const POLICY_NAME_CHARS_MAX = 64;

export const policyNameSchema = z
  .string()
  .min(1)
  .max(POLICY_NAME_CHARS_MAX)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, {
    error: "use letters, digits, dot, dash and underscore, and start with a letter or a digit",
  });

const ruleSchema = z
  .strictObject({
    signal: z.enum(JUDGED_SIGNALS),
    limit: ratio.refine((limit) => limit >= LIMIT_LEAST && limit <= LIMIT_MAX, {
      error: "must be from 0.01% to 99%: further out the rule would always or never speak",
    }),
    deadline: duration.optional(),
  })
  .superRefine(({ signal, deadline }, context) => {
    const refuse = (message: string): void =>
      context.addIssue({ code: "custom", path: ["deadline"], message });
    if (deadline === undefined) return;
    if (signal !== "silence") refuse("only a rule for silence has a deadline: take it out here");
    else if (deadline < SILENCE_DEADLINE_MS_LEAST || deadline > SILENCE_DEADLINE_MS_MAX)
      refuse("must be from 5m to 7d");
  })
  .transform(({ signal, limit, deadline = SILENCE_DEADLINE_MS_DEFAULT }): Rule =>
    signal === "silence" ? { signal, limit, deadlineMs: deadline } : { signal, limit },
  );

const rulesSchema = z
  .array(ruleSchema)
  .min(1, { error: "name at least one rule, such as { signal: update_failure, limit: 5% }" })
  .superRefine((rules, context) => {
    rules.forEach(({ signal }, index) => {
      if (rules.findIndex((rule) => rule.signal === signal) < index)
        context.addIssue({
          code: "custom",
          path: [index, "signal"],
          message: "a rule above has this signal already: keep one of the two",
        });
    });
  });

const minDevices = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .refine((count) => Number.isInteger(count) && count >= 1 && count <= MIN_DEVICES_LIMIT, {
    error: `must be a whole number from 1 to ${MIN_DEVICES_LIMIT}`,
  });

const guardsSchema = z
  .strictObject({
    min_devices: minDevices.prefault(5),
    cooldown: duration
      .refine((ms) => ms <= COOLDOWN_MS_MAX, { error: "must be at most 30d" })
      .prefault("60m"),
  })
  .prefault({})
  .transform((guards): Guards => ({ minDevices: guards.min_devices, cooldownMs: guards.cooldown }));

/** The policy as the file has it; its name is the key it stands under ({@link policiesSchema}). */
export const policySchema = z
  .strictObject({
    action: z.literal("rollback").prefault("rollback"),
    mode: z.enum(["automatic", "shadow"]).prefault("automatic"),
    false_rollback_budget: ratio
      .refine((budget) => budget > 0 && budget <= FALSE_ROLLBACK_BUDGET_MAX, {
        error: "must be above 0% and at most 50%",
      })
      .prefault("1%"),
    rules: rulesSchema,
    guards: guardsSchema,
  })
  .transform((policy): Omit<Policy, "name"> => ({
    action: policy.action,
    mode: policy.mode,
    falseRollbackBudget: policy.false_rollback_budget,
    rules: policy.rules,
    guards: policy.guards,
  }));

export const policiesSchema = z
  .record(policyNameSchema, policySchema)
  .transform(
    (byName): ReadonlyMap<string, Policy> =>
      new Map(Object.entries(byName).map(([name, policy]) => [name, { name, ...policy }])),
  );
