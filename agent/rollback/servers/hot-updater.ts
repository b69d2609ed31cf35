// OTA server of type `hot_updater`, by the management API of `@hot-updater/server`. Going back is disabling: the bad bundle
// last, and before it whatever enabled bundle lies between it and the target (see hot-updater-targets.ts). The server takes
// no precondition and no idempotency key, so the list is read again before each step, and what it says decides: a second
// run goes on where the first one ended, and a bundle that somebody publishes meanwhile ends it.
// Enters: the port's requests. Leaves: the port's answers.
//
// There is no pause. `rolloutCohortCount: 0` does not freeze a bundle: who runs it is taken off it at the next check.
import type { Channel, ChannelKey, Version } from "../../../ingest/contract/release-key.ts";
import type { HotUpdaterTarget } from "../../config/ota-servers/hot-updater.ts";
import { printable } from "../http-call.ts";
import { createInTurn } from "../in-turn.ts";
import type {
  ChannelAnswer,
  OtaServer,
  Refused,
  RollbackAnswer,
  RollbackRequest,
  Unavailable,
} from "../ota-server.ts";
import { offers } from "../ota-server.ts";
import { HOT_UPDATER_PAGE_BUNDLES, createHotUpdaterApi } from "./hot-updater-api.ts";
import type { HotUpdaterApi, HotUpdaterApiOptions, HotUpdaterBundle } from "./hot-updater-api.ts";
import { hindranceOf, isBundleId, knownOf, planOf, toState } from "./hot-updater-targets.ts";
import type { KnownBundle } from "./hot-updater-targets.ts";

/** Pages of bundles that are read, newest first: a channel may hold years of them. */
export const HOT_UPDATER_PAGES_MAX = 10;
/** Enabled bundles after which no more pages are read. */
export const HOT_UPDATER_ENABLED_ENOUGH = 50;

export interface HotUpdaterOtaServerOptions extends HotUpdaterApiOptions {
  readonly channels: ReadonlyMap<Channel, HotUpdaterTarget>;
}

interface HotUpdater {
  readonly api: HotUpdaterApi;
  readonly channels: ReadonlyMap<Channel, HotUpdaterTarget>;
}

export function createHotUpdaterOtaServer(options: HotUpdaterOtaServerOptions): OtaServer {
  const hotUpdater: HotUpdater = { api: createHotUpdaterApi(options), channels: options.channels };
  const inTurn = createInTurn();
  return {
    type: "hot_updater",
    capabilities: { rollback: true, pause: false },
    readChannel: (key) => readChannel(key, hotUpdater),
    rollback: (request) => inTurn(request, () => rollback(request, hotUpdater)),
    pause: () =>
      Promise.resolve({
        kind: "refused",
        detail:
          "a hot-updater server has no pause: a bundle without cohorts is taken from the devices that run it, and so is a disabled one; let the policy roll back or page",
      }),
  };
}

interface Bundles {
  readonly kind: "bundles";
  /** Newest first. */
  readonly bundles: readonly KnownBundle[];
}

async function readBundles(
  key: ChannelKey,
  { api, channels }: HotUpdater,
): Promise<Bundles | Refused | Unavailable> {
  const target = channels.get(key.channel);
  if (target === undefined)
    return {
      kind: "refused",
      detail: `ota_server.channels does not say what ${key.channel} is at the hot-updater server: add ${key.channel}: { channel: <its name there>, platform: ios or android }`,
    };
  const bundles: HotUpdaterBundle[] = [];
  let after: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await api.listBundles(target, after);
    if (page.kind !== "page") return page;
    bundles.push(...page.bundles.filter((bundle) => isOf(bundle, target)));
    after = page.next;
    const enabled = bundles.filter((bundle) => bundle.enabled).length;
    if (after === undefined || enabled >= HOT_UPDATER_ENABLED_ENOUGH) break;
    if (pages < HOT_UPDATER_PAGES_MAX) continue;
    if (enabled > 0) break;
    return {
      kind: "refused",
      detail: `none of the newest ${pages * HOT_UPDATER_PAGE_BUNDLES} bundles of ${nameOf(target)} is enabled, and older ones are not looked at: delete disabled ones`,
    };
  }
  if (bundles.length === 0)
    return {
      kind: "refused",
      detail: `the hot-updater server has no bundle of ${nameOf(target)}, which is what the channel ${key.channel} of ${key.app} is: deploy to it first, or correct ota_server.channels`,
    };
  // The server goes by the order of ids: where they are not of its own making, what it offers can't be told.
  const odd = bundles.find(({ id, enabled }) => enabled && !isBundleId(id));
  if (odd !== undefined)
    return {
      kind: "refused",
      detail: `${nameOf(target)} has an enabled bundle whose id is no UUIDv7 (${printable(odd.id)}): disable it`,
    };
  return { kind: "bundles", bundles: knownOf(bundles) };
}

// What stands in front of the server may drop the query.
function isOf({ channel, platform }: HotUpdaterBundle, target: HotUpdaterTarget): boolean {
  return channel === target.channel && platform === target.platform;
}

function nameOf({ channel, platform }: HotUpdaterTarget): string {
  return `the channel "${channel}" for ${platform}`;
}

async function readChannel(key: ChannelKey, hotUpdater: HotUpdater): Promise<ChannelAnswer> {
  const read = await readBundles(key, hotUpdater);
  return read.kind === "bundles" ? { kind: "channel", state: toState(read.bundles) } : read;
}

async function rollback(request: RollbackRequest, hotUpdater: HotUpdater): Promise<RollbackAnswer> {
  const disabled: Version[] = [];
  for (;;) {
    const read = await readBundles(request, hotUpdater);
    if (read.kind !== "bundles") return read;
    const next = nextStep(request, read.bundles, disabled);
    if (next.kind !== "disable") return next;
    const { version, id } = next.bundle;
    if (disabled.includes(version))
      return {
        kind: "unavailable",
        detail: `the hot-updater server said that ${version} is disabled, and still lists it as enabled`,
      };
    const answer = await hotUpdater.api.disable(id);
    if (answer.kind === "refused" || answer.kind === "unavailable") return answer;
    disabled.push(version);
  }
}

type Step = { readonly kind: "disable"; readonly bundle: KnownBundle } | RollbackAnswer;

/** What to do with the channel as it is now; `disabled` is what this run did already. */
function nextStep(
  { from, to }: RollbackRequest,
  bundles: readonly KnownBundle[],
  disabled: readonly Version[],
): Step {
  const state = toState(bundles);
  const { version: offered } = state;
  if (offered !== from) {
    // The bad one is the last: what is offered after it is what came of this, unless it was published meanwhile.
    const isOurs = disabled.includes(from) && offered !== null && offered < from;
    if (offered !== null && (isOurs || offers(state, to))) return { kind: "done", version: offered };
    if (offered === null && disabled.includes(from))
      return {
        kind: "refused",
        detail: `${from} is disabled, and so is all below it by now: devices go back to the JavaScript in the store binary; enable a good bundle`,
      };
    return {
      kind: "stale",
      detail: `the channel offers ${offered ?? "nothing"}, not ${from}${alsoDid(disabled)}`,
    };
  }
  const bad = bundles.find(({ version }) => version === from)!;
  const target = bundles.find(({ version }) => version === to);
  if (target === undefined || target.version >= from)
    return { kind: "refused", detail: `the channel has no bundle ${to} before ${from}${alsoDid(disabled)}` };
  const hindrance = hindranceOf(bundles, bad, target);
  if (hindrance !== undefined) return { kind: "refused", detail: `${hindrance}${alsoDid(disabled)}` };
  return { kind: "disable", bundle: planOf(bundles, bad, target)[0]! };
}

function alsoDid(disabled: readonly Version[]): string {
  return disabled.length === 0 ? "" : `; until then ${disabled.join(", ")} had been disabled`;
}
