// The parts of Kubernetes' objects that deploy/ uses, strictly: a key that Kubernetes does not know at that place is a
// mistake, which a cluster would silently drop. Written by hand from its API reference; no cluster runs in the tests.
import { z } from "zod";

const text = z.string().min(1);
const count = z.int().positive();
const labels = z.record(z.string(), z.string());
const port = z.union([z.int().min(1).max(65_535), text]);
const quantity = z.string().regex(/^\d+(m|Ki|Mi|Gi)?$/);
const metadata = z.strictObject({ name: text, labels: labels.optional(), namespace: text.optional() });
const expression = z.strictObject({
  key: text,
  operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
  values: z.array(text).optional(),
});
const selector = z.strictObject({
  matchLabels: labels.optional(),
  matchExpressions: z.array(expression).optional(),
});

function resource<V extends string, K extends string, S extends z.ZodRawShape>(
  apiVersion: V,
  kind: K,
  body: S,
) {
  return z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata, ...body });
}

const probe = z
  .strictObject({
    httpGet: z.strictObject({ path: z.string().startsWith("/"), port }).optional(),
    tcpSocket: z.strictObject({ port }).optional(),
    exec: z.strictObject({ command: z.array(text) }).optional(),
    periodSeconds: count,
    timeoutSeconds: count.optional(),
    failureThreshold: count.optional(),
  })
  .refine(({ httpGet, tcpSocket, exec }) => [httpGet, tcpSocket, exec].filter(Boolean).length === 1);

const containerShape = z.strictObject({
  name: text,
  image: text,
  args: z.array(z.string()),
  env: z.array(z.strictObject({ name: text, value: z.string() })).optional(),
  ports: z.array(z.strictObject({ name: text.max(15), containerPort: z.int() })),
  startupProbe: probe.optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  resources: z
    .strictObject({
      requests: z.strictObject({ cpu: quantity, memory: quantity }),
      limits: z.strictObject({ cpu: quantity.optional(), memory: quantity }),
    })
    .optional(),
  securityContext: z
    .strictObject({
      allowPrivilegeEscalation: z.boolean(),
      readOnlyRootFilesystem: z.boolean(),
      capabilities: z.strictObject({ drop: z.array(text) }),
    })
    .optional(),
  volumeMounts: z.array(
    z.strictObject({ name: text, mountPath: z.string().startsWith("/"), readOnly: z.boolean().optional() }),
  ),
});

const volume = z.strictObject({
  name: text,
  configMap: z.strictObject({ name: text }).optional(),
  secret: z.strictObject({ secretName: text, defaultMode: z.int() }).optional(),
  emptyDir: z.strictObject({ medium: z.literal("Memory"), sizeLimit: quantity }).optional(),
});

const podShape = z.strictObject({
  serviceAccountName: text,
  automountServiceAccountToken: z.boolean(),
  enableServiceLinks: z.boolean(),
  terminationGracePeriodSeconds: count,
  securityContext: z.strictObject({
    runAsNonRoot: z.boolean(),
    runAsUser: z.int(),
    runAsGroup: z.int(),
    fsGroup: z.int(),
    seccompProfile: z.strictObject({ type: z.enum(["RuntimeDefault", "Localhost", "Unconfined"]) }),
  }),
  topologySpreadConstraints: z
    .array(
      z.strictObject({
        maxSkew: count,
        topologyKey: text,
        whenUnsatisfiable: z.enum(["ScheduleAnyway", "DoNotSchedule"]),
        labelSelector: selector,
      }),
    )
    .optional(),
  containers: z.array(containerShape).min(1),
  volumes: z.array(volume).optional(),
});

const template = z.strictObject({ metadata: z.strictObject({ labels }), spec: podShape });

const deployment = resource("apps/v1", "Deployment", {
  spec: z.strictObject({
    replicas: count.optional(),
    revisionHistoryLimit: count,
    selector,
    strategy: z.strictObject({
      rollingUpdate: z.strictObject({ maxSurge: z.int(), maxUnavailable: z.int() }),
    }),
    template,
  }),
});
const statefulSet = resource("apps/v1", "StatefulSet", {
  spec: z.strictObject({
    serviceName: text,
    replicas: count,
    selector,
    template,
    volumeClaimTemplates: z.array(
      z.strictObject({
        metadata,
        spec: z.strictObject({
          accessModes: z.array(text),
          resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }),
        }),
      }),
    ),
  }),
});
const service = resource("v1", "Service", {
  spec: z.strictObject({
    clusterIP: z.literal("None").optional(),
    selector: labels,
    ports: z.array(z.strictObject({ name: text, port: z.int(), targetPort: port })).min(1),
  }),
});
const policyPeer = z.strictObject({
  podSelector: selector.optional(),
  namespaceSelector: selector.optional(),
});
const policyPorts = z.array(z.strictObject({ protocol: z.enum(["TCP", "UDP"]), port }));
const networkPolicy = resource("networking.k8s.io/v1", "NetworkPolicy", {
  spec: z.strictObject({
    podSelector: selector,
    policyTypes: z.array(z.enum(["Ingress", "Egress"])),
    ingress: z.array(z.strictObject({ from: z.array(policyPeer).optional(), ports: policyPorts })),
    egress: z.array(z.never()).optional(),
  }),
});
const relabeling = z.strictObject({ targetLabel: text, replacement: text });

export const kubernetesShape = z.union([
  deployment,
  statefulSet,
  service,
  networkPolicy,
  resource("v1", "Namespace", {}),
  resource("v1", "ServiceAccount", { automountServiceAccountToken: z.boolean() }),
  resource("policy/v1", "PodDisruptionBudget", { spec: z.strictObject({ minAvailable: count, selector }) }),
  resource("autoscaling/v2", "HorizontalPodAutoscaler", {
    spec: z.strictObject({
      scaleTargetRef: z.strictObject({ apiVersion: text, kind: text, name: text }),
      minReplicas: count,
      maxReplicas: count,
      metrics: z.array(
        z.strictObject({
          type: z.literal("Resource"),
          resource: z.strictObject({
            name: z.enum(["cpu", "memory"]),
            target: z.strictObject({ type: z.literal("Utilization"), averageUtilization: count }),
          }),
        }),
      ),
    }),
  }),
  resource("monitoring.coreos.com/v1", "ServiceMonitor", {
    spec: z.strictObject({
      selector,
      endpoints: z.array(z.strictObject({ port: text, interval: text, relabelings: z.array(relabeling) })),
    }),
  }),
  resource("monitoring.coreos.com/v1", "PrometheusRule", {
    spec: z.strictObject({
      groups: z.array(z.looseObject({ name: text, rules: z.array(z.unknown()).min(1) })),
    }),
  }),
]);

export type KubernetesObject = z.infer<typeof kubernetesShape>;
export type Pod = z.infer<typeof podShape>;
