// What a hawkBit server holds: distribution sets, targets, rollouts in groups, actions; and what its scheduler and its
// devices make of them (shared reference, ota-systems.md 2.1 to 2.3). No HTTP, no timer: whoever tests lets time pass.

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
}

export type ActionStatus =
  | "finished"
  | "error"
  | "warning"
  | "running"
  | "canceled"
  | "canceling"
  | "retrieved"
  | "download"
  | "downloaded";

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
  readonly history: { readonly type: ActionStatus; readonly timestamp: number }[];
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

export interface RolloutRow {
  readonly id: number;
  readonly name: string;
  readonly set: SetRow;
  readonly targetFilterQuery: string;
  /** Of the group's targets, in percent: more than this in error pauses the rollout; strictly more. */
  readonly errorPercent: number;
  readonly successPercent: number;
  readonly groups: { readonly targets: readonly TargetRow[]; isStarted: boolean; actions: ActionRow[] }[];
  status: RolloutStatus;
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
  assign(set: SetRow, target: TargetRow, rolloutId?: number): "assigned" | "already_assigned";
  /** One run of the scheduler, which hawkBit has every two seconds. */
  tick(): void;
  feedback(action: ActionRow, told: { execution: string; finished: string; code?: number | undefined }): void;
  touch(action: ActionRow, status: ActionStatus): void;
}

export function createHawkbitState(clock: () => number): HawkbitState {
  let lastId = 0;
  const nextId = (): number => (lastId += 1);
  const state: HawkbitState = {
    sets: [],
    targets: [],
    rollouts: [],
    actions: [],
    addSet(name, version) {
      const set = { id: nextId(), name, version, createdAt: clock(), valid: true };
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
      };
      state.targets.push(target);
      return target;
    },
    addRollout({ set, filter, targets, groups = 1, errorPercent = 100, successPercent = 50 }) {
      const size = Math.ceil(targets.length / groups);
      const rollout: RolloutRow = {
        id: nextId(),
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
    assign(set, target, rolloutId) {
      if (target.assigned === set) return "already_assigned";
      for (const action of state.actions)
        if (action.target === target && action.active) state.touch(action, "canceling");
      target.assigned = set;
      target.updateStatus = "pending";
      const nowMs = clock();
      state.actions.push({
        id: nextId(),
        target,
        set,
        rolloutId: rolloutId ?? null,
        createdAt: nowMs,
        status: "running",
        active: true,
        lastModifiedAt: nowMs,
        lastStatusCode: null,
        history: [{ type: "running", timestamp: nowMs }],
      });
      return "assigned";
    },
    tick: () => state.rollouts.forEach((rollout) => tick(rollout, state)),
    touch(action, status) {
      action.status = status;
      action.lastModifiedAt = clock();
      action.history.push({ type: status, timestamp: action.lastModifiedAt });
    },
    feedback: (action, told) => takeFeedback(action, told, state),
  };
  return state;
}

function tick(rollout: RolloutRow, state: HawkbitState): void {
  switch (rollout.status) {
    case "creating":
      rollout.status = "ready";
      return;
    case "starting":
      rollout.status = "running";
      startNextGroup(rollout, state);
      return;
    case "running":
      evaluateGroups(rollout, state);
      return;
    case "stopping":
      for (const { actions } of rollout.groups)
        for (const action of actions)
          if (action.active && action.status !== "canceling") state.touch(action, "canceling");
      rollout.status = "stopped";
      return;
    case "ready":
    case "paused":
    case "stopped":
    case "finished":
      return;
  }
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
  for (const target of group.targets)
    if (state.assign(rollout.set, target, rollout.id) === "assigned")
      group.actions.push(state.actions.at(-1)!);
}

function takeFeedback(
  action: ActionRow,
  { execution, finished, code }: { execution: string; finished: string; code?: number | undefined },
  state: HawkbitState,
): void {
  if (code !== undefined) action.lastStatusCode = code;
  const { target, set } = action;
  if (action.status === "canceling") {
    // A failed cancel puts the action back; everything else ends it.
    const isBack = execution === "closed" && finished === "failure";
    state.touch(action, isBack ? "running" : "canceled");
    action.active = isBack;
    return;
  }
  const closed = (status: "error" | "finished" | "canceled"): void => {
    state.touch(action, status);
    action.active = false;
  };
  if (execution === "closed" && finished === "failure") {
    closed("error");
    target.assigned = null;
    target.updateStatus = "error";
  } else if (execution === "closed") {
    closed("finished");
    target.installed = set;
    target.updateStatus = target.assigned === set ? "in_sync" : "pending";
  } else if (execution === "canceled") closed("canceled");
  else if (execution === "rejected") state.touch(action, "warning");
  else if (execution === "download" || execution === "downloaded") state.touch(action, execution);
  else state.touch(action, "running");
}
