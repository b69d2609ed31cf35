// A Policy says when a release counts as failing and what is then done about it. Enters: one entry of
// `policies` of the configuration file. Leaves: a Policy with ratios in 0..1 and milliseconds. Pure.
import { z } from "zod";
import { duration, ratio } from "../../runtime/units.ts";
import type { RuleToJudge } from "../judge/rule-to-judge.ts";
import { POLICY_ACTIONS, POLICY_MODES } from "./decision.ts";
import type { PolicyAction, PolicyMode } from "./decision.ts";
import { FREEZE_WINDOWS_MAX, freezeWindowSchema } from "./freeze-window.ts";
import type { FreezeWindow } from "./freeze-window.ts";
import { rulesSchema } from "./rules.ts";

/** Automatic rollbacks in a sliding time, at most. */
export interface RollbackBudget {
  /** Of one channel in 24 hours; undefined = any number. */
  readonly perChannelPerDay: number | undefined;
  /** Of all channels together in an hour; undefined = any number. */
  readonly overallPerHour: number | undefined;
}

export interface Guards {
  /** Devices that must have attempted the release before anything is done; at least 1. */
  readonly minDevices: number;
  /** Time after an automatic rollback of a channel in which it gets no other. */
  readonly cooldownMs: number;
  /** Share of the release's devices that the failure must concern, a ratio; 0 = any. */
  readonly shareOfFleetLeast: number;
  /** Share of the accusing devices that must have been heard of before the release appeared, a ratio; 0 = any. */
  readonly knownDevicesLeast: number;
  readonly maxRollbacks: RollbackBudget;
  /** Times in which nothing is done by itself. */
  readonly freezeWindows: readonly FreezeWindow[];
}

/**
 * Where a rollback goes: `previous` = the newest earlier release with nothing against it; `proven` = of those the newest
 * that is proven healthy.
 */
export const TARGET_RULES = ["previous", "proven"] as const;
export type TargetRule = (typeof TARGET_RULES)[number];

export interface Policy {
  readonly name: string;
  readonly action: PolicyAction;
  readonly mode: PolicyMode;
  readonly target: TargetRule;
  /** How long a decision waits for a person's yes, in milliseconds. */
  readonly approvalMs: number;
  /** How long devices get to leave a version after its rollback before a person is called, in milliseconds. */
  readonly followUpMs: number;
  /** Chance that a release no worse than its limits is ever rolled back; ratio, above 0 and at most 0.5. */
  readonly falseRollbackBudget: number;
  /** At least one, no two of one form for the same signal. */
  readonly rules: readonly RuleToJudge[];
  readonly guards: Guards;
}

export const FALSE_ROLLBACK_BUDGET_MAX = 0.5;
export const MIN_DEVICES_LIMIT = 1_000_000_000;
export const COOLDOWN_MS_MAX = 30 * 24 * 3_600_000;
export const APPROVAL_MS_LEAST = 60_000;
export const APPROVAL_MS_MAX = 7 * 24 * 3_600_000;
export const FOLLOW_UP_MS_LEAST = 60_000;
export const FOLLOW_UP_MS_MAX = 14 * 24 * 3_600_000;
export const ROLLBACKS_LIMIT = 1_000;
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

const rollbackCount = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .refine((count) => Number.isInteger(count) && count >= 1 && count <= ROLLBACKS_LIMIT, {
    error: `must be a whole number from 1 to ${ROLLBACKS_LIMIT}`,
  });

const maxRollbacksSchema = z
  .strictObject({
    per_channel_per_day: rollbackCount.optional(),
    overall_per_hour: rollbackCount.optional(),
  })
  .prefault({})
  .transform((counts): RollbackBudget => ({
    perChannelPerDay: counts.per_channel_per_day,
    overallPerHour: counts.overall_per_hour,
  }));

const guardsSchema = z
  .strictObject({
    min_devices: minDevices.prefault(5),
    cooldown: duration
      .refine((ms) => ms <= COOLDOWN_MS_MAX, { error: "must be at most 30d" })
      .prefault("60m"),
    known_devices: ratio.prefault(0),
    max_rollbacks: maxRollbacksSchema,
    freeze_windows: z
      .array(freezeWindowSchema)
      .max(FREEZE_WINDOWS_MAX, { error: `name at most ${FREEZE_WINDOWS_MAX}` })
      .prefault([]),
  })
  .prefault({})
  .transform((guards) => ({
    minDevices: guards.min_devices,
    cooldownMs: guards.cooldown,
    knownDevicesLeast: guards.known_devices,
    maxRollbacks: guards.max_rollbacks,
    freezeWindows: guards.freeze_windows,
  }));

/** `when: { share_of_fleet: 10% }`: a failure that is confined to fewer devices is told, and does not act. */
const whenSchema = z.strictObject({ share_of_fleet: ratio.prefault(0) }).prefault({});

function durationWithin({ least, most, text }: { least: number; most: number; text: string }) {
  return duration.refine((ms) => ms >= least && ms <= most, { error: `must be from ${text}` });
}

/** The policy as the file has it; its name is the key it stands under ({@link policiesSchema}). */
export const policySchema = z
  .strictObject({
    action: z.enum(POLICY_ACTIONS).prefault("rollback"),
    mode: z.enum(POLICY_MODES).prefault("automatic"),
    target: z.enum(TARGET_RULES).prefault("previous"),
    approval: durationWithin({ least: APPROVAL_MS_LEAST, most: APPROVAL_MS_MAX, text: "1m to 7d" }).prefault(
      "4h",
    ),
    follow_up: durationWithin({
      least: FOLLOW_UP_MS_LEAST,
      most: FOLLOW_UP_MS_MAX,
      text: "1m to 14d",
    }).prefault("24h"),
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
    target: policy.target,
    approvalMs: policy.approval,
    followUpMs: policy.follow_up,
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
