// OTA server of type `capgo`: Capgo's public API. Enters: the port's requests. Leaves: a channel put back on an earlier
// bundle by its id, a progressive rollout ended or put on hold, and the port's answers. Capgo takes no precondition, no
// idempotency key and no reason, and its reads may be a minute old: so each act reads first, acts, and waits until it shows.
import { setTimeout as sleepMs } from "node:timers/promises";
import type { AppId, Channel, ChannelKey, Version } from "../../../ingest/contract/release-key.ts";
import type { Clock } from "../../../runtime/clock.ts";
import { formatDuration } from "../../../runtime/units.ts";
import { createInTurn } from "../in-turn.ts";
import type {
  ChannelAnswer,
  ChannelState,
  OtaServer,
  PauseRequest,
  Refused,
  RollbackAnswer,
  RollbackRequest,
  Unavailable,
} from "../ota-server.ts";
import { createCapgoApi } from "./capgo-api.ts";
import type { CapgoApi, CapgoApiOptions, CapgoBundle, CapgoChannel } from "./capgo-api.ts";
import { findBundle, offeredNow, toState } from "./capgo-channel.ts";
import type { OfferedNow } from "./capgo-channel.ts";

/** How old what Capgo shows may be (replicas, a cache of 60 s), and how often it is looked at after an act, in milliseconds. */
export const CAPGO_STALE_MS_MAX = 66_000;
export const CAPGO_LOOK_EVERY_MS = 2_000;
/** How long a list of bundles is good for, in milliseconds, as long as it has what the channel offers. */
export const CAPGO_BUNDLES_AGE_MS_MAX = 60_000;

export interface CapgoOtaServerOptions extends CapgoApiOptions {
  /** The app's id at Capgo; null = Lastgood's own. */
  readonly appId: string | null;
  /** Names at Capgo; a channel that is not here has the same name there. */
  readonly channels: ReadonlyMap<Channel, string>;
  readonly sleep?: (ms: number) => Promise<unknown>;
}

interface Capgo {
  readonly api: CapgoApi;
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly appIdOf: (app: AppId) => string;
  readonly nameOf: (channel: Channel) => string;
  /** By the app's id at Capgo. */
  readonly bundles: Map<string, { readonly readAtMs: number; readonly list: readonly CapgoBundle[] }>;
}

export function createCapgoOtaServer(options: CapgoOtaServerOptions): OtaServer {
  const { appId, channels, clock, sleep = sleepMs } = options;
  const capgo: Capgo = {
    api: createCapgoApi(options),
    clock,
    sleep,
    appIdOf: (app) => appId ?? app,
    nameOf: (channel) => channels.get(channel) ?? channel,
    bundles: new Map(),
  };
  const inTurn = createInTurn();
  return {
    type: "capgo",
    // A channel without a rollout can't be paused: its state says so, and the policy's guard holds back.
    capabilities: { rollback: true, pause: true },
    readChannel: (key) => readChannel(key, capgo),
    rollback: (request) => inTurn(request, () => rollback(request, capgo)),
    pause: (request) => inTurn(request, () => pause(request, capgo)),
  };
}

// ---- reading ----------------------------------------------------------------------------------------------

interface Seen {
  readonly kind: "seen";
  readonly channel: CapgoChannel;
  readonly offered: Extract<OfferedNow, { kind: "offered" }>;
}

async function look({ app, channel }: ChannelKey, capgo: Capgo): Promise<Seen | Refused | Unavailable> {
  const read = await capgo.api.readChannel(capgo.appIdOf(app), capgo.nameOf(channel));
  if (read.kind !== "read") return read;
  const offered = offeredNow(read.value);
  if (offered.kind === "offered") return { kind: "seen", channel: read.value, offered };
  return {
    kind: "refused",
    detail: `the channel is on ${JSON.stringify(offered.name)}, a name that no report to Lastgood can have: upload the bundle under a name without spaces and quotes`,
  };
}

async function readChannel(key: ChannelKey, capgo: Capgo): Promise<ChannelAnswer> {
  const seen = await look(key, capgo);
  if (seen.kind !== "seen") return seen;
  const bundles = await bundlesWith(seen.offered.versions, key, capgo);
  if (bundles.kind !== "read") return bundles;
  return { kind: "channel", state: toState(seen.channel, seen.offered, bundles.value) };
}

/** The list changes when somebody uploads, and is long: it is not read each time that a channel is looked at. */
async function bundlesWith(versions: readonly Version[], { app }: ChannelKey, capgo: Capgo) {
  const known = capgo.bundles.get(capgo.appIdOf(app));
  const ageMs = known === undefined ? Number.NaN : capgo.clock() - known.readAtMs;
  const isFresh = ageMs >= 0 && ageMs < CAPGO_BUNDLES_AGE_MS_MAX;
  if (known !== undefined && isFresh && versions.every((each) => findBundle(known.list, each) !== undefined))
    return { kind: "read", value: known.list } as const;
  return readBundles(app, capgo);
}

async function readBundles(app: AppId, { api, clock, appIdOf, bundles }: Capgo) {
  const readAtMs = clock();
  const read = await api.listBundles(appIdOf(app));
  if (read.kind === "read") bundles.set(appIdOf(app), { readAtMs, list: read.value });
  return read;
}

// ---- acting -----------------------------------------------------------------------------------------------

async function rollback(request: RollbackRequest, capgo: Capgo): Promise<RollbackAnswer> {
  const { app, from, to } = request;
  const seen = await look(request, capgo);
  if (seen.kind !== "seen") return seen;
  const { versions, rollout } = seen.offered;
  const [version, stable] = versions;
  if (version === to) return { kind: "done", version: to };
  if (version !== from) return staleOn(version, from);
  const bundles = await readBundles(app, capgo);
  if (bundles.kind !== "read") return bundles;
  const target = findBundle(bundles.value, to);
  if (target === undefined)
    return {
      kind: "refused",
      detail: `Capgo has no bundle ${to} of ${capgo.appIdOf(app)} that a channel can be set to (never uploaded, deleted, or without files): nothing was done`,
    };
  // First what devices outside the rollout get, then its end: cut off in between, the channel still shows `from`.
  if (rollout === undefined || stable !== to) {
    const set = await capgo.api.setBundle(capgo.appIdOf(app), {
      channelId: seen.channel.id,
      bundleId: target.id,
    });
    if (set.kind !== "changed") return set;
  }
  if (rollout !== undefined) {
    const ended = await endRollout(request, capgo);
    if (ended.kind !== "changed") return ended;
  }
  return untilShown(request, capgo, {
    act: `it put the channel on ${to}`,
    isShown: (now) => now.version !== from,
  });
}

/** Clears the progressive rollout and leaves the channel's own bundle alone. */
function endRollout({ app, channel }: ChannelKey, { api, appIdOf, nameOf }: Capgo) {
  return api.changeRollout(appIdOf(app), nameOf(channel), { rollback: true });
}

async function pause(request: PauseRequest, capgo: Capgo): Promise<RollbackAnswer> {
  const { app, channel, version, reason } = request;
  const seen = await look(request, capgo);
  if (seen.kind !== "seen") return seen;
  const { versions, rollout } = seen.offered;
  if (versions[0] !== version) return staleOn(versions[0], version);
  if (rollout === undefined)
    return {
      kind: "refused",
      detail: `${version} is on the whole channel, and Capgo can only pause a progressive rollout: set action: rollback in the policy, or release progressively (nothing was done)`,
    };
  if (rollout.isPaused) return { kind: "done", version };
  const paused = await capgo.api.changeRollout(capgo.appIdOf(app), capgo.nameOf(channel), {
    rolloutPaused: true,
    rolloutPauseReason: reason,
  });
  if (paused.kind !== "changed") return paused;
  return untilShown(request, capgo, {
    act: "it paused the rollout",
    isShown: (now) => now.version !== version || now.paused !== false,
  });
}

interface Shown {
  /** What Capgo said that it did. */
  readonly act: string;
  readonly isShown: (now: Pick<ChannelState, "version" | "paused">) => boolean;
}

/**
 * Reads come from copies: a channel that still shows what it was is not proof that nothing was done. Without this the
 * executor would read back too early, and act again.
 */
async function untilShown(key: ChannelKey, capgo: Capgo, { act, isShown }: Shown): Promise<RollbackAnswer> {
  const looks = 1 + CAPGO_STALE_MS_MAX / CAPGO_LOOK_EVERY_MS;
  let problem = "the channel still shows what it was";
  for (let turn = 0; turn < looks; turn += 1) {
    if (turn > 0) await capgo.sleep(CAPGO_LOOK_EVERY_MS);
    const seen = await look(key, capgo);
    if (seen.kind !== "seen") {
      if (seen.kind === "unavailable") return seen;
      problem = seen.detail;
      break;
    }
    const now = toState(seen.channel, seen.offered, []);
    if (!isShown(now)) continue;
    if (now.version !== null) return { kind: "done", version: now.version };
    problem = "the channel has no bundle now";
    break;
  }
  return {
    kind: "unavailable",
    detail: `Capgo said that ${act}, but ${problem} (looked at for up to ${formatDuration(CAPGO_STALE_MS_MAX)})`,
  };
}

function staleOn(offered: Version | undefined, asked: Version): RollbackAnswer {
  return { kind: "stale", detail: `the channel is on ${offered ?? "no bundle"}, not on ${asked}` };
}
