// What is done at hawkBit to put a channel's targets back: rollouts of the bad set are stopped, and the earlier set is
// assigned to whoever needs it. Every step looks first, so that a second run does what the first one left. Enters: the
// sets and the filter. Leaves: undefined, or why it is not done.
import type { Refused, Unavailable } from "../ota-server.ts";
import { HAWKBIT_PAGE, quotedList, statusOf, targetLists } from "./hawkbit-api.ts";
import type { HawkbitApi, HawkbitRollout, HawkbitSet } from "./hawkbit-api.ts";
import { having, within } from "./hawkbit-channel.ts";

/** Pages of targets that one rollback assigns; beyond that it goes on at the next try. */
export const HAWKBIT_TARGET_PAGES_MAX = 1_000;

type Wrong = Refused | Unavailable;

export interface Repair {
  /** What the channel offers. */
  readonly bad: HawkbitSet;
  /** What lies between the two: of a channel that goes back further, no target is left on what was passed over. */
  readonly between: readonly HawkbitSet[];
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

/** Undefined = every target that needs the earlier set was assigned it. */
export async function repairTargets(repair: Repair, api: HawkbitApi): Promise<Wrong | undefined> {
  const first = await targetsBesides(repair, api);
  if (!Array.isArray(first)) return first;
  for (let at = 0; at < first.length; at += HAWKBIT_PAGE) {
    const wrong = await assign(repair.target, first.slice(at, at + HAWKBIT_PAGE), api);
    if (wrong !== undefined) return wrong;
  }
  return assignInstead(repair, api);
}

/**
 * Who needs it and is not assigned the bad set. They come first: as long as a target is assigned the bad one the channel
 * offers it, and a second run does what the first one left.
 */
async function targetsBesides(repair: Repair, api: HawkbitApi): Promise<string[] | Wrong> {
  const { bad, between, filter } = repair;
  const ids = new Set<string>();
  const conditions = [
    ...between.map((set) => having("assignedds", set)),
    ...[bad, ...between].map((set) => having("installedds", set)),
  ];
  for (const condition of conditions) {
    const found = await allTargets(within(filter, condition), api);
    if (!Array.isArray(found)) return found;
    for (const id of found) ids.add(id);
  }
  const failed = await failedTargets(repair, api);
  if (!Array.isArray(failed)) return failed;
  for (const id of failed) ids.add(id);
  if (ids.size === 0) return [];
  const last = await allTargets(within(filter, having("assignedds", bad)), api);
  if (!Array.isArray(last)) return last;
  for (const id of last) ids.delete(id);
  return [...ids];
}

/** Who is assigned the bad set leaves this list with each page, so it is always the first page that is read. */
async function assignInstead({ bad, target, filter }: Repair, api: HawkbitApi): Promise<Wrong | undefined> {
  let before: string | undefined;
  for (let page = 0; page < HAWKBIT_TARGET_PAGES_MAX; page += 1) {
    const answer = await listTargets(within(filter, having("assignedds", bad)), 0, api);
    if (answer.kind !== "page") return answer;
    const [first] = answer.items;
    if (first === undefined) return undefined;
    if (first.controllerId === before)
      return {
        kind: "unavailable",
        detail: `hawkBit took the assignment of ${target.version}, but still has ${bad.version} assigned to ${before} and others`,
      };
    before = first.controllerId;
    const wrong = await assign(
      target,
      answer.items.map(({ controllerId }) => controllerId),
      api,
    );
    if (wrong !== undefined) return wrong;
  }
  return {
    kind: "unavailable",
    detail: `more than ${HAWKBIT_TARGET_PAGES_MAX * HAWKBIT_PAGE} targets: the rest at the next try`,
  };
}

/**
 * A target whose update failed is assigned nothing any more. Where hawkBit knows what it has installed it runs that, and
 * needs nothing; where it does not (the bad set was its first one there) what it runs is anybody's guess, and it is given
 * the earlier set.
 */
async function failedTargets({ bad, filter }: Repair, api: HawkbitApi): Promise<string[] | Wrong> {
  const failed = await allTargets(within(filter, "updatestatus==error"), api);
  if (!Array.isArray(failed) || failed.length === 0) return failed;
  // Asked for as those that have any: how an absent set compares with a text differs between versions.
  const known = await allTargets(within(filter, "updatestatus==error;installedds.name==*"), api);
  if (!Array.isArray(known)) return known;
  const knownIds = new Set(known);
  const byBad = new Set<string>();
  for (const some of targetLists(failed.filter((id) => !knownIds.has(id)))) {
    const q = `distributionset.id==${bad.id};target.controllerid=in=${quotedList(some)}`;
    const actions = await api.listActions({ q, sort: "id:DESC", limit: HAWKBIT_PAGE });
    if (actions.kind !== "page") return actions;
    for (const action of actions.items) if (statusOf(action) === "error") byBad.add(action.controllerId);
  }
  return [...byBad];
}

async function assign(
  { id }: HawkbitSet,
  targets: readonly string[],
  api: HawkbitApi,
): Promise<Wrong | undefined> {
  const answer = await api.assign(id, targets);
  return answer.kind === "done" ? undefined : answer;
}

function listTargets(q: string, page: number, api: HawkbitApi): ReturnType<HawkbitApi["listTargets"]> {
  return api.listTargets({
    q,
    sort: "controllerId:ASC",
    offset: page * HAWKBIT_PAGE,
    limit: HAWKBIT_PAGE,
  });
}

async function allTargets(q: string, api: HawkbitApi): Promise<string[] | Wrong> {
  const targets: string[] = [];
  for (let page = 0; page < HAWKBIT_TARGET_PAGES_MAX; page += 1) {
    const answer = await listTargets(q, page, api);
    if (answer.kind !== "page") return answer;
    targets.push(...answer.items.map(({ controllerId }) => controllerId));
    if (answer.items.length < HAWKBIT_PAGE) break;
  }
  return targets;
}
