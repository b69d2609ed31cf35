// The rules of a policy as people write them, and the statements that the judge is asked about. Enters: `rules` of a
// policy in the configuration file. Leaves: one statement for each limit and each comparison. Pure.
//
//   { signal: update_failure, limit: 5% }                        more than 5% of the devices that tried failed
//   { signal: crash, worse_than_baseline: 2x }                   crashes more than twice as often, by hours of use
//   { signal: update_failure, worse_than_baseline: +1pp }        fails more than one percentage point more often
//   { signal: silence, limit: 2%, deadline: 6h }                 bricked: began, and said nothing more
//   { signal: update_failure, limit: 5%, test: plain, window: 60m, for: 10m, min_devices: 50 }
import { z } from "zod";
import { duration, ratio } from "../../runtime/units.ts";
import { SILENCE_DEADLINE_MS_DEFAULT } from "../health/counting-rules.ts";
import type { RuleToJudge } from "../judge/rule-to-judge.ts";
import { JUDGED_SIGNALS } from "../judge/signals.ts";
import type { Allowance } from "../judge/statistics/ratio-test.ts";

/** Bounds of a rule's limit, ratios. */
export const LIMIT_LEAST = 0.0001;
export const LIMIT_MAX = 0.99;
/** How many times as often as the baseline may be allowed. */
export const TIMES_LEAST = 1;
export const TIMES_MAX = 100;
/** Percentage points above the baseline that may be allowed, as a ratio. */
export const POINTS_LEAST = 0.0001;
export const POINTS_MAX = 0.5;
/** Below it, devices that are only installing would count as silent; above it, nobody would still act on it. */
export const SILENCE_DEADLINE_MS_LEAST = 5 * 60_000;
export const SILENCE_DEADLINE_MS_MAX = 7 * 24 * 3_600_000;
/** How much slower than the baseline's devices those of a release may come back, where a rule for silence says nothing. */
export const SLOWER_RETURN_DEFAULT: Allowance = { ratio: 1.5, points: 0 };
/** Windows of plain rules: a slot of the counts at least, and as long as those of 5 minutes are kept. */
export const PLAIN_WINDOW_MS_LEAST = 5 * 60_000;
export const PLAIN_WINDOW_MS_MAX = 48 * 3_600_000;
export const PLAIN_FOR_MS_MAX = 24 * 3_600_000;
export const PLAIN_MIN_DEVICES_MAX = 1_000_000_000;

const NOT_AN_ALLOWANCE =
  "not something to be allowed beside the baseline: write how many times as often (1x to 100x, such as 1.5x) or how many percentage points more (0.01pp to 50pp, such as +1pp)";

/** `1.5x`, `+1pp`, or `off`. */
const allowanceSchema = z
  .string({ error: (issue) => (issue.input === undefined ? undefined : NOT_AN_ALLOWANCE) })
  .transform((text, context): Allowance | "off" => {
    if (text === "off") return "off";
    const match = /^(?:(\d+(?:\.\d+)?)\s*x|\+\s*(\d+(?:\.\d+)?)\s*pp)$/.exec(text.trim());
    const times = Number(match?.[1] ?? Number.NaN);
    const points = Number(match?.[2] ?? Number.NaN) / 100;
    if (times >= TIMES_LEAST && times <= TIMES_MAX) return { ratio: times, points: 0 };
    if (points >= POINTS_LEAST && points <= POINTS_MAX) return { ratio: 1, points };
    context.addIssue({ code: "custom", message: NOT_AN_ALLOWANCE });
    return z.NEVER;
  });

const wholeDevices = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .refine((count) => Number.isInteger(count) && count >= 1 && count <= PLAIN_MIN_DEVICES_MAX, {
    error: `must be a whole number from 1 to ${PLAIN_MIN_DEVICES_MAX}`,
  });

const ruleFields = z.strictObject({
  signal: z.enum(JUDGED_SIGNALS),
  limit: ratio
    .refine((limit) => limit >= LIMIT_LEAST && limit <= LIMIT_MAX, {
      error: "must be from 0.01% to 99%: further out the rule would always or never speak",
    })
    .optional(),
  worse_than_baseline: allowanceSchema.optional(),
  deadline: duration.optional(),
  test: z.enum(["always_valid", "plain"]).prefault("always_valid"),
  window: duration.optional(),
  for: duration.optional(),
  min_devices: wholeDevices.optional(),
});
type RuleFields = z.infer<typeof ruleFields>;

const PLAIN_FIELDS = ["window", "for", "min_devices"] as const;

const ruleSchema = ruleFields.superRefine(refuseContradictions).transform(toStatements);

type Refuse = (field: keyof RuleFields, message: string) => void;

function refuseContradictions(rule: RuleFields, context: z.RefinementCtx): void {
  const refuse: Refuse = (field, message) => context.addIssue({ code: "custom", path: [field], message });
  if (rule.limit === undefined && rule.worse_than_baseline === undefined)
    refuse(
      "signal",
      "the rule says nothing about it: give it a limit (5%), or worse_than_baseline (1.5x or +1pp)",
    );
  refuseDeadline(rule, refuse);
  if (rule.test === "plain") refusePlain(rule, refuse);
  else
    for (const field of PLAIN_FIELDS)
      if (rule[field] !== undefined) refuse(field, "only a rule with `test: plain` has it: take it out here");
  refuseAllowance(rule, refuse);
}

function refuseAllowance({ signal, limit, worse_than_baseline: allowed }: RuleFields, refuse: Refuse): void {
  if (allowed === "off" && (signal !== "silence" || limit === undefined))
    refuse(
      "worse_than_baseline",
      "only a rule for silence with a limit compares unless told `off`: take it out here",
    );
  else if (signal === "silence" && allowed !== undefined && allowed !== "off" && allowed.points > 0)
    refuse("worse_than_baseline", "silence is compared by how much slower devices come back: write 1.5x");
}

function refuseDeadline({ signal, deadline }: RuleFields, refuse: Refuse): void {
  if (deadline === undefined) return;
  if (signal !== "silence") refuse("deadline", "only a rule for silence has a deadline: take it out here");
  else if (deadline < SILENCE_DEADLINE_MS_LEAST || deadline > SILENCE_DEADLINE_MS_MAX)
    refuse("deadline", "must be from 5m to 7d");
}

function refusePlain(rule: RuleFields, refuse: Refuse): void {
  if (rule.limit === undefined) refuse("test", "a plain rule needs a limit");
  if (rule.worse_than_baseline !== undefined)
    refuse("worse_than_baseline", "a plain rule only has a limit: take one of the two out");
  if (rule.signal === "silence") refuse("test", "silence has no plain test: its deadline is one already");
  const { window: windowMs = PLAIN_WINDOW_MS_LEAST, for: forMs = 0 } = rule;
  if (windowMs < PLAIN_WINDOW_MS_LEAST || windowMs > PLAIN_WINDOW_MS_MAX)
    refuse("window", "must be from 5m to 48h");
  if (forMs > PLAIN_FOR_MS_MAX) refuse("for", "must be at most 24h");
}

function toStatements(rule: RuleFields): RuleToJudge[] {
  const { signal, limit, test, deadline = SILENCE_DEADLINE_MS_DEFAULT } = rule;
  if (test === "plain")
    return [
      {
        form: "plain",
        signal,
        limit: limit!,
        windowMs: rule.window ?? 3_600_000,
        forMs: rule.for ?? 10 * 60_000,
        minDevices: rule.min_devices ?? 50,
      },
    ];
  const deadlineMs = signal === "silence" ? { deadlineMs: deadline } : {};
  // Bricked devices show in how slowly a release's devices come back, long before the deadline.
  const allowance = rule.worse_than_baseline ?? (signal === "silence" ? SLOWER_RETURN_DEFAULT : "off");
  return [
    ...(limit === undefined ? [] : [{ form: "limit" as const, signal, limit, ...deadlineMs }]),
    ...(allowance === "off"
      ? []
      : [{ form: "worse_than_baseline" as const, signal, allowance, ...deadlineMs }]),
  ];
}

export const rulesSchema = z
  .array(ruleSchema)
  .min(1, { error: "name at least one rule, such as { signal: update_failure, limit: 5% }" })
  .superRefine((rules, context) => {
    const seen = new Set<string>();
    rules.forEach((statements, index) => {
      // zod comes here with what it has when a rule was refused; those mistakes are told first.
      if (!Array.isArray(statements)) return;
      for (const { signal, form } of statements) {
        const statement = `${signal} ${form}`;
        if (seen.has(statement))
          context.addIssue({
            code: "custom",
            path: [index, "signal"],
            message: `a rule above has ${form === "worse_than_baseline" ? "a comparison" : "a limit"} for this signal already: keep one of the two`,
          });
        seen.add(statement);
      }
    });
  })
  .transform((rules): readonly RuleToJudge[] => rules.flat());
