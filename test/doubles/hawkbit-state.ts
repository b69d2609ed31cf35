// What a hawkBit server holds: distribution sets, targets, rollouts in groups, actions; and what its scheduler and its
// devices make of them (shared reference, ota-systems.md 2.1 to 2.3; upstream's JpaControllerManagement,
// JpaRolloutExecutor, DeploymentHelper). No HTTP, no timer: whoever tests lets time pass.
//
// Ugly parts on purpose: what a device says does not move an action's `lastModifiedAt` (upstream's auditing passes over
// changes by controllers); actions of groups to come exist from the start, inactive; a group's action for a target that has
// the set assigned is finished by the server itself; an error clears what the target is assigned.

export interface SetRow {
  readonly id: number;
  readonly name: string;
  readonly version: string;
  readonly createdAt: number;
  valid: boolean;
}

export interface TargetRow {
  readonly controllerId: string;
  readonly tags: readonly string[];
  assigned: SetRow | null;
  installed: SetRow | null;
  updateStatus: "unknown" | "in_sync" | "pending" | "error" | "registered";
  lastControllerRequestAt: number | null;
}

export type ActionStatus =
  | "scheduled"
  | "finished"
  | "error"
  | "warning"
  | "running"
  | "canceled"
  | "canceling"
  | "cancel_rejected"
  | "retrieved"
  | "download"
  | "downloaded";

export interface StatusRow {
  readonly type: ActionStatus;
  /** The server's time. */
  readonly reportedAt: number;
  /** What the device says that its clock was; the server's where it says nothing. */
  readonly timestamp: number;
  readonly messages: readonly string[];
  readonly code: number | null;
}

export interface ActionRow {
  readonly id: number;
  readonly target: TargetRow;
  readonly set: SetRow;
  readonly rolloutId: number | null;
  readonly createdAt: number;
  status: ActionStatus;
  active: boolean;
  lastModifiedAt: number;
  lastStatusCode: number | null;
  /** What it went through, oldest first. */
  readonly history: StatusRow[];
}

export type RolloutStatus =
  | "creating"
  | "ready"
  | "starting"
  | "running"
  | "paused"
  | "stopping"
  | "stopped"
  | "finished";

export interface GroupRow {
  readonly targets: readonly TargetRow[];
  isStarted: boolean;
  actions: ActionRow[];
}

export interface RolloutRow {
  readonly id: number;
  readonly name: string;
  readonly set: SetRow;
  readonly targetFilterQuery: string;
  /** Of the group's targets, in percent: more than this in error pauses the rollout; strictly more. */
  readonly errorPercent: number;
  readonly successPercent: number;
  readonly groups: GroupRow[];
  status: RolloutStatus;
}

export interface Feedback {
  readonly execution: string;
  readonly finished: string;
  readonly code?: number | undefined;
  /** The device's clock, milliseconds. */
  readonly timestamp?: number | undefined;
  /** Whether it answers the cancellation, and not the deployment. */
  readonly isOfCancel?: boolean;
}

export interface HawkbitState {
  readonly sets: SetRow[];
  readonly targets: TargetRow[];
  readonly rollouts: RolloutRow[];
  readonly actions: ActionRow[];
  addSet(name: string, version: string): SetRow;
  addTarget(controllerId: string, tags: readonly string[]): TargetRow;
  addRollout(rollout: {
    set: SetRow;
    filter: string;
    targets: readonly TargetRow[];
    groups?: number;
    errorPercent?: number;
    successPercent?: number;
  }): RolloutRow;
  /** By a person or a program, to be carried out at once; `offline` = said to be done already. */
  assign(set: SetRow, target: TargetRow, options?: { offline?: boolean }): "assigned" | "already_assigned";
  /** One run of the scheduler, which hawkBit has every two seconds. */
  tick(): void;
  /** A device asks whether there is something for it. */
  hear(target: TargetRow): void;
  /** A device reads its deployment. */
  retrieve(action: ActionRow): void;
  /** By a device. */
  feedback(action: ActionRow, told: Feedback): void;
  /** By the server or a person. */
  touch(action: ActionRow, status: ActionStatus, message?: string): void;
  cancel(action: ActionRow): void;
}

export function createHawkbitState(clock: () => number): HawkbitState {
  let lastId = 0;
  const state: HawkbitState = {
    sets: [],
    targets: [],
    rollouts: [],
    actions: [],
    addSet(name, version) {
      const set = { id: (lastId += 1), name, version, createdAt: clock(), valid: true };
      state.sets.push(set);
      return set;
    },
    addTarget(controllerId, tags) {
      const target: TargetRow = {
        controllerId,
        tags,
        assigned: null,
        installed: null,
        updateStatus: "registered",
        lastControllerRequestAt: null,
      };
      state.targets.push(target);
      return target;
    },
    addRollout({ set, filter, targets, groups = 1, errorPercent = 100, successPercent = 50 }) {
      const size = Math.ceil(targets.length / groups);
      const rollout: RolloutRow = {
        id: (lastId += 1),
        name: `rollout of ${set.version}`,
        set,
        targetFilterQuery: filter,
        errorPercent,
        successPercent,
        groups: Array.from({ length: groups }, (_, group) => ({
          targets: targets.slice(group * size, (group + 1) * size),
          isStarted: false,
          actions: [],
        })),
        status: "creating",
      };
      state.rollouts.push(rollout);
      return rollout;
    },
    assign(set, target, { offline = false } = {}) {
      if (target.assigned === set) return "already_assigned";
      takeOver(target, state);
      target.assigned = set;
      const action = createAction({ target, set, rolloutId: null }, "running", (lastId += 1), clock());
      state.actions.push(action);
      target.updateStatus = "pending";
      if (offline) {
        target.installed = set;
        target.updateStatus = "in_sync";
        action.active = false;
        state.touch(action, "finished", `${SERVER_SAYS}Action reported as offline deployment`);
      }
      return "assigned";
    },
    tick: () =>
      state.rollouts.forEach((rollout) => tick(rollout, state, () => ({ id: (lastId += 1), atMs: clock() }))),
    touch(action, status, message) {
      action.status = status;
      action.lastModifiedAt = clock();
      note(action, status, { atMs: action.lastModifiedAt, messages: message === undefined ? [] : [message] });
    },
    cancel: (action) => state.touch(action, "canceling", `${SERVER_SAYS}cancel requested`),
    hear: (target) => void (target.lastControllerRequestAt = clock()),
    retrieve(action) {
      if (action.history.at(-1)?.type === "retrieved") return;
      note(action, "retrieved", { atMs: clock() });
      if (action.status !== "canceling") action.status = "retrieved";
    },
    feedback: (action, told) => takeFeedback(action, told, { state, nowMs: clock() }),
  };
  return state;
}

/** Before every message that is the server's own and no device's. */
const SERVER_SAYS = "Update Server: ";

function createAction(
  of: Pick<ActionRow, "target" | "set" | "rolloutId">,
  status: "running" | "scheduled",
  id: number,
  atMs: number,
): ActionRow {
  const action: ActionRow = {
    id,
    ...of,
    createdAt: atMs,
    status,
    active: status === "running",
    lastModifiedAt: atMs,
    lastStatusCode: null,
    history: [],
  };
  note(action, status, { atMs, messages: [`${SERVER_SAYS}assignment`] });
  return action;
}

function note(
  { history }: ActionRow,
  type: ActionStatus,
  more: {
    atMs: number;
    deviceMs?: number | undefined;
    messages?: readonly string[];
    code?: number | undefined;
  },
): void {
  const { atMs, deviceMs = atMs, messages = [], code = null } = more;
  history.push({ type, reportedAt: atMs, timestamp: deviceMs, messages, code });
}

/** What a new assignment does to what the target had before it. */
function takeOver(target: TargetRow, state: HawkbitState): void {
  for (const action of state.actions) {
    if (action.target !== target) continue;
    if (action.status === "scheduled") state.touch(action, "canceled");
    else if (action.active && action.status !== "canceling") state.cancel(action);
  }
}

function tick(rollout: RolloutRow, state: HawkbitState, next: () => { id: number; atMs: number }): void {
  switch (rollout.status) {
    case "creating":
      rollout.status = "ready";
      return;
    case "starting":
      rollout.status = "running";
      schedule(rollout, state, next);
      startNextGroup(rollout, state);
      return;
    case "running":
      evaluateGroups(rollout, state);
      return;
    case "stopping":
      stopActions(rollout, state);
      return;
    case "ready":
    case "paused":
    case "stopped":
    case "finished":
      return;
  }
}

function schedule(rollout: RolloutRow, state: HawkbitState, next: () => { id: number; atMs: number }): void {
  for (const group of rollout.groups)
    for (const target of group.targets) {
      const { id, atMs } = next();
      const action = createAction({ target, set: rollout.set, rolloutId: rollout.id }, "scheduled", id, atMs);
      state.actions.push(action);
      group.actions.push(action);
    }
}

/** Scheduled actions are deleted; of the others the cancellation is asked for. `stopped` once none waits for anything else. */
function stopActions(rollout: RolloutRow, state: HawkbitState): void {
  for (const group of rollout.groups) {
    group.actions = group.actions.filter(({ status }) => status !== "scheduled");
    for (const action of group.actions)
      if (action.active && action.status !== "canceling") state.cancel(action);
  }
  for (let index = state.actions.length - 1; index >= 0; index -= 1) {
    const { rolloutId, status } = state.actions[index]!;
    if (rolloutId === rollout.id && status === "scheduled") state.actions.splice(index, 1);
  }
  rollout.status = "stopped";
}

/** Of all targets of the group, not of those that answered; an empty group counts as a success, and never as an error. */
function evaluateGroups(rollout: RolloutRow, state: HawkbitState): void {
  const current = rollout.groups.findLast(({ isStarted }) => isStarted);
  if (current === undefined) return;
  const total = current.targets.length;
  const having = (status: ActionStatus): number =>
    current.actions.filter((action) => action.status === status).length;
  if (total > 0 && having("error") / total > rollout.errorPercent / 100) {
    // What was handed out goes on.
    rollout.status = "paused";
    return;
  }
  if (total > 0 && having("finished") / total < rollout.successPercent / 100) return;
  const isLast = rollout.groups.every(({ isStarted }) => isStarted);
  if (!isLast) startNextGroup(rollout, state);
  else if (current.actions.every(({ active }) => !active)) rollout.status = "finished";
}

function startNextGroup(rollout: RolloutRow, state: HawkbitState): void {
  const group = rollout.groups.find(({ isStarted }) => !isStarted);
  if (group === undefined) return;
  group.isStarted = true;
  for (const action of group.actions) {
    if (action.status !== "scheduled") continue;
    const { target } = action;
    if (target.assigned === rollout.set) {
      // No device did anything, and no entry of its history says `finished`.
      action.status = "finished";
      action.lastModifiedAt = action.createdAt;
      note(action, "running", {
        atMs: action.createdAt,
        messages: [`${SERVER_SAYS}Distribution Set is already assigned. Skipping this action.`],
      });
      continue;
    }
    for (const other of state.actions)
      if (other.target === target && other.active && other.status !== "canceling") state.cancel(other);
    action.active = true;
    target.assigned = rollout.set;
    target.updateStatus = "pending";
    state.touch(action, "running");
  }
}

function takeFeedback(
  action: ActionRow,
  { execution, finished, code, timestamp, isOfCancel = false }: Feedback,
  { state, nowMs }: { readonly state: HawkbitState; readonly nowMs: number },
): void {
  const status = isOfCancel ? statusOfCancel(execution, finished) : statusOf(execution, finished);
  // Of a device that says nothing beside it, the server finds the words (DdiRootController, addMessageIfEmpty).
  const messages =
    code === undefined
      ? [
          `${SERVER_SAYS}Target reported ${execution.toUpperCase()}${finished === "failure" ? " with ERROR!" : " with OK!"}.`,
        ]
      : [];
  note(action, status, { atMs: nowMs, deviceMs: timestamp, code, messages });
  if (code !== undefined) action.lastStatusCode = code;
  const { target, set } = action;
  if (isOfCancel) {
    if (status === "canceled") confirmCancel(action, state);
    // A cancellation that failed or was rejected puts the action back.
    else if (status === "error" || status === "cancel_rejected") action.status = "running";
    return;
  }
  if (status === "error") {
    action.active = false;
    action.status = status;
    target.assigned = null;
    target.updateStatus = "error";
  } else if (status === "finished") {
    action.active = false;
    action.status = status;
    target.installed = set;
    target.updateStatus = target.assigned === set ? "in_sync" : "pending";
  } else if (action.status !== "canceling") {
    action.status = status;
    if (status === "canceled") confirmCancel(action, state);
  }
}

/** What the target is assigned then is its next action's set, or else what it has. */
function confirmCancel(action: ActionRow, { actions }: HawkbitState): void {
  action.active = false;
  action.status = "canceled";
  const { target } = action;
  const next = actions.find((other) => other.target === target && other.active);
  target.assigned = next === undefined ? target.installed : next.set;
  if (next === undefined) target.updateStatus = "in_sync";
}

function statusOf(execution: string, finished: string): ActionStatus {
  if (execution === "closed") return finished === "failure" ? "error" : "finished";
  if (execution === "canceled") return "canceled";
  if (execution === "rejected") return "warning";
  return execution === "download" || execution === "downloaded" ? execution : "running";
}

function statusOfCancel(execution: string, finished: string): ActionStatus {
  if (execution === "closed") return finished === "failure" ? "error" : "canceled";
  if (execution === "rejected") return "cancel_rejected";
  return execution === "canceled" ? "warning" : "running";
}
