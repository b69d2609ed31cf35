// Alerting rules as they are, but with time running faster: a test can't wait for a window of half an hour. Enters: the text
// of a rule file. Leaves: the same rules with every duration (windows, offsets, `for`, intervals) divided.
import { parse, stringify } from "yaml";

const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;
/** Four scrapes of one second: with fewer a rate has nothing to rise by. */
const WINDOW_SECONDS_LEAST = 4;

interface Rule {
  readonly expr: string;
  readonly for?: string;
  readonly keep_firing_for?: string;
}

interface RuleFile {
  readonly groups: readonly { readonly interval?: string; readonly rules: readonly Rule[] }[];
}

/** `factor` 60: what takes a minute takes a second. */
export function scaleRules(text: string, factor: number): string {
  const file = parse(text) as RuleFile;
  const whole = (duration: string): string => scaled(duration, factor, 0);
  const groups = file.groups.map(({ interval: _evaluatedEverySecond, ...group }) => ({
    ...group,
    rules: group.rules.map((rule) => ({
      ...rule,
      expr: scaleExpression(rule.expr, factor),
      ...(rule.for === undefined ? {} : { for: whole(rule.for) }),
      ...(rule.keep_firing_for === undefined ? {} : { keep_firing_for: whole(rule.keep_firing_for) }),
    })),
  }));
  return stringify({ groups }, { lineWidth: 0 });
}

/** Windows in brackets and offsets; what else looks like a duration (the name of a recorded series) is left alone. */
export function scaleExpression(expr: string, factor: number): string {
  return expr
    .replaceAll(/\[([^\]]+)\]/g, (_whole, inside: string) => {
      const parts = inside
        .split(":")
        .map((part) => (part === "" ? "" : scaled(part, factor, WINDOW_SECONDS_LEAST)));
      return `[${parts.join(":")}]`;
    })
    .replaceAll(/\boffset\s+(\d\w*)/g, (_whole, duration: string) => `offset ${scaled(duration, factor, 1)}`);
}

function scaled(duration: string, factor: number, secondsLeast: number): string {
  const parts = [...duration.matchAll(/(\d+)(ms|[smhdw])/g)];
  if (parts.map(([whole]) => whole).join("") !== duration.trim() || parts.length === 0)
    throw new Error(`not a duration: ${duration}`);
  const seconds = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * SECONDS[unit as keyof typeof SECONDS],
    0,
  );
  return `${Math.max(Math.round((seconds / factor) * 1_000), secondsLeast * 1_000)}ms`;
}
