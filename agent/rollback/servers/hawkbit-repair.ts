// What is done at hawkBit to put a channel's targets back: rollouts of the bad set are stopped, and the earlier set is
// assigned to whoever needs it. Every step looks first, so that a second run does what the first one left. Enters: the
// sets and the filter. Leaves: undefined, or why it is not done.
import type { Refused, Unavailable } from "../ota-server.ts";
import { HAWKBIT_PAGE_MAX, quoted, statusOf } from "./hawkbit-api.ts";
import type { HawkbitApi, HawkbitRollout, HawkbitSet, HawkbitTarget } from "./hawkbit-api.ts";
import { HAWKBIT_TARGETS_AT_ONCE, having, within } from "./hawkbit-channel.ts";

/** Pages of targets that one rollback assigns; beyond that it goes on at the next try. */
export const HAWKBIT_TARGET_PAGES_MAX = 400;

type Wrong = Refused | Unavailable;

export interface Replacement {
  readonly bad: HawkbitSet;
  readonly target: HawkbitSet;
  readonly filter: string;
}

/** Leaves the ids of those that could only be paused: servers before 0.10 know no stop. */
export async function stopRollouts(
  rollouts: readonly HawkbitRollout[],
  api: HawkbitApi,
): Promise<{ readonly kind: "halted"; readonly pausedOnly: readonly number[] } | Wrong> {
  const pausedOnly: number[] = [];
  for (const { id, status } of rollouts) {
    const stopped = await api.changeRollout(id, "stop");
    if (stopped.kind === "done") continue;
    if (stopped.kind !== "illegal_state") return stopped;
    if (status !== "paused") {
      const paused = await api.changeRollout(id, "pause");
      if (paused.kind === "illegal_state")
        // It may have ended, or been paused, since it was listed: the next try sees that.
        return {
          kind: "unavailable",
          detail: `rollout ${id} (${status}) could be neither stopped nor paused: ${paused.detail}`,
        };
      if (paused.kind !== "done") return paused;
    }
    pausedOnly.push(id);
  }
  return { kind: "halted", pausedOnly };
}

/** Every target that is assigned the bad set. */
export async function assignToAssigned(change: Replacement, api: HawkbitApi): Promise<Wrong | undefined> {
  const { bad, target, filter } = change;
  let before: string | undefined;
  // Who was assigned it leaves this list with each page, so it is always the first page that is read.
  for (let page = 0; page < HAWKBIT_TARGET_PAGES_MAX; page += 1) {
    const answer = await listTargets(within(filter, having("assignedds", bad)), 0, api);
    if (answer.kind !== "page") return answer;
    if (answer.items.length === 0) return undefined;
    const first = answer.items[0]!.controllerId;
    if (first === before)
      return {
        kind: "unavailable",
        detail: `hawkBit took the assignment of ${target.version}, but still has ${bad.version} assigned to ${first} and others`,
      };
    before = first;
    const wrong = await assign(target, answer.items, api);
    if (wrong !== undefined) return wrong;
  }
  return {
    kind: "unavailable",
    detail: `more than ${HAWKBIT_TARGET_PAGES_MAX * HAWKBIT_PAGE_MAX} targets: the rest at the next try`,
  };
}

/** Who has it installed stays in this list until the device has gone back; to assign it again changes nothing. */
export async function assignToInstalled(
  { bad, target, filter }: Replacement,
  api: HawkbitApi,
): Promise<Wrong | undefined> {
  for (let page = 0; page < HAWKBIT_TARGET_PAGES_MAX; page += 1) {
    const answer = await listTargets(within(filter, having("installedds", bad)), page, api);
    if (answer.kind !== "page") return answer;
    if (answer.items.length === 0) return undefined;
    const wrong = await assign(target, answer.items, api);
    if (wrong !== undefined) return wrong;
    if (answer.items.length < HAWKBIT_PAGE_MAX) return undefined;
  }
  return undefined;
}

/**
 * A target whose update failed is assigned nothing any more. Where hawkBit knows what it has installed it runs that, and
 * needs nothing; where it does not (the bad set was its first one there) what it runs is anybody's guess, and it is given
 * the earlier set.
 */
export async function assignToFailed(
  { bad, target, filter }: Replacement,
  api: HawkbitApi,
): Promise<Wrong | undefined> {
  const failed = await allTargets(within(filter, "updatestatus==error"), api);
  if (!Array.isArray(failed)) return failed;
  if (failed.length === 0) return undefined;
  // Asked for as those that have any: how an absent set compares with a text differs between versions.
  const known = await allTargets(within(filter, "updatestatus==error;installedds.name==*"), api);
  if (!Array.isArray(known)) return known;
  const knownIds = new Set(known.map(({ controllerId }) => controllerId));
  const unknown = failed.filter(({ controllerId }) => !knownIds.has(controllerId));
  for (let first = 0; first < unknown.length; first += HAWKBIT_TARGETS_AT_ONCE) {
    const ids = unknown
      .slice(first, first + HAWKBIT_TARGETS_AT_ONCE)
      .map(({ controllerId }) => quoted(controllerId));
    const actions = await api.listActions({
      q: `distributionset.id==${bad.id};target.controllerid=in=(${ids.join(",")})`,
      limit: HAWKBIT_PAGE_MAX,
    });
    if (actions.kind !== "page") return actions;
    const byBad = new Set(
      actions.items.filter((action) => statusOf(action) === "error").map(({ controllerId }) => controllerId),
    );
    const these = unknown.filter(({ controllerId }) => byBad.has(controllerId));
    const wrong = these.length === 0 ? undefined : await assign(target, these, api);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

async function assign(
  { id }: HawkbitSet,
  targets: readonly HawkbitTarget[],
  api: HawkbitApi,
): Promise<Wrong | undefined> {
  const answer = await api.assign(
    id,
    targets.map(({ controllerId }) => controllerId),
  );
  return answer.kind === "done" ? undefined : answer;
}

function listTargets(q: string, page: number, api: HawkbitApi): ReturnType<HawkbitApi["listTargets"]> {
  return api.listTargets({
    q,
    sort: "controllerId:ASC",
    offset: page * HAWKBIT_PAGE_MAX,
    limit: HAWKBIT_PAGE_MAX,
  });
}

async function allTargets(q: string, api: HawkbitApi): Promise<HawkbitTarget[] | Wrong> {
  const targets: HawkbitTarget[] = [];
  for (let page = 0; page < HAWKBIT_TARGET_PAGES_MAX; page += 1) {
    const answer = await listTargets(q, page, api);
    if (answer.kind !== "page") return answer;
    targets.push(...answer.items);
    if (answer.items.length < HAWKBIT_PAGE_MAX) break;
  }
  return targets;
}
