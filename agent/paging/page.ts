// A Page is something that a person should hear of now, as long as it stands. Enters: what stands, from
// standing-pages.ts. Leaves: a value that is the same at every look while the same thing stands, so that
// Alertmanager takes it for the same alert. Pure.
//
// Labels say which alert it is: no label ever holds a value that changes between two looks. What changes (counts,
// evidence, a server's words) stands in the description, which becomes an annotation.
import type { ChannelKey } from "../../ingest/contract/release-key.ts";

/** Critical: a person must act now. Warning: in working hours. Info: calls nobody, inhibits and informs. */
export const PAGE_SEVERITIES = ["critical", "warning", "info"] as const;
export type PageSeverity = (typeof PAGE_SEVERITIES)[number];

/** Every alert name, with what it tells in a few words; docs/paging.md has a line for each. Names are a promise to users. */
export const ALERTS = {
  OtaRollbackHeld: "a failing release is not rolled back",
  OtaEnvironmentFailing: "every version fails alike, so no release is at fault",
  OtaServerUnavailable: "a release fails and the OTA server does not answer",
  OtaServerRefuses: "a release fails and the OTA server refuses to be asked",
  OtaKillSwitchOn: "a release fails while everything automatic is switched off",
  OtaRollbackPending: "decided, but the channel still serves the condemned release",
  OtaRollbackFailed: "the OTA server did not do what was decided",
  OtaReleaseFailing: "a release fails, and the policy leaves it to you",
  OtaReleaseSuspect: "a release looks bad, and there is not enough evidence to act yet",
  OtaApprovalWaiting: "a rollback waits for your approval",
  OtaApprovalExpired: "a rollback was not approved in time, and was not done",
  OtaRollbackNotEffective: "rolled back, but devices do not leave the release",
  OtaRolledBack: "the channel was rolled back",
  OtaRolloutPaused: "the rollout was paused",
  OtaShadowDecision: "would have acted, but the policy is in shadow mode",
  OtaDevicesUnheard: "an OTA server that has to be asked what devices told it can't be read",
  OtaForgedReports: "many reports come without the proof that devices owe",
  OtaConfigRefused: "the configuration file has mistakes; what it said before goes on",
} as const;
export type AlertName = keyof typeof ALERTS;

export interface PageLabels {
  /** Absent where Lastgood itself is concerned; the channel is, where all of an app's are. */
  readonly app?: string;
  readonly channel?: string;
  /** Absent where the whole channel is concerned. */
  readonly version?: string;
  /** Why a rollback is held back; a code of docs/reasons.md. */
  readonly reason?: string;
}

export interface Page {
  /** All that makes Alertmanager take two alerts for the same. */
  readonly key: string;
  readonly severity: PageSeverity;
  readonly alertname: AlertName;
  readonly labels: PageLabels;
  /** One line. */
  readonly summary: string;
  /** What was seen, and what to do. */
  readonly description: string;
  /** Since when it stands, as far as is known; epoch milliseconds. */
  readonly startsAtMs: number;
  /** Heading of docs/paging.md. */
  readonly runbook: string;
}

export interface PageDraft {
  readonly alertname: AlertName;
  readonly severity: PageSeverity;
  readonly on: ChannelKey | { readonly app: string } | "lastgood";
  readonly version?: string;
  readonly reason?: string;
  readonly description: string;
  readonly startsAtMs: number;
}

export function makePage(draft: PageDraft): Page {
  const { alertname, severity, on, version, reason, description, startsAtMs } = draft;
  const labels: PageLabels = {
    ...(on === "lastgood" ? {} : { app: on.app, ...("channel" in on ? { channel: on.channel } : {}) }),
    ...(version === undefined ? {} : { version }),
    ...(reason === undefined ? {} : { reason }),
  };
  return {
    // Names and versions have no `|` in them.
    key: [alertname, severity, labels.app ?? "", labels.channel ?? "", version ?? "", reason ?? ""].join("|"),
    severity,
    alertname,
    labels,
    summary: `${nameOf(on)}${version === undefined ? "" : ` ${version}`}: ${ALERTS[alertname]}`,
    description,
    startsAtMs,
    runbook: alertname.toLowerCase(),
  };
}

function nameOf(on: PageDraft["on"]): string {
  if (on === "lastgood") return "Lastgood";
  return "channel" in on ? `${on.app}/${on.channel}` : on.app;
}
