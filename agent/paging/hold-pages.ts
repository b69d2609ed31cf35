// Which pages stand because a guard holds a rollback back, or the kill switch is on while a release fails. Pure.
// Enters: a snapshot. Leaves: pages.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { makePage } from "./page.ts";
import type { AlertName, Page, PageSeverity } from "./page.ts";
import { isWatched, mayStillBeOffered } from "./page-snapshot.ts";
import type { PageSnapshot, PagedHold } from "./page-snapshot.ts";

export interface HoldAlert {
  readonly alertname: AlertName;
  /** `none`: nobody is told. */
  readonly severity: PageSeverity | "none";
  /** Which alert it is: one for each release, or one for the whole channel. */
  readonly per: "release" | "channel";
  /**
   * The guard spoke before the channel was looked at: the release may have been replaced long ago, which is nobody's
   * concern any more.
   */
  readonly channelLookedAt: "before" | "not_yet";
}

const held = (severity: HoldAlert["severity"], channelLookedAt: HoldAlert["channelLookedAt"]): HoldAlert => ({
  alertname: "OtaRollbackHeld",
  severity,
  per: "release",
  channelLookedAt,
});

/** By reason to hold back. A reason that is not here (of a newer Lastgood) is a warning. */
export const HOLD_ALERTS: Readonly<Record<string, HoldAlert>> = {
  // Users are being harmed and no rollback mends it: a backend, a network. One page for the channel, whichever of its
  // versions it was seen on.
  environment: {
    alertname: "OtaEnvironmentFailing",
    severity: "critical",
    per: "channel",
    channelLookedAt: "before",
  },
  // A small channel, or the first minutes of a release: with more reports it acts by itself.
  too_few_devices: held("warning", "not_yet"),
  // Confined to one kind of device: somebody should take the release away from those, but most of the fleet is well.
  share_too_small: held("warning", "not_yet"),
  // Either somebody forges failures, or Lastgood is new here: a person has to tell which.
  unknown_devices: held("critical", "not_yet"),
  // It would act, and was forbidden to. Whoever switched it off may be asleep by now.
  kill_switch: {
    alertname: "OtaKillSwitchOn",
    severity: "critical",
    per: "release",
    channelLookedAt: "not_yet",
  },
  // The same for one channel: until the freeze is over, only a person can end the harm.
  frozen: held("critical", "not_yet"),
  freeze_window: held("critical", "not_yet"),
  // It will act by itself when the time is over, an hour at most by default.
  cooling_down: held("warning", "before"),
  // Too many rollbacks are a sign of something that rollbacks do not mend.
  channel_rollbacks_used_up: held("critical", "before"),
  overall_rollbacks_used_up: held("critical", "before"),
  // There is nothing to roll back any more.
  channel_moved_on: held("none", "before"),
  // Nothing can be seen or done there until a person has repaired it.
  ota_server_unavailable: {
    alertname: "OtaServerUnavailable",
    severity: "critical",
    per: "release",
    channelLookedAt: "before",
  },
  ota_server_refused: {
    alertname: "OtaServerRefuses",
    severity: "critical",
    per: "release",
    channelLookedAt: "before",
  },
  // The policy asks for what this server can't do: it will never act by itself.
  action_not_supported: held("critical", "before"),
  // The last good version fails too: the versions are probably not what is wrong.
  rolled_back_to_before: held("critical", "before"),
  // A person has looked at this very release and said no. Calling again would be nagging.
  rejected_by_operator: held("none", "before"),
  // There is nowhere to go back to: only a repaired release helps.
  no_good_target: held("critical", "before"),
  no_proven_target: held("critical", "before"),
  target_below_minimum_version: held("critical", "before"),
  target_below_native_build: held("critical", "before"),
};
const UNKNOWN_REASON = held("warning", "before");

export function holdPages(snapshot: PageSnapshot): Page[] {
  return [...snapshot.holds].flatMap(([text, hold]) => pageOfHold(snapshot, parseReleaseKey(text), hold));
}

function pageOfHold(snapshot: PageSnapshot, release: ReleaseKey, hold: PagedHold): Page[] {
  const { alertname, severity, per, channelLookedAt } = HOLD_ALERTS[hold.reason] ?? UNKNOWN_REASON;
  const sinceMs = Date.parse(hold.since);
  if (severity === "none" || !isWatched(snapshot, release)) return [];
  if (channelLookedAt === "not_yet" && !mayStillBeOffered(snapshot, release, sinceMs)) return [];
  return [
    makePage({
      alertname,
      severity,
      on: release,
      ...(per === "release" ? { version: release.version } : {}),
      ...(alertname === "OtaRollbackHeld" ? { reason: hold.reason } : {}),
      description: hold.sentence,
      startsAtMs: sinceMs,
    }),
  ];
}

/** A release fails on a channel where nothing automatic is done, whether or not a guard has spoken about it yet. */
export function killSwitchPages(snapshot: PageSnapshot): Page[] {
  const { freezes = [], nowMs, releases, decisions } = snapshot;
  const isInForce = (until: string | null): boolean => until === null || Date.parse(until) > nowMs;
  const freeze = freezes.find(({ scope, until }) => scope === "all" && isInForce(until));
  if (freeze === undefined) return [];
  const isActedOn = (release: ReleaseKey): boolean =>
    decisions.some(
      (decision) =>
        decision.app === release.app &&
        decision.channel === release.channel &&
        decision.version === release.version &&
        decision.mode !== "shadow" &&
        (snapshot.pending.has(decision.id) || /^(already_)?applied$/.test(decision.outcome?.kind ?? "")),
    );
  return releases
    .filter(({ kind, release }) => kind === "failing" && isWatched(snapshot, release) && !isActedOn(release))
    .filter(({ release }) => mayStillBeOffered(snapshot, release, 0))
    .map(({ release, sentence }) =>
      makePage({
        alertname: "OtaKillSwitchOn",
        severity: "critical",
        on: release,
        version: release.version,
        description: `${sentence} ${freeze.by} switched everything automatic off on ${freeze.since} (${freeze.reason}): roll back by hand, or lift it with: lastgood unfreeze ${freeze.id}`,
        startsAtMs: nowMs,
      }),
    );
}
