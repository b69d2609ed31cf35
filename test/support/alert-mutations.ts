// Rules made wrong on purpose, one thing at a time: if the cases of an alert do not notice, they prove nothing. Enters: a
// rule of the generated files. Leaves: the same rule, wrong, and what was changed. Pure.
export interface YamlRule {
  readonly alert?: string;
  readonly record?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly expr: string;
  readonly for?: string;
  readonly keep_firing_for?: string;
}

export interface Mutation {
  readonly what: string;
  readonly rule: YamlRule;
}

const FLIPPED: Readonly<Record<string, string>> = { ">": "<", ">=": "<", "<": ">", "<=": ">", "==": "!=" };
const FOR_FACTOR = 10;

export function mutationsOf(rule: YamlRule): Mutation[] {
  return [
    { what: "never fires", rule: { ...rule, expr: "vector(1) < 0" } },
    ...flips(rule),
    ...thresholds(rule),
    ...durations(rule),
  ];
}

function flips(rule: YamlRule): Mutation[] {
  return Array.from(rule.expr.matchAll(/(?<=[\s)])(?:>=|<=|==|>|<)(?=\s)/g), ({ 0: operator, index }) => ({
    what: `${operator} is ${FLIPPED[operator]!} (character ${index})`,
    rule: {
      ...rule,
      expr: rule.expr.slice(0, index) + FLIPPED[operator]! + rule.expr.slice(index + operator.length),
    },
  }));
}

/** A threshold that stands in several places is one threshold. */
function thresholds(rule: YamlRule): Mutation[] {
  const found = rule.expr.match(/(?:>=|>|<) [0-9][0-9.]*(?: \* [0-9.]+)?/g) ?? [];
  return [...new Set(found)].flatMap((comparison) => {
    const [operator, value] = comparison.split(/ (.*)/s) as [string, string];
    const changed =
      value === "0"
        ? [`${operator}= 0`, `${operator} 1000000`]
        : [`${operator} 0.5 * ${value}`, `${operator} 2 * ${value}`];
    return changed.map((to) => ({
      what: `${comparison} is ${to}`,
      rule: { ...rule, expr: rule.expr.replaceAll(comparison, to) },
    }));
  });
}

function durations(rule: YamlRule): Mutation[] {
  const { for: wait, keep_firing_for: keep, ...rest } = rule;
  const kept = keep === undefined ? {} : { keep_firing_for: keep };
  const mutations: Mutation[] = [];
  if (wait !== undefined) {
    const longer = wait.replace(/\d+/, (amount) => String(Number(amount) * FOR_FACTOR));
    mutations.push({ what: `for: ${wait} is not there`, rule: { ...rest, ...kept } });
    mutations.push({ what: `for: ${wait} is ${longer}`, rule: { ...rule, for: longer } });
  }
  if (keep !== undefined)
    mutations.push({
      what: `keep_firing_for: ${keep} is not there`,
      rule: { ...rest, ...(wait === undefined ? {} : { for: wait }) },
    });
  return mutations;
}
