// A Policy says when a release counts as failing and what is then done about it. Enters: one entry of
// `policies` of the configuration file. Leaves: a Policy with ratios in 0..1 and milliseconds. Pure.
import { z } from "zod";
import { duration, ratio } from "../../runtime/units.ts";
import type { RuleToJudge } from "../judge/rule-to-judge.ts";
import { rulesSchema } from "./rules.ts";

export interface Guards {
  /** Devices that must have attempted the release before anything is done; at least 1. */
  readonly minDevices: number;
  /** Time after an automatic rollback of a channel in which it gets no other. */
  readonly cooldownMs: number;
  /** Share of the release's devices that the failure must concern, a ratio; 0 = any. */
  readonly shareOfFleetLeast: number;
}

export interface Policy {
  readonly name: string;
  readonly action: "rollback";
  /** `shadow` decides and writes to the journal, and leaves the OTA server alone. */
  readonly mode: "automatic" | "shadow";
  /** Chance that a release no worse than its limits is ever rolled back; ratio, above 0 and at most 0.5. */
  readonly falseRollbackBudget: number;
  /** At least one, no two of one form for the same signal. */
  readonly rules: readonly RuleToJudge[];
  readonly guards: Guards;
}

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
  .transform((guards) => ({ minDevices: guards.min_devices, cooldownMs: guards.cooldown }));

/** `when: { share_of_fleet: 10% }`: a failure that is confined to fewer devices is told, and does not act. */
const whenSchema = z.strictObject({ share_of_fleet: ratio.prefault(0) }).prefault({});

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
    when: whenSchema,
    guards: guardsSchema,
  })
  .transform((policy): Omit<Policy, "name"> => ({
    action: policy.action,
    mode: policy.mode,
    falseRollbackBudget: policy.false_rollback_budget,
    rules: policy.rules,
    guards: { ...policy.guards, shareOfFleetLeast: policy.when.share_of_fleet },
  }));

export const policiesSchema = z
  .record(policyNameSchema, policySchema)
  .transform(
    (byName): ReadonlyMap<string, Policy> =>
      new Map(Object.entries(byName).map(([name, policy]) => [name, { name, ...policy }])),
  );
