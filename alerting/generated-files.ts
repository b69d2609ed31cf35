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

export function alertingFiles(): Readonly<Record<string, string>> {
  const recording = RECORDING_GROUPS.map(({ rules, ...group }) => ({
    ...group,
    rules: rules.map(recordingYaml),
  }));
  const alerts = ALERT_GROUPS.map(({ name, rules }) => ({ name, rules: rules.map(alertYaml) }));
  return {
    "alerting/rules/recording.yml": toYaml("alerting/recording-rules.ts", recording),
    "alerting/rules/alerts.yml": toYaml("alerting/alerts/", alerts),
  };
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
