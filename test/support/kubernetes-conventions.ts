// What the objects of deploy/ have to keep to, as sentences about those that do not: how pods run, and that names lead to
// what is there. Pure.
import type { KubernetesObject, Pod } from "./kubernetes-shapes.ts";

export function podOf(object: KubernetesObject): Pod | undefined {
  return object.kind === "Deployment" || object.kind === "StatefulSet"
    ? object.spec.template.spec
    : undefined;
}

export function podMistakes(pod: Pod): string[] {
  const { securityContext: as } = pod;
  const ofPod: [boolean, string][] = [
    [as.runAsNonRoot && as.runAsUser > 0, "it may be root"],
    [as.seccompProfile.type === "RuntimeDefault", "it has no seccomp profile"],
    [!pod.automountServiceAccountToken, "it gets a token"],
  ];
  return pod.containers.flatMap((container) => {
    const { readinessProbe, livenessProbe, startupProbe, securityContext } = container;
    const rules: [boolean, string][] = [
      ...ofPod,
      [/:\d+\.\d+\.\d+(-\w+)?$/.test(container.image), "its image has no exact version"],
      [securityContext?.readOnlyRootFilesystem === true, "it can write to its own image"],
      [securityContext?.allowPrivilegeEscalation === false, "it may get new privileges"],
      [securityContext?.capabilities.drop.join() === "ALL", "it keeps capabilities"],
      [
        [readinessProbe, livenessProbe, startupProbe].every((probe) => probe !== undefined),
        "it lacks a probe",
      ],
      [
        readinessProbe?.httpGet === undefined || readinessProbe.httpGet.path === "/readyz",
        "it is not asked for /readyz",
      ],
      [container.resources !== undefined, "it has no limits"],
    ];
    return rules.filter(([isKept]) => !isKept).map(([, mistake]) => `${container.name}: ${mistake}`);
  });
}

export function referenceMistakes(objects: readonly KubernetesObject[]): string[] {
  return objects.flatMap((object) =>
    danglingNames(object, objects).map((mistake) => `${object.kind} ${object.metadata.name}: ${mistake}`),
  );
}

function danglingNames(object: KubernetesObject, objects: readonly KubernetesObject[]): string[] {
  switch (object.kind) {
    case "Deployment":
    case "StatefulSet":
      return danglingInPod(object, objects);
    case "Service": {
      const selected = podsWith(object.spec.selector, objects);
      if (selected.length === 0) return ["selects nothing"];
      const missing = object.spec.ports.filter(({ targetPort }) => !portsOf(selected).includes(targetPort));
      return missing.map(({ targetPort }) => `no port ${targetPort}`);
    }
    case "NetworkPolicy": {
      const selected = podsWith(object.spec.podSelector.matchLabels ?? {}, objects);
      if (selected.length === 0) return ["selects nothing"];
      const ports = object.spec.ingress.flatMap((rule) => rule.ports.map(({ port }) => port));
      return ports.filter((port) => !portsOf(selected).includes(port)).map((port) => `no port ${port}`);
    }
    case "PodDisruptionBudget":
      return podsWith(object.spec.selector.matchLabels ?? {}, objects).length > 0 ? [] : ["selects nothing"];
    case "HorizontalPodAutoscaler": {
      const { kind, name } = object.spec.scaleTargetRef;
      const isThere = objects.some((other) => other.kind === kind && other.metadata.name === name);
      return isThere ? [] : [`no ${kind} ${name}`];
    }
    case "Namespace":
    case "ServiceAccount":
    case "ServiceMonitor":
    case "PrometheusRule":
      return [];
    default:
      return object satisfies never;
  }
}

type Workload = Extract<KubernetesObject, { kind: "Deployment" | "StatefulSet" }>;

function danglingInPod(object: Workload, objects: readonly KubernetesObject[]): string[] {
  const pod = object.spec.template.spec;
  const claims = object.kind === "StatefulSet" ? object.spec.volumeClaimTemplates : [];
  const volumes = [
    ...(pod.volumes ?? []).map(({ name }) => name),
    ...claims.map(({ metadata }) => metadata.name),
  ];
  const mounted = pod.containers.flatMap((container) => container.volumeMounts.map(({ name }) => name));
  const account = pod.serviceAccountName;
  const hasAccount = objects.some(
    ({ kind, metadata }) => kind === "ServiceAccount" && metadata.name === account,
  );
  return [
    ...mounted.filter((name) => !volumes.includes(name)).map((name) => `no volume ${name}`),
    ...(hasAccount ? [] : [`no ServiceAccount ${account}`]),
  ];
}

function podsWith(labels: Readonly<Record<string, string>>, objects: readonly KubernetesObject[]): Pod[] {
  return objects.flatMap((object) => {
    if (object.kind !== "Deployment" && object.kind !== "StatefulSet") return [];
    const { metadata, spec } = object.spec.template;
    return Object.entries(labels).every(([name, value]) => metadata.labels[name] === value) ? [spec] : [];
  });
}

function portsOf(pods: readonly Pod[]): (string | number)[] {
  return pods.flatMap((pod) =>
    pod.containers.flatMap((container) => container.ports.map(({ name }) => name)),
  );
}
