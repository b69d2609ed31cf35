// What deploy/ has of alerting/: the same rules, as the custom resource that the Prometheus operator loads. Leaves: by path in
// the repository, the files that `npm run generate` writes; a test compares them with those that are committed. Pure.
import path from "node:path";
import { parse, stringify } from "yaml";
import { alertingFiles } from "../../alerting/generated-files.ts";

const HEADER =
  "# Generated from alerting/rules/ by `npm run generate`: change what those are made from, not this.\n";

export function deployFiles(): Readonly<Record<string, string>> {
  const rules = Object.entries(alertingFiles()).filter(([file]) => file.startsWith("alerting/rules/"));
  const documents = rules.map(([file, text]) => prometheusRule(path.basename(file, ".yml"), text));
  return { "deploy/components/prometheus-operator/prometheus-rules.yaml": HEADER + documents.join("---\n") };
}

function prometheusRule(name: string, text: string): string {
  const { groups } = parse(text) as { groups: unknown };
  const resource = {
    apiVersion: "monitoring.coreos.com/v1",
    kind: "PrometheusRule",
    metadata: { name: `lastgood-${name}` },
    spec: { groups },
  };
  return stringify(resource, { lineWidth: 0, aliasDuplicateObjects: false });
}
