// What Prometheus loads, as text, from the rules of this folder. Leaves: by path in the repository, the files that
// `npm run generate` writes; a test compares them with those that are committed. Pure.
import { Document, isScalar, Scalar, visit } from "yaml";
import type { AlertRule } from "./alert.ts";
import { ALERT_GROUPS } from "./catalogue.ts";
import { RECORDING_GROUPS } from "./recording-rules.ts";
import type { RecordingRule } from "./recording-rules.ts";

const LINE_CHARS_MAX = 120;

const HEADER = (from: string): string =>
  ` Generated from ${from} by \`npm run generate\`: change that, not this.\n` +
  " Works with Prometheus 2.42 and newer. Why it is as it is: docs/adr/0023-alerts-as-code.md.";

/** A file per concern: what a test of one loads is small, and an SRE finds what belongs together. */
const FILES = [
  {
    path: "alerting/rules/recording.yml",
    from: "alerting/recording-rules.ts",
    recording: ["lastgood-pipeline"],
    alerts: [],
  },
  {
    path: "alerting/rules/releases.yml",
    from: "alerting/recording-rules.ts and alerting/alerts/releases.ts",
    recording: ["lastgood-releases"],
    alerts: ["lastgood-alerts-releases"],
  },
  {
    path: "alerting/rules/slo.yml",
    from: "alerting/slo.ts and alerting/alerts/slos.ts",
    recording: ["lastgood-slo"],
    alerts: ["lastgood-alerts-slo"],
  },
  {
    path: "alerting/rules/alerts.yml",
    from: "alerting/alerts/",
    recording: [],
    alerts: [
      "lastgood-alerts-rollbacks",
      "lastgood-alerts-processes",
      "lastgood-alerts-pipeline",
      "lastgood-alerts-redis",
    ],
  },
] as const;

export function alertingFiles(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    FILES.map(({ path, from, ...names }) => {
      const recording = names.recording.map((name) => {
        const { rules, ...group } = groupNamed(RECORDING_GROUPS, name);
        return { ...group, rules: rules.map(recordingYaml) };
      });
      const alerts = names.alerts.map((name) => ({
        name,
        rules: groupNamed(ALERT_GROUPS, name).rules.map(alertYaml),
      }));
      return [path, toYaml(from, [...recording, ...alerts])];
    }),
  );
}

function groupNamed<G extends { readonly name: string }>(groups: readonly G[], name: string): G {
  const group = groups.find((one) => one.name === name);
  if (group === undefined) throw new Error(`there is no group of rules ${name}`);
  return group;
}

function recordingYaml({ record, expr, labels }: RecordingRule): object {
  return { record, expr: `${expr}\n`, ...(labels === undefined ? {} : { labels }) };
}

function alertYaml(rule: AlertRule): object {
  return {
    alert: rule.alert,
    expr: `${rule.expr}\n`,
    ...(typeof rule.for === "string" ? { for: rule.for } : {}),
    ...(rule.keepFiringFor === undefined ? {} : { keep_firing_for: rule.keepFiringFor }),
    labels: rule.labels,
    annotations: rule.annotations,
  };
}

function toYaml(from: string, groups: readonly object[]): string {
  const document = new Document({ groups }, { aliasDuplicateObjects: false });
  document.commentBefore = HEADER(from);
  visit(document, {
    Pair(_, { key, value }) {
      if (!isScalar(key) || !isScalar(value)) return;
      if (key.value === "expr") value.type = Scalar.BLOCK_LITERAL;
      if (key.value === "description") value.type = Scalar.BLOCK_FOLDED;
    },
    Seq(key, node) {
      if (key !== "value") return;
      node.items.forEach((item, index) => {
        if (index > 0) (item as { spaceBefore?: boolean }).spaceBefore = true;
      });
    },
  });
  return wrapDescriptions(document.toString({ lineWidth: 0 }));
}

/** The library would break what stands between {{ and }} as well, and URLs. */
function wrapDescriptions(text: string): string {
  return text.replaceAll(/(?<=\n +description: >-\n)( +)(.*)\n/g, (_, indent: string, line: string) => {
    const words = line.match(/(?:\{\{.*?\}\}|\S)+/g) ?? [];
    const lines: string[] = [];
    for (const word of words) {
      const last = lines.at(-1);
      const joined = `${last ?? indent} ${word}`;
      if (last !== undefined && joined.length <= LINE_CHARS_MAX) lines[lines.length - 1] = joined;
      else lines.push(indent + word);
    }
    return `${lines.join("\n")}\n`;
  });
}
