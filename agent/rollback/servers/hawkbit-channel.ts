// What a Lastgood channel is at hawkBit, which has none: a filter of targets. Which set it offers, which sets it had, and
// which rollouts are its own, all of it from the server's state. Enters: a channel and its filter. Leaves: values.
//
// A channel offers the newest of the app's sets that one of its targets is assigned, or that a rollout may still hand out:
// hawkBit clears what a target is assigned when its update fails, so after a first group that failed to the last target
// nobody is assigned the bad set, and the next group would be. A paused rollout may be resumed, so it counts too, until a
// target of the channel was given another set after it: that is how a channel looks that was put back on a server that
// knows no stop. Where no target is assigned anything, what they have installed is what is left.
import { versionSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel, ChannelKey, Version } from "../../../ingest/contract/release-key.ts";
import type { Refused, Release, Unavailable } from "../ota-server.ts";
import { HAWKBIT_PAGE, quoted, quotedList, targetLists } from "./hawkbit-api.ts";
import type { HawkbitApi, HawkbitRollout, HawkbitSet } from "./hawkbit-api.ts";

/** Distribution sets that are looked at, newest first: each costs a question or two. */
export const HAWKBIT_SETS_MAX = 20;
/** Pages of rollouts that are looked through for a channel's own, newest first. */
export const HAWKBIT_ROLLOUT_PAGES_MAX = 5;
/** Pages of actions after a paused rollout that are looked through for one to a target of the channel. */
export const HAWKBIT_ANSWER_PAGES_MAX = 10;

type Wrong = Refused | Unavailable;

export interface HawkbitNames {
  readonly distributionSet: string;
  readonly targets: ReadonlyMap<Channel, string>;
}

/** A channel as it was found. */
export interface Found {
  readonly kind: "found";
  /** RSQL of its targets. */
  readonly filter: string;
  /** Those that may be offered, newest first. */
  readonly sets: readonly HawkbitSet[];
  readonly current: HawkbitSet | undefined;
  /** With this channel's filter, or over the targets that failed in one of those; of any set, newest first. */
  readonly rollouts: readonly HawkbitRollout[];
  /** With other filters. */
  readonly others: readonly HawkbitRollout[];
}

export function versionOf(set: HawkbitSet | undefined): Version | undefined {
  return versionSchema.safeParse(set?.version).data;
}

export async function findChannel(
  { channel }: Pick<ChannelKey, "channel">,
  { distributionSet, targets }: HawkbitNames,
  api: HawkbitApi,
): Promise<Found | Wrong> {
  const filter = targets.get(channel);
  if (filter === undefined)
    return refused(
      `ota_server.channels does not say which targets the channel ${channel} is: add ${channel}: { targets: "..." }`,
    );
  const [sets, rollouts] = await Promise.all([
    api.listSets({ q: `name==${quoted(distributionSet)}`, sort: "id:DESC", limit: HAWKBIT_SETS_MAX }),
    listRollouts(api),
  ]);
  if (sets.kind !== "page") return sets;
  if (!Array.isArray(rollouts)) return rollouts;
  if (sets.items.length === 0)
    return refused(
      `hawkBit has no distribution set named ${distributionSet}: check ota_server.distribution_set`,
    );
  const usable = sets.items.filter((set) => set.deleted !== true && versionOf(set) !== undefined);
  const there = rollouts.filter(({ deleted }) => deleted !== true);
  const own = ownOf(there, filter);
  const state = { filter, sets: usable, rollouts: own, others: there.filter((each) => !own.includes(each)) };
  const current = await currentOf(state, distributionSet, api);
  if (current.kind !== "current") return current;
  if (current.set === undefined && sets.total > sets.items.length)
    return refused(
      `none of the newest ${HAWKBIT_SETS_MAX} of ${sets.total} distribution sets named ${distributionSet} is on the targets of ${channel}: delete old sets, or check ota_server.channels`,
    );
  return { kind: "found", ...state, current: current.set };
}

async function listRollouts(api: HawkbitApi): Promise<HawkbitRollout[] | Wrong> {
  const rollouts: HawkbitRollout[] = [];
  for (let page = 0; page < HAWKBIT_ROLLOUT_PAGES_MAX; page += 1) {
    const answer = await api.listRollouts({
      sort: "id:DESC",
      offset: page * HAWKBIT_PAGE,
      limit: HAWKBIT_PAGE,
    });
    if (answer.kind !== "page") return answer;
    rollouts.push(...answer.items);
    if (answer.items.length < HAWKBIT_PAGE) break;
  }
  return rollouts;
}

function refused(detail: string): Refused {
  return { kind: "refused", detail };
}

/** `retry` makes a rollout over the targets that failed in another one: `failedrollout==17`. */
function ownOf(rollouts: readonly HawkbitRollout[], filter: string): readonly HawkbitRollout[] {
  const ids = new Set<number>();
  // A retry has a higher id than what it retries.
  for (const { id, targetFilterQuery } of rollouts.toSorted((left, right) => left.id - right.id)) {
    const retried = /^failedrollout==['"]?(\d+)['"]?$/i.exec(targetFilterQuery.trim())?.[1];
    if (targetFilterQuery.trim() === filter.trim() || ids.has(Number(retried))) ids.add(id);
  }
  return rollouts.filter(({ id }) => ids.has(id));
}

export const within = (filter: string, condition: string): string => `(${filter});${condition}`;
export const having = (what: "assignedds" | "installedds", { name, version }: HawkbitSet): string =>
  `${what}.name==${quoted(name)};${what}.version==${quoted(version)}`;

const HANDS_OUT: ReadonlySet<string> = new Set(["starting", "running"]);

type Current = { readonly kind: "current"; readonly set: HawkbitSet | undefined };

async function currentOf(
  { sets, filter, rollouts }: Pick<Found, "sets" | "filter" | "rollouts">,
  distributionSet: string,
  api: HawkbitApi,
): Promise<Current | Wrong> {
  for (const set of sets) {
    const its = rollouts.filter(({ distributionSetId }) => distributionSetId === set.id);
    if (its.some(({ status }) => HANDS_OUT.has(status))) return { kind: "current", set };
    const answer = await api.listTargets({ q: within(filter, having("assignedds", set)), limit: 1 });
    if (answer.kind !== "page") return answer;
    if (answer.total > 0) return { kind: "current", set };
    const paused = its.find(({ status }) => status === "paused");
    if (paused === undefined) continue;
    const answered = await wasAnswered(paused, { filter, distributionSet }, api);
    if (typeof answered !== "boolean") return answered;
    if (!answered) return { kind: "current", set };
  }
  for (const set of sets) {
    const answer = await api.listTargets({ q: within(filter, having("installedds", set)), limit: 1 });
    if (answer.kind !== "page") return answer;
    if (answer.total > 0) return { kind: "current", set };
  }
  return { kind: "current", set: undefined };
}

/** Whether a target of the channel was given another set after everything that this rollout made. */
async function wasAnswered(
  rollout: HawkbitRollout,
  { filter, distributionSet }: { readonly filter: string; readonly distributionSet: string },
  api: HawkbitApi,
): Promise<boolean | Wrong> {
  const newest = await api.listActions({ q: `rollout.id==${rollout.id}`, sort: "id:DESC", limit: 1 });
  if (newest.kind !== "page") return newest;
  let after = newest.items[0]?.id;
  for (let page = 0; after !== undefined && page < HAWKBIT_ANSWER_PAGES_MAX; page += 1) {
    const q: string = `distributionset.name==${quoted(distributionSet)};id=gt=${after}`;
    const actions = await api.listActions({ q, sort: "id:ASC", limit: HAWKBIT_PAGE });
    if (actions.kind !== "page") return actions;
    const others = actions.items.filter(({ setId }) => setId !== rollout.distributionSetId);
    const found = await isAnyOf(
      others.map(({ controllerId }) => controllerId),
      filter,
      api,
    );
    if (found !== false) return found;
    after = actions.items.length < HAWKBIT_PAGE ? undefined : actions.items.at(-1)!.id;
  }
  return false;
}

async function isAnyOf(
  targets: readonly string[],
  filter: string,
  api: HawkbitApi,
): Promise<boolean | Wrong> {
  for (const some of targetLists([...new Set(targets)])) {
    const q = within(filter, `controllerid=in=${quotedList(some)}`);
    const answer = await api.listTargets({ q, limit: 1 });
    if (answer.kind !== "page") return answer;
    if (answer.total > 0) return true;
  }
  return false;
}

const HAD_BEGUN: ReadonlySet<string> = new Set(["running", "paused", "finished", "stopping", "stopped"]);

/**
 * What the channel can be set to: sets that were on it, by a rollout with its very filter or because one of its targets has
 * them installed. A set that only another channel ever had is none: it may be what is being tried out there.
 */
export async function releasesOf(
  { sets, filter, current, rollouts }: Found,
  api: HawkbitApi,
): Promise<Release[] | Wrong> {
  const rolledOut = new Set(
    rollouts.filter(({ status }) => HAD_BEGUN.has(status)).map(({ distributionSetId }) => distributionSetId),
  );
  const releases: Release[] = [];
  for (const set of sets) {
    const { id, createdAt, valid, complete } = set;
    const isCurrent = id === current?.id;
    if (!isCurrent && (valid === false || complete === false)) continue;
    if (!isCurrent && !rolledOut.has(id)) {
      const installed = await api.listTargets({ q: within(filter, having("installedds", set)), limit: 1 });
      if (installed.kind !== "page") return installed;
      if (installed.total === 0) continue;
    }
    releases.push({ version: versionOf(set)!, releasedAt: new Date(createdAt).toISOString() });
  }
  return releases;
}

/** In which a rollout may still hand its set out. */
const OPEN: ReadonlySet<string> = new Set([
  "creating",
  "waiting_for_approval",
  "ready",
  "starting",
  "running",
  "paused",
]);

/**
 * Rollouts that may still hand the set to the channel's targets and to nobody else: the channel's own, and those whose
 * filter finds none but them. One that reaches further is another channel's too, and left alone.
 */
export async function openRolloutsOf(
  set: HawkbitSet,
  { rollouts, others, filter }: Found,
  api: HawkbitApi,
): Promise<HawkbitRollout[] | Wrong> {
  const isOpen = ({ distributionSetId, status }: HawkbitRollout): boolean =>
    distributionSetId === set.id && OPEN.has(status);
  const open = rollouts.filter(isOpen);
  for (const rollout of others.filter(isOpen)) {
    const all = await api.listTargets({ q: rollout.targetFilterQuery, limit: 1 });
    if (all.kind === "unavailable") return all;
    const inside = await api.listTargets({ q: within(filter, `(${rollout.targetFilterQuery})`), limit: 1 });
    if (inside.kind === "unavailable") return inside;
    // A filter that targets can't be listed by (a retry of another channel's) is refused: not ours.
    if (all.kind === "page" && inside.kind === "page" && all.total > 0 && all.total === inside.total)
      open.push(rollout);
  }
  return open;
}
