// What a Mender server keeps and how it changes, for its double (mender.ts): artifacts, devices, deployments, and one row
// per device and deployment. From the shared reference (ota-systems.md 3.1 to 3.4) and the open source server's ways:
// rows appear when a device first asks and bear the deployment's own `created`; transitions are not guarded; an abort
// gives rows no `finished`. Enters: a clock. Leaves: the state, open to tests.
import { createHash, randomUUID } from "node:crypto";

/** In the order in which the list of a deployment's devices is sorted. */
export const ROW_STATUSES = [
  "failure",
  "aborted",
  "pause_before_installing",
  "pause_before_committing",
  "pause_before_rebooting",
  "downloading",
  "installing",
  "rebooting",
  "pending",
  "success",
  "noartifact",
  "already-installed",
  "decommissioned",
] as const;
export type RowStatus = (typeof ROW_STATUSES)[number];
const FINISHED: ReadonlySet<RowStatus> = new Set([
  "failure",
  "aborted",
  "success",
  "noartifact",
  "already-installed",
  "decommissioned",
]);
const SET_BY_SERVER: ReadonlySet<RowStatus> = new Set(["pending", "noartifact", "aborted", "decommissioned"]);

export interface MenderArtifact {
  readonly id: string;
  readonly name: string;
  readonly deviceTypes: readonly string[];
}

export interface MenderDeviceRecord {
  readonly id: string;
  readonly deviceType: string;
  readonly group: string | undefined;
}

export interface DeviceRow {
  readonly deviceId: string;
  status: RowStatus;
  substate: string | undefined;
  readonly createdMs: number;
  startedMs: number | undefined;
  finishedMs: number | undefined;
  image: MenderArtifact | undefined;
  log: readonly unknown[] | undefined;
  request: string | undefined;
}

export interface MenderDeployment {
  readonly id: string;
  readonly name: string;
  readonly artifactName: string;
  readonly createdMs: number;
  finishedMs: number | undefined;
  status: "pending" | "inprogress" | "finished";
  readonly type: "software" | "configuration";
  readonly groups: readonly string[] | undefined;
  readonly deviceList: readonly string[];
  readonly forceInstallation: boolean;
  readonly checksum: string;
  counters: Record<RowStatus, number>;
  readonly rows: Map<string, DeviceRow>;
}

export interface NewDeployment {
  readonly name: string;
  readonly artifactName: string;
  readonly devices?: readonly string[];
  readonly allDevices?: boolean;
  readonly group?: string;
  readonly forceInstallation?: boolean;
  readonly type?: "software" | "configuration";
}

export type Created =
  | { readonly kind: "created"; readonly deployment: MenderDeployment }
  | { readonly kind: "invalid" | "conflict" | "no_artifact"; readonly error: string };

export interface Provides {
  readonly artifactName: string;
  readonly deviceType: string;
}

export type NextAnswer =
  | { readonly kind: "deployment"; readonly deployment: MenderDeployment; readonly image: MenderArtifact }
  | { readonly kind: "none" | "conflict" };

export interface MenderState {
  readonly artifacts: MenderArtifact[];
  readonly devices: Map<string, MenderDeviceRecord>;
  /** Oldest first. */
  readonly deployments: MenderDeployment[];
  addArtifact(name: string, deviceTypes?: readonly string[]): void;
  addDevices(count: number, of?: { group?: string; deviceType?: string }): readonly string[];
  create(asked: NewDeployment): Created;
  find(id: string): MenderDeployment | undefined;
  abort(deployment: MenderDeployment): void;
  abortDevice(deviceId: string): void;
  decommission(deviceId: string): void;
  /** What a device asks for; may make a row, or end one. */
  next(deviceId: string, provides: Provides): NextAnswer;
  setStatus(
    deviceId: string,
    deploymentId: string,
    to: { status: RowStatus; substate?: string | undefined },
  ): "done" | "unknown" | "conflict" | "invalid";
}

const NO_ROWS = (): Record<RowStatus, number> =>
  Object.fromEntries(ROW_STATUSES.map((status) => [status, 0])) as Record<RowStatus, number>;

export function createMenderState(clock: () => number): MenderState {
  const artifacts: MenderArtifact[] = [];
  const devices = new Map<string, MenderDeviceRecord>();
  const deployments: MenderDeployment[] = [];

  const settle = (deployment: MenderDeployment): void => {
    const ended = ROW_STATUSES.reduce(
      (sum, status) => sum + (FINISHED.has(status) ? deployment.counters[status] : 0),
      0,
    );
    if (deployment.status === "finished") return;
    if (ended >= deployment.deviceList.length) finish(deployment, clock());
    else if (deployment.counters.pending < deployment.rows.size) deployment.status = "inprogress";
  };
  const move = (deployment: MenderDeployment, row: DeviceRow, to: RowStatus): void => {
    deployment.counters[row.status] -= 1;
    deployment.counters[to] += 1;
    if (row.status === "pending") row.startedMs = clock();
    row.status = to;
    if (FINISHED.has(to)) row.finishedMs = clock();
    settle(deployment);
  };
  const rowsOf = (deviceId: string): { deployment: MenderDeployment; row: DeviceRow }[] =>
    deployments.flatMap((deployment) => {
      const row = deployment.rows.get(deviceId);
      return row === undefined ? [] : [{ deployment, row }];
    });
  const endActive = (deviceId: string, to: "aborted" | "decommissioned"): void => {
    for (const { deployment, row } of rowsOf(deviceId)) {
      if (FINISHED.has(row.status)) continue;
      deployment.counters[row.status] -= 1;
      deployment.counters[to] += 1;
      row.status = to;
      settle(deployment);
    }
  };
  const rowFor = (deviceId: string): { deployment: MenderDeployment; row: DeviceRow } | undefined => {
    const rows = rowsOf(deviceId);
    const active = rows.find(({ row }) => !FINISHED.has(row.status));
    if (active !== undefined) return active;
    const afterMs = Math.max(Number.NEGATIVE_INFINITY, ...rows.map(({ row }) => row.createdMs));
    const deployment = deployments.find(
      ({ status, createdMs, deviceList }) =>
        status !== "finished" && createdMs > afterMs && deviceList.includes(deviceId),
    );
    if (deployment === undefined) return undefined;
    const row = newRow(deviceId, deployment.createdMs);
    deployment.rows.set(deviceId, row);
    deployment.counters.pending += 1;
    settle(deployment);
    return { deployment, row };
  };

  return {
    artifacts,
    devices,
    deployments,
    addArtifact(name, deviceTypes = ["till-mk2"]) {
      artifacts.push({ id: randomUUID(), name, deviceTypes });
    },
    addDevices(count, { group = "production", deviceType = "till-mk2" } = {}) {
      return Array.from({ length: count }, () => {
        const id = randomUUID();
        devices.set(id, { id, deviceType, group: group === "" ? undefined : group });
        return id;
      });
    },
    create: (asked) => createDeployment(asked, { artifacts, devices, deployments, clock }),
    find: (id) => deployments.find((deployment) => deployment.id === id),
    abort(deployment) {
      const counters = NO_ROWS();
      for (const row of deployment.rows.values()) {
        if (!FINISHED.has(row.status)) row.status = "aborted";
        counters[row.status] += 1;
      }
      deployment.counters = counters;
      finish(deployment, clock());
    },
    abortDevice: (deviceId) => endActive(deviceId, "aborted"),
    decommission: (deviceId) => endActive(deviceId, "decommissioned"),
    next(deviceId, provides) {
      const found = rowFor(deviceId);
      if (found === undefined) return { kind: "none" };
      const { deployment, row } = found;
      const request = JSON.stringify(provides);
      if (row.request !== undefined && row.request !== request) {
        move(deployment, row, "failure");
        return { kind: "conflict" };
      }
      row.request = request;
      row.image ??= artifacts.find(
        ({ name, deviceTypes }) =>
          name === deployment.artifactName && deviceTypes.includes(provides.deviceType),
      );
      if (row.image === undefined) {
        move(deployment, row, "noartifact");
        return { kind: "none" };
      }
      const hasIt = provides.artifactName === deployment.artifactName && !deployment.forceInstallation;
      if (hasIt && row.status === "pending") {
        move(deployment, row, "already-installed");
        return { kind: "none" };
      }
      return { kind: "deployment", deployment, image: row.image };
    },
    setStatus(deviceId, deploymentId, { status, substate }) {
      const deployment = deployments.find(({ id }) => id === deploymentId);
      const row = deployment?.rows.get(deviceId);
      if (deployment === undefined || row === undefined) return "unknown";
      if (!ROW_STATUSES.includes(status) || SET_BY_SERVER.has(status)) return "invalid";
      if (row.status === "aborted" || row.status === "decommissioned") return "conflict";
      if (row.status === status) return "done";
      if (substate !== undefined && substate !== "") row.substate = substate;
      move(deployment, row, status);
      return "done";
    },
  };
}

function finish(deployment: MenderDeployment, nowMs: number): void {
  deployment.status = "finished";
  deployment.finishedMs = nowMs;
}

function newRow(deviceId: string, createdMs: number): DeviceRow {
  return {
    deviceId,
    status: "pending",
    substate: undefined,
    createdMs,
    startedMs: undefined,
    finishedMs: undefined,
    image: undefined,
    log: undefined,
    request: undefined,
  };
}

function createDeployment(
  asked: NewDeployment,
  {
    artifacts,
    devices,
    deployments,
    clock,
  }: Pick<MenderState, "artifacts" | "devices" | "deployments"> & { readonly clock: () => number },
): Created {
  const { name, artifactName, group, allDevices = false, forceInstallation = false } = asked;
  const listed = asked.devices ?? [];
  if (name === "" || artifactName === "") return { kind: "invalid", error: "name: cannot be blank." };
  if (group !== undefined && (listed.length > 0 || allDevices))
    return {
      kind: "invalid",
      error:
        "The deployment for group constructor should have neither list of devices nor all_devices flag set",
    };
  if (group === undefined && listed.length > 0 === allDevices)
    return {
      kind: "invalid",
      error: "Invalid deployments definition: provide list of devices or set all_devices flag",
    };
  const deviceList =
    group === undefined && !allDevices
      ? listed
      : [...devices.values()].filter((device) => allDevices || device.group === group).map(({ id }) => id);
  if (deviceList.length === 0) return { kind: "invalid", error: "No devices for the deployment" };
  if (!artifacts.some((artifact) => artifact.name === artifactName))
    return { kind: "no_artifact", error: "No artifact for the deployment" };
  const checksum = createHash("sha256")
    .update(JSON.stringify([name, artifactName, deviceList, forceInstallation]))
    .digest("hex");
  if (deployments.some((other) => other.checksum === checksum && other.status !== "finished"))
    return { kind: "conflict", error: "An active deployment with the same parameters already exists" };
  // A deployment to one device bears that device's groups, as if it were to the group.
  const ofOne = deviceList.length === 1 ? devices.get(deviceList[0]!)?.group : undefined;
  const groupName = group ?? ofOne;
  const deployment: MenderDeployment = {
    id: randomUUID(),
    name,
    artifactName,
    createdMs: Math.max(clock(), (deployments.at(-1)?.createdMs ?? 0) + 1),
    finishedMs: undefined,
    status: "pending",
    type: asked.type ?? "software",
    groups: groupName === undefined ? undefined : [groupName],
    deviceList,
    forceInstallation,
    checksum,
    counters: NO_ROWS(),
    rows: new Map(),
  };
  deployments.push(deployment);
  return { kind: "created", deployment };
}
