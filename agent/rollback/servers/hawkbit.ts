// OTA server of type `hawkbit`. It has no channel that points at a release: it has targets, each with the distribution set
// that it was assigned. So a channel here is a filter of targets (hawkbit-channel.ts), and going back is: the bad set's
// rollouts on these targets are stopped, so that no further group begins, and the earlier set is assigned to every target
// that needs it (hawkbit-repair.ts). When none is assigned the bad one any more the channel offers the earlier one: nothing
// of it is kept on our side. Enters: the port's requests. Leaves: the port's answers.
import type { ChannelKey } from "../../../ingest/contract/release-key.ts";
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
import { createHawkbitApi } from "./hawkbit-api.ts";
import type { HawkbitApi, HawkbitApiOptions, HawkbitRollout, HawkbitSet } from "./hawkbit-api.ts";
import { findChannel, openRolloutsOf, releasesOf, versionOf } from "./hawkbit-channel.ts";
import type { Found, HawkbitNames } from "./hawkbit-channel.ts";
import { repairTargets, stopRollouts } from "./hawkbit-repair.ts";

export interface HawkbitOtaServerOptions extends HawkbitApiOptions, HawkbitNames {
  /** Whether the bad set is invalidated after a rollback, which can't be undone there. */
  readonly invalidate: boolean;
}

type Wrong = Refused | Unavailable;

interface Hawkbit {
  readonly api: HawkbitApi;
  readonly options: HawkbitOtaServerOptions;
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

function find(key: ChannelKey, { api, options }: Hawkbit): Promise<Found | Wrong> {
  return findChannel(key, options, api);
}

async function readChannel(key: ChannelKey, hawkbit: Hawkbit): Promise<ChannelAnswer> {
  const found = await find(key, hawkbit);
  if (found.kind !== "found") return found;
  const releases = await releasesOf(found, hawkbit.api);
  if (!Array.isArray(releases)) return releases;
  return { kind: "channel", state: toState(found, releases) };
}

function toState({ current, rollouts }: Found, releases: readonly Release[]): ChannelState {
  const statuses = rollouts
    .filter(({ distributionSetId }) => distributionSetId === current?.id)
    .map(({ status }) => status);
  // A rollout that has ended says nothing: then the word of the last pause is what there is.
  const paused = statuses.includes("running") ? false : statuses.includes("paused") ? true : undefined;
  return { version: versionOf(current) ?? null, releases, ...(paused === undefined ? {} : { paused }) };
}

async function rollback(request: RollbackRequest, hawkbit: Hawkbit): Promise<RollbackAnswer> {
  const before = await find(request, hawkbit);
  if (before.kind !== "found") return before;
  const offered = versionOf(before.current);
  if (offered === request.to) return { kind: "done", version: request.to };
  if (offered !== request.from)
    return { kind: "stale", detail: `its targets are assigned ${offered ?? "nothing"}, not ${request.from}` };
  const target = await targetOf(request, before, hawkbit);
  if (isWrong(target)) return target;
  const bad = before.current!;
  const { sets, filter } = before;
  const between = sets.slice(sets.indexOf(bad) + 1, sets.indexOf(target));
  const rollouts: HawkbitRollout[] = [];
  // Also of what is passed over: one that is running would hand it out again.
  for (const set of [bad, ...between]) {
    const open = await openRolloutsOf(set, before, hawkbit.api);
    if (!Array.isArray(open)) return open;
    rollouts.push(...open);
  }
  const halted = await stopRollouts(rollouts, hawkbit.api);
  if (halted.kind !== "halted") return halted;
  const repaired = await repairTargets({ bad, between, target, filter }, hawkbit.api);
  const wrong = repaired ?? (await burn(bad, hawkbit));
  return wrong ?? answerOf(request, halted.pausedOnly, hawkbit);
}

function isWrong(value: HawkbitSet | Wrong): value is Wrong {
  return value["kind"] === "refused" || value["kind"] === "unavailable";
}

/** The set to go back to. */
async function targetOf(
  request: RollbackRequest,
  found: Found,
  { api }: Hawkbit,
): Promise<HawkbitSet | Wrong> {
  const releases = await releasesOf(found, api);
  if (!Array.isArray(releases)) return releases;
  const target = found.sets.find((set) => versionOf(set) === request.to);
  const isEarlier = target !== undefined && found.sets.indexOf(target) > found.sets.indexOf(found.current!);
  if (isEarlier && releases.some(({ version }) => version === request.to)) return target;
  return {
    kind: "refused",
    detail: `${request.to} was never on these targets, or its distribution set is newer, or not valid any more`,
  };
}

/** Last, for it can't be undone. Its failure is told once: the next look finds the channel where it should be. */
async function burn(bad: HawkbitSet, { api, options }: Hawkbit): Promise<Unavailable | undefined> {
  if (!options.invalidate || bad.valid === false) return undefined;
  const answer = await api.invalidate(bad.id);
  if (answer.kind === "done") return undefined;
  const detail = `the targets are put back, but distribution set ${bad.name}:${bad.version} could not be invalidated; do it by hand, or take ota_server.invalidate out: ${answer.detail}`;
  return { ...answer, kind: "unavailable", detail };
}

/** What the channel really offers now. */
async function answerOf(
  request: RollbackRequest,
  pausedOnly: readonly number[],
  hawkbit: Hawkbit,
): Promise<RollbackAnswer> {
  const after = await find(request, hawkbit);
  if (after.kind !== "found") return after.kind === "refused" ? { ...after, kind: "unavailable" } : after;
  const now = versionOf(after.current);
  if (now !== undefined && now !== request.from) return { kind: "done", version: now };
  if (pausedOnly.length > 0)
    return {
      kind: "refused",
      detail: `no target needs another set, but this hawkBit (before 0.10) can't stop a rollout: delete rollout ${pausedOnly.join(" and ")}, which is paused, so that nobody resumes it`,
    };
  const others = after.others.filter(
    ({ distributionSetId, status }) => distributionSetId === after.current?.id && status === "running",
  );
  const culprit =
    others.length === 0
      ? "an auto-assignment, or somebody, assigns it"
      : `rollout ${others.map(({ id }) => id).join(" and ")} reaches beyond this channel and is left alone: stop it there`;
  return { kind: "unavailable", detail: `targets were assigned ${request.from} meanwhile: ${culprit}` };
}

/** No new group begins; actions that were handed out go on to their end, which is what the port's pause promises. */
async function pause(request: PauseRequest, hawkbit: Hawkbit): Promise<RollbackAnswer> {
  const found = await find(request, hawkbit);
  if (found.kind !== "found") return found;
  const offered = versionOf(found.current);
  if (offered !== request.version)
    return {
      kind: "stale",
      detail: `its targets are assigned ${offered ?? "nothing"}, not ${request.version}`,
    };
  const own = await openRolloutsOf(found.current!, found, hawkbit.api);
  if (!Array.isArray(own)) return own;
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
