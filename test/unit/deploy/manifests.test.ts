// deploy/: that every manifest is what Kubernetes takes, keeps to the conventions, and names what is there; that rules are those
// of alerting/; and, where kubectl is installed, that the example renders. Each check is shown to catch a bad sample.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { loadSettings } from "../../../agent/config/load.ts";
import { findProgram } from "../../../runtime/foreign-program.ts";
import { deployFiles } from "../../generate/deploy-files.ts";
import { kubernetesShape } from "../../support/kubernetes-shapes.ts";
import { podMistakes, podOf, referenceMistakes } from "../../support/kubernetes-conventions.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const DEPLOY = path.join(ROOT, "deploy");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

const files = readdirSync(DEPLOY, { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".yaml"),
);
const kustomizations = files.filter((file) => file.endsWith("kustomization.yaml"));
const manifests = files.filter((file) => !kustomizations.includes(file) && !file.endsWith("lastgood.yaml"));

function documentsOf(text: string): unknown[] {
  return parseAllDocuments(text).map((document) => document.toJS() as unknown);
}

const documents = manifests.flatMap((file) =>
  documentsOf(read(`deploy/${file}`)).map((document) => ({ file, document })),
);
const objects = documents.map(({ document }) => kubernetesShape.parse(document));

describe("shapes", () => {
  test("every manifest is one of Kubernetes' objects, and there is one of each kind", () => {
    const mistakes = documents.flatMap(({ file, document }) => {
      const result = kubernetesShape.safeParse(document);
      return result.success ? [] : [`${file}: ${result.error.message}`];
    });
    expect(mistakes).toEqual([]);
    expect(new Set(objects.map(({ kind }) => kind)).size).toBe(10);
  });

  test.each([
    ["base/ingest.yaml", "readinessProbe:", "readynessProbe:"],
    ["base/ingest.yaml", "periodSeconds: 5", "periodSeconds: 5s"],
    ["base/ingest.yaml", "apiVersion: policy/v1", "apiVersion: policy/v1beta1"],
    ["base/agent.yaml", "maxUnavailable: 0", "maxUnavailble: 0"],
    ["base/redis.yaml", "storage: 10Gi", "storage: 10GB"],
    ["base/network-policies.yaml", "podSelector:", "podSelectors:"],
    ["components/prometheus-operator/service-monitors.yaml", "interval: 15s", "intervall: 15s"],
  ])("%s with %s -> %s is refused", (file, right, wrong) => {
    const text = read(`deploy/${file}`);
    expect(text).toContain(right);
    const results = documentsOf(text.replace(right, wrong)).map(
      (one) => kubernetesShape.safeParse(one).success,
    );
    expect(results).toContain(false);
  });
});

describe("conventions", () => {
  const pods = objects.flatMap((object) => podOf(object) ?? []);

  test("every pod keeps to them", () => {
    expect(pods).toHaveLength(3);
    expect(pods.flatMap(podMistakes)).toEqual([]);
  });

  test.each([
    ["runAsNonRoot: true", "runAsNonRoot: false", "agent: it may be root"],
    ["runAsUser: 10001", "runAsUser: 0", "agent: it may be root"],
    ["type: RuntimeDefault", "type: Unconfined", "agent: it has no seccomp profile"],
    ["automountServiceAccountToken: false", "automountServiceAccountToken: true", "agent: it gets a token"],
    ["image: lastgood:0.1.0", "image: lastgood", "agent: its image has no exact version"],
    ["readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "agent: it can write to its own image"],
    ["allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "agent: it may get new privileges"],
    ["drop: [ALL]", "drop: [NET_RAW]", "agent: it keeps capabilities"],
    ["path: /readyz", "path: /healthz", "agent: it is not asked for /readyz"],
    [/ {10}livenessProbe:[^]*?timeoutSeconds: 5\n/, "", "agent: it lacks a probe"],
    [/ {10}resources:[^]*?limits:.*\n/, "", "agent: it has no limits"],
  ])("%s -> %s is told", (right, wrong, mistake) => {
    const text = read("deploy/base/agent.yaml");
    const bad = text.replace(right, wrong);
    expect(bad).not.toBe(text);
    const [first] = documentsOf(bad).map((one) => kubernetesShape.parse(one));
    expect(podMistakes(podOf(first!)!)).toContain(mistake);
  });

  test("names lead to what is there: ports, volumes, services, policies", () => {
    expect(referenceMistakes(objects)).toEqual([]);
  });

  test.each([
    [
      "base/ingest.yaml",
      "targetPort: operations",
      "targetPort: metrics",
      "Service lastgood-ingest: no port metrics",
    ],
    [
      "base/ingest.yaml",
      "{ name: tmp, mountPath",
      "{ name: temp, mountPath",
      "Deployment lastgood-ingest: no volume temp",
    ],
    [
      "base/ingest.yaml",
      "kind: Deployment, name: lastgood-ingest",
      "kind: Deployment, name: ingest",
      "HorizontalPodAutoscaler lastgood-ingest: no Deployment ingest",
    ],
    [
      "base/network-policies.yaml",
      "component: agent }",
      "component: agents }",
      "NetworkPolicy lastgood-agent: selects nothing",
    ],
    [
      "base/redis.yaml",
      "serviceAccountName: lastgood",
      "serviceAccountName: redis",
      "StatefulSet lastgood-redis: no ServiceAccount redis",
    ],
  ])("%s with %s -> %s is told", (file, right, wrong, mistake) => {
    const others = documents.filter((one) => one.file !== file).map(({ document }) => document);
    const text = read(`deploy/${file}`);
    expect(text).toContain(right);
    const bad = [...others, ...documentsOf(text.replace(right, wrong))].map((one) =>
      kubernetesShape.parse(one),
    );
    expect(referenceMistakes(bad)).toContain(mistake);
  });
});

describe("kustomizations", () => {
  interface Kustomization {
    readonly kind: string;
    readonly resources?: readonly string[];
    readonly components?: readonly string[];
    readonly configMapGenerator?: readonly { readonly name: string; readonly files: readonly string[] }[];
    readonly secretGenerator?: readonly { readonly name: string; readonly envs: readonly string[] }[];
  }
  const named = ({ resources, components, configMapGenerator, secretGenerator }: Kustomization): string[] => [
    ...(resources ?? []),
    ...(components ?? []),
    ...(configMapGenerator ?? []).flatMap((generator) => generator.files),
    ...(secretGenerator ?? []).flatMap((generator) => generator.envs),
  ];

  test.each([...kustomizations.map((file) => `deploy/${file}`), "dashboards/kustomization.yaml"])(
    "%s names files and folders that are there",
    (file) => {
      const kustomization = parse(read(file)) as Kustomization;
      expect(kustomization.kind).toBe(file.includes("/components/") ? "Component" : "Kustomization");
      const missing = named(kustomization).filter(
        (one) => !existsSync(path.join(ROOT, path.dirname(file), one)),
      );
      // Real secrets are never committed: whoever runs it makes the file, as its first lines say.
      expect(missing).toEqual(file.includes("/overlays/example/") ? ["secret.env"] : []);
    },
  );

  test("every manifest is in one, and every dashboard", () => {
    const inDeploy = kustomizations.flatMap((file) =>
      named(parse(read(`deploy/${file}`)) as Kustomization).map((one) => path.join(path.dirname(file), one)),
    );
    expect(manifests.filter((file) => !inDeploy.includes(file))).toEqual([]);
    const dashboards = readdirSync(path.join(ROOT, "dashboards/json")).map((file) => `json/${file}`);
    expect(named(parse(read("dashboards/kustomization.yaml")) as Kustomization).toSorted()).toEqual(
      dashboards.toSorted(),
    );
  });
});

test("the rules are those of alerting/: `npm run generate` would change nothing", () => {
  const files = deployFiles();
  expect(Object.fromEntries(Object.keys(files).map((file) => [file, read(file)]))).toEqual(files);
});

test("the example's configuration loads with the files that the deployments name", () => {
  const folder = path.join(DEPLOY, "overlays/example");
  const secrets = Object.fromEntries(
    read("deploy/overlays/example/secret.example.env")
      .split("\n")
      .filter((line) => line.includes("=") && !line.startsWith("#"))
      .map((line) => line.split("=") as [string, string]),
  );
  const agent = objects.find(
    ({ kind, metadata }) => kind === "Deployment" && metadata.name === "lastgood-agent",
  )!;
  const env = Object.fromEntries(
    (podOf(agent)!.containers[0]!.env ?? []).map(({ name, value }) => [
      name.replace(/_FILE$/, ""),
      secrets[path.basename(value)],
    ]),
  );
  expect(Object.keys(env)).toHaveLength(3);
  const loaded = loadSettings({ file: path.join(folder, "lastgood.yaml"), env });
  expect(loaded).toMatchObject({ kind: "loaded", config: { redisUrl: "redis://lastgood-redis:6379" } });
});

test("the example renders", (context) => {
  const kubectl = findProgram(["kubectl"], process.env["PATH"]);
  if (kubectl === undefined)
    return context.skip("kubectl is not installed; the manifests were checked one by one");
  // As its first lines say; without real secrets it must not render, or somebody would run with published ones.
  const copy = mkdtempSync(path.join(tmpdir(), "lg-deploy-"));
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
  for (const folder of ["deploy", "dashboards", "alerting"])
    cpSync(path.join(ROOT, folder), path.join(copy, folder), { recursive: true });
  const example = path.join(copy, "deploy/overlays/example");
  const render = () => spawnSync(kubectl, ["kustomize", example], { encoding: "utf8" });
  expect(render()).toMatchObject({ status: 1, stderr: expect.stringContaining("secret.env") });
  cpSync(path.join(example, "secret.example.env"), path.join(example, "secret.env"));
  const result = render();
  expect([result.status, result.stderr]).toEqual([0, ""]);
  const rendered = documentsOf(result.stdout) as { kind: string; metadata: { namespace?: string } }[];
  expect(rendered).toHaveLength(objects.length + 6);
  const outside = rendered.filter(
    ({ kind, metadata }) => kind !== "Namespace" && metadata.namespace !== "lastgood",
  );
  expect(outside).toEqual([]);
  expect(result.stdout).toContain("image: registry.example/lastgood:0.1.0");
});
