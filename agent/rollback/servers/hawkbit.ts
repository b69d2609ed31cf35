// OTA server of type `hawkbit`. It has no channel that points at a release: it has targets, each with the distribution set
// that it was assigned. So a channel here is a filter of targets, and what it offers is the newest of the app's sets that
// any of them is assigned now. Going back is: the bad set's rollouts on these targets are stopped, so that no further group
// begins, and the earlier set is assigned to every target that was assigned the bad one or has it installed. When none is
// assigned it any more the channel offers the earlier one: nothing of it is kept on our side.
//
// A target whose update failed has nothing assigned (hawkBit clears it) and runs what it ran before: it needs no repair,
// unless it says that the bad set is installed. Enters: the port's requests. Leaves: the port's answers.
import { versionSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel, ChannelKey, Version } from "../../../ingest/contract/release-key.ts";
import { createInTurn } from "../in-turn.ts";
import type {
  ChannelAnswer,
  ChannelState,
  OtaServer,
  PauseRequest,
  Refused,
  Release,
  RollbackAnswer,
  RollbackRequest,
  Unavailable,
} from "../ota-server.ts";
import { HAWKBIT_PAGE_MAX, createHawkbitApi, quoted } from "./hawkbit-api.ts";
import type { HawkbitApi, HawkbitApiOptions, HawkbitRollout, HawkbitSet } from "./hawkbit-api.ts";

/** Distribution sets that are looked at, newest first: each costs a question or two. */
export const HAWKBIT_SETS_MAX = 20;
/** Rollouts that are looked through for a channel's own, newest first. */
export const HAWKBIT_ROLLOUTS_MAX = HAWKBIT_PAGE_MAX;
/** Pages of targets that one rollback assigns; beyond that it goes on at the next try. */
export const HAWKBIT_TARGET_PAGES_MAX = 400;

export interface HawkbitOtaServerOptions extends HawkbitApiOptions {
  readonly distributionSet: string;
  readonly targets: ReadonlyMap<Channel, string>;
  readonly invalidate: boolean;
}

type Wrong = Refused | Unavailable;

interface Hawkbit {
  readonly api: HawkbitApi;
  readonly options: HawkbitOtaServerOptions;
}

/** A channel as it was found. */
interface Found {
  readonly kind: "found";
  /** RSQL of its targets. */
  readonly filter: string;
  /** Those that may be offered, newest first. */
  readonly sets: readonly HawkbitSet[];
  readonly current: HawkbitSet | undefined;
  /** On this channel's targets, of any set, newest first. */
  readonly rollouts: readonly HawkbitRollout[];
}

export function createHawkbitOtaServer(options: HawkbitOtaServerOptions): OtaServer {
  const hawkbit: Hawkbit = { api: createHawkbitApi(options), options };
  const inTurn = createInTurn();
  return {
    type: "hawkbit",
    capabilities: { rollback: true, pause: true },
    readChannel: (key) => readChannel(key, hawkbit),
    rollback: (request) => inTurn(request, () => rollback(request, hawkbit)),
    pause: (request) => inTurn(request, () => pause(request, hawkbit)),
  };
}

async function readChannel(key: ChannelKey, hawkbit: Hawkbit): Promise<ChannelAnswer> {
  const found = await find(key, hawkbit);
  if (found.kind !== "found") return found;
  const releases = await releasesOf(found, hawkbit);
  if (!Array.isArray(releases)) return releases;
  return { kind: "channel", state: toState(found, releases) };
}

function toState({ current, rollouts }: Found, releases: readonly Release[]): ChannelState {
  const version = current === undefined ? null : versionOf(current);
  const statuses = rollouts
    .filter(({ distributionSetId }) => distributionSetId === current?.id)
    .map(({ status }) => status);
  // A rollout that has ended says nothing: then the word of the last pause is what there is.
  const paused = statuses.includes("running") ? false : statuses.includes("paused") ? true : undefined;
  return { version: version ?? null, releases, ...(paused === undefined ? {} : { paused }) };
}

function versionOf(set: HawkbitSet): Version | undefined {
  return versionSchema.safeParse(set.version).data;
}

async function find(key: ChannelKey, { api, options }: Hawkbit): Promise<Found | Wrong> {
  const filter = options.targets.get(key.channel);
  if (filter === undefined)
    return {
      kind: "refused",
      detail: `ota_server.channels does not say which targets the channel ${key.channel} is: add ${key.channel}: { targets: "..." }`,
    };
  const [sets, rollouts] = await Promise.all([
    api.listSets({ q: `name==${quoted(options.distributionSet)}`, sort: "id:DESC", limit: HAWKBIT_SETS_MAX }),
    api.listRollouts({ sort: "id:DESC", limit: HAWKBIT_ROLLOUTS_MAX }),
  ]);
  if (sets.kind !== "page") return sets;
  if (rollouts.kind !== "page") return rollouts;
  if (sets.items.length === 0)
    return {
      kind: "refused",
      detail: `hawkBit has no distribution set named ${options.distributionSet}: check ota_server.distribution_set`,
    };
  const usable = sets.items
    .filter(({ deleted }) => deleted !== true)
    .filter((set) => versionOf(set) !== undefined);
  const own = rollouts.items.filter(
    ({ targetFilterQuery, deleted }) => deleted !== true && targetFilterQuery.trim() === filter.trim(),
  );
  const current = await currentOf({ sets: usable, filter, rollouts: own }, api);
  if (current.kind !== "current") return current;
  return { kind: "found", filter, sets: usable, current: current.set, rollouts: own };
}

const within = (filter: string, condition: string): string => `(${filter});${condition}`;
const having = (what: "assignedds" | "installedds", { name, version }: HawkbitSet): string =>
  `${what}.name==${quoted(name)};${what}.version==${quoted(version)}`;

/**
 * The newest set that any target of the channel is assigned, or that a running rollout hands out: of a first group that
 * failed to the last target none is assigned it any more, and the next group would be.
 */
async function currentOf(
  { sets, filter, rollouts }: Pick<Found, "sets" | "filter" | "rollouts">,
  api: HawkbitApi,
): Promise<{ readonly kind: "current"; readonly set: HawkbitSet | undefined } | Wrong> {
  const handedOut = new Set(
    rollouts.filter(({ status }) => HANDS_OUT.has(status)).map(({ distributionSetId }) => distributionSetId),
  );
  for (const set of sets) {
    if (handedOut.has(set.id)) return { kind: "current", set };
    const answer = await api.listTargets({ q: within(filter, having("assignedds", set)), limit: 1 });
    if (answer.kind !== "page") return answer;
    if (answer.total > 0) return { kind: "current", set };
  }
  return { kind: "current", set: undefined };
}

/**
 * What the channel can be set to: sets that were on it, by a rollout with its very filter or because one of its targets has
 * them installed. A set that only another channel ever had is none: it may be what is being tried out there.
 */
async function releasesOf(
  { sets, filter, current, rollouts }: Found,
  { api }: Hawkbit,
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

const HAD_BEGUN: ReadonlySet<string> = new Set(["running", "paused", "finished", "stopping", "stopped"]);
const HANDS_OUT: ReadonlySet<string> = new Set(["starting", "running"]);
/** In which a rollout may still hand the set out. */
const OPEN: ReadonlySet<string> = new Set([
  "creating",
  "waiting_for_approval",
  "ready",
  "starting",
  "running",
  "paused",
]);

async function rollback(request: RollbackRequest, hawkbit: Hawkbit): Promise<RollbackAnswer> {
  const before = await find(request, hawkbit);
  if (before.kind !== "found") return before;
  const offered = before.current === undefined ? undefined : versionOf(before.current);
  if (offered === request.to) return { kind: "done", version: request.to };
  if (offered !== request.from)
    return { kind: "stale", detail: `its targets are assigned ${offered ?? "nothing"}, not ${request.from}` };
  const releases = await releasesOf(before, hawkbit);
  if (!Array.isArray(releases)) return releases;
  const target = before.sets.find((set) => versionOf(set) === request.to);
  const isEarlier =
    target !== undefined && before.sets.indexOf(target) > before.sets.indexOf(before.current!);
  if (!isEarlier || !releases.some(({ version }) => version === request.to))
    return {
      kind: "refused",
      detail: `${request.to} was never on these targets, or its distribution set is newer, or not valid any more`,
    };
  const bad = before.current!;
  const stopped = await stopRollouts(
    before.rollouts.filter(({ distributionSetId }) => distributionSetId === bad.id),
    hawkbit,
  );
  if (stopped !== undefined) return stopped;
  // Also what lies between the two: of a channel that goes back further, no target is left on what was passed over.
  const replaced = before.sets.slice(before.sets.indexOf(bad), before.sets.indexOf(target));
  for (const set of replaced) {
    const assigned = await assignInstead({ bad: set, target, filter: before.filter }, hawkbit);
    if (assigned !== undefined) return assigned;
  }
  const invalidated = hawkbit.options.invalidate
    ? await hawkbit.api.invalidate(bad.id)
    : { kind: "done" as const };
  if (invalidated.kind === "unavailable") return invalidated;
  const after = await find(request, hawkbit);
  if (after.kind !== "found") return after.kind === "refused" ? { ...after, kind: "unavailable" } : after;
  const now = after.current === undefined ? undefined : versionOf(after.current);
  if (now === undefined || now === request.from)
    return {
      kind: "unavailable",
      detail: `targets were assigned ${request.from} meanwhile: an auto-assignment, or a rollout that begins its next group`,
    };
  return { kind: "done", version: now };
}

/** Undefined = none of them hands the set out any more. Servers before 0.10 know no stop: there a pause is the most. */
async function stopRollouts(
  rollouts: readonly HawkbitRollout[],
  { api }: Hawkbit,
): Promise<Wrong | undefined> {
  for (const { id, status } of rollouts) {
    if (!OPEN.has(status)) continue;
    const stopped = await api.changeRollout(id, "stop");
    if (stopped.kind === "done") continue;
    if (stopped.kind !== "illegal_state") return stopped;
    if (status === "paused") continue;
    const paused = await api.changeRollout(id, "pause");
    if (paused.kind === "done") continue;
    if (paused.kind !== "illegal_state") return paused;
    // It may have ended, or been paused, since it was listed: the next try sees that.
    return {
      kind: "unavailable",
      detail: `rollout ${id} (${status}) could be neither stopped nor paused: ${paused.detail}`,
    };
  }
  return undefined;
}

interface Replacement {
  readonly bad: HawkbitSet;
  readonly target: HawkbitSet;
  readonly filter: string;
}

/** Undefined = every target that had the bad set was assigned the other one. */
async function assignInstead(
  { bad, target, filter }: Replacement,
  { api }: Hawkbit,
): Promise<Wrong | undefined> {
  // Who was assigned it leaves this list with each page, so it is always the first page that is read.
  for (let page = 0; page < HAWKBIT_TARGET_PAGES_MAX; page += 1) {
    const answer = await api.listTargets({
      q: within(filter, having("assignedds", bad)),
      sort: "controllerId:ASC",
      limit: HAWKBIT_PAGE_MAX,
    });
    if (answer.kind !== "page") return answer;
    if (answer.items.length === 0) return assignToInstalled({ bad, target, filter }, api);
    const assigned = await api.assign(
      target.id,
      answer.items.map(({ controllerId }) => controllerId),
    );
    if (assigned.kind !== "done") return assigned;
  }
  return {
    kind: "unavailable",
    detail: `more than ${HAWKBIT_TARGET_PAGES_MAX * HAWKBIT_PAGE_MAX} targets: the rest at the next try`,
  };
}

/** Who has it installed stays in this list until the device has gone back; to assign it again changes nothing. */
async function assignToInstalled(
  { bad, target, filter }: Replacement,
  api: HawkbitApi,
): Promise<Wrong | undefined> {
  for (let page = 0; page < HAWKBIT_TARGET_PAGES_MAX; page += 1) {
    const answer = await api.listTargets({
      q: within(filter, having("installedds", bad)),
      sort: "controllerId:ASC",
      offset: page * HAWKBIT_PAGE_MAX,
      limit: HAWKBIT_PAGE_MAX,
    });
    if (answer.kind !== "page") return answer;
    if (answer.items.length === 0) return undefined;
    const assigned = await api.assign(
      target.id,
      answer.items.map(({ controllerId }) => controllerId),
    );
    if (assigned.kind !== "done") return assigned;
    if (answer.items.length < HAWKBIT_PAGE_MAX) return undefined;
  }
  return undefined;
}

/** No new group begins; actions that were handed out go on to their end, which is what the port's pause promises. */
async function pause(request: PauseRequest, hawkbit: Hawkbit): Promise<RollbackAnswer> {
  const found = await find(request, hawkbit);
  if (found.kind !== "found") return found;
  const offered = found.current === undefined ? undefined : versionOf(found.current);
  if (offered !== request.version)
    return {
      kind: "stale",
      detail: `its targets are assigned ${offered ?? "nothing"}, not ${request.version}`,
    };
  const own = found.rollouts.filter(({ distributionSetId }) => distributionSetId === found.current!.id);
  const running = own.filter(({ status }) => status === "running");
  for (const { id } of running) {
    const paused = await hawkbit.api.changeRollout(id, "pause");
    if (paused.kind === "illegal_state") return { kind: "unavailable", detail: paused.detail };
    if (paused.kind !== "done") return paused;
  }
  if (running.length > 0 || own.some(({ status }) => status === "paused"))
    return { kind: "done", version: request.version };
  return {
    kind: "refused",
    detail: `no rollout of ${request.version} with the filter of this channel is running: there is nothing to pause, only to go back`,
  };
}
