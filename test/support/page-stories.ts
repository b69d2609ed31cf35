// What an agent could answer, for tests of the page: two channels, a release that is failing, one that is healthy, decisions
// in each state, a question that waits. Enters: the time now. Leaves: answers of GET /v1/status, /v1/decisions and so on
// that a test may change.
import type {
  ChannelView,
  DecisionView,
  FreezeView,
  ReleaseView,
  ScopeView,
  SignalView,
  StatusView,
  TargetsView,
} from "../../agent/admin/page/api-shapes.d.ts";
import { scopeStory } from "./page-scope-story.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface PageStory {
  status: Mutable<StatusView> & { channels: ChannelView[] };
  decisions: DecisionView[];
  freezes: FreezeView[];
  targets: TargetsView;
  /** Of whichever version is asked for, as an operator gets it. */
  scope: Mutable<ScopeView>;
}

/** What a device may try to have run: it must stand there as text. */
export const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

const TILL = { app: "com.acme.till", channel: "production" };
const KIOSK = { app: "com.acme.kiosk", channel: "beta" };

export function pageStory(nowMs = Date.now()): PageStory {
  const at = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();
  return {
    status: {
      at: at(0),
      channels: [tillChannel(at), kioskChannel(at)],
    },
    decisions: [waitingDecision(at), appliedDecision(at), notEffectiveDecision(at), shadowDecision(at)],
    freezes: [],
    scope: scopeStory(nowMs),
    targets: {
      current: "1.6.0",
      targets: [
        { version: "1.5.0", released_at: at(9 * DAY_MS), warnings: [] },
        {
          version: "1.4.2",
          released_at: at(30 * DAY_MS),
          warnings: [
            {
              guard: "good_target",
              reason: "target_below_minimum_version",
              sentence: "1.4.2 is below the channel's minimum_version, 1.5.0.",
            },
          ],
        },
        { version: "1.6.0", released_at: at(HOUR_MS), warnings: [] },
      ],
    },
  };
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
type At = (agoMs: number) => string;

function counts(devices: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return { attempted: 0, failed: 0, download_failed: 0, confirmed: 0, running: 0, silent: 0, ...devices };
}

export function failureSignal(changed: Partial<SignalView> = {}): SignalView {
  return {
    signal: "update_failure",
    rule: "limit",
    unit: "devices",
    failures: 289,
    trials: 4_510,
    limit: 0.05,
    allowed: null,
    baseline: null,
    evidence_log10: 4.1,
    threshold_log10: 2.778,
    rate: { low: 0.0523, high: 0.0781 },
    ratio: null,
    unmeasured: null,
    segments: [],
    ...changed,
  };
}

function crashSignal(changed: Partial<SignalView> = {}): SignalView {
  return {
    ...failureSignal(),
    signal: "crash",
    rule: "worse_than_baseline",
    unit: "device_hours",
    failures: 31,
    trials: 5_120,
    limit: null,
    allowed: { ratio: 2, points: 0 },
    baseline: { failures: 44, trials: 19_400 },
    evidence_log10: 1.2,
    rate: { low: 0.0036, high: 0.0095 },
    ratio: { low: 1.4, high: 4.6 },
    ...changed,
  };
}

const SENTENCE =
  "289 of 4,510 devices failed to install or boot 1.6.0 (6.4%, at least 5.2%); limit 5%; evidence 10^4.1 against 10^2.8 needed.";

function release(version: string, changed: Partial<ReleaseView>): ReleaseView {
  return {
    version,
    first_seen: null,
    last_report: null,
    devices: counts({}),
    hours: { active: 0, crashed: 0, not_responding: 0 },
    verdict: { kind: "inconclusive", reason: "not_enough_evidence", sentence: "", baseline: [], signals: [] },
    condemned: false,
    decision_id: null,
    hold: null,
    ...changed,
  };
}

function tillChannel(at: At): ChannelView {
  return {
    ...TILL,
    policy: "standard",
    mode: "approval",
    action: "rollback",
    current_version: "1.6.0",
    paused: false,
    freezes: [],
    releases_on_server: [
      { version: "1.6.0", released_at: at(HOUR_MS) },
      { version: "1.5.0", released_at: at(9 * DAY_MS) },
      { version: "1.4.2", released_at: at(30 * DAY_MS) },
    ],
    releases: [
      release("1.6.0", {
        first_seen: at(HOUR_MS),
        last_report: at(2_000),
        devices: counts({ attempted: 4_510, failed: 289, confirmed: 4_012, running: 4_221, silent: 2 }),
        hours: { active: 5_120, crashed: 31, not_responding: 0 },
        verdict: {
          kind: "failing",
          reason: "limit_exceeded",
          sentence: SENTENCE,
          baseline: ["1.5.0", "1.4.2"],
          share_of_fleet: 1,
          signals: [
            failureSignal({
              segments: [
                {
                  segment: "model=till-9",
                  failures: 201,
                  trials: 610,
                  evidence_log10: 12.4,
                  threshold_log10: 3.1,
                  share_of_fleet: 0.135,
                },
              ],
            }),
            crashSignal(),
            crashSignal({
              signal: "not_responding",
              unmeasured: "usage_not_reported",
              rate: null,
              ratio: null,
            }),
            failureSignal({
              signal: "silence",
              failures: 2,
              trials: 3_900,
              limit: 0.02,
              evidence_log10: -6.2,
              rate: { low: 0.0001, high: 0.0021 },
            }),
          ],
        },
      }),
      release("1.5.0", {
        first_seen: at(9 * DAY_MS),
        last_report: at(40_000),
        devices: counts({ attempted: 19_880, failed: 198, confirmed: 19_640, running: 15_478 }),
        hours: { active: 402_118, crashed: 610, not_responding: 12 },
        verdict: {
          kind: "healthy",
          reason: "within_limits",
          sentence:
            "198 of 19,880 devices failed to install or boot 1.5.0 (1.0%); limit 5%; evidence 10^-4.8 against 10^2.8 needed.",
          baseline: ["1.4.2"],
          signals: [
            failureSignal({
              failures: 198,
              trials: 19_880,
              evidence_log10: -4.8,
              rate: { low: 0.0084, high: 0.0117 },
            }),
          ],
        },
      }),
      release("1.4.2", {
        first_seen: at(30 * DAY_MS),
        last_report: at(DAY_MS),
        devices: counts({ attempted: 20_012, failed: 1_480, confirmed: 18_400, running: 301 }),
        condemned: true,
        decision_id: "rb_1e2ebc32e83b4f03d793",
        verdict: {
          kind: "failing",
          reason: "limit_exceeded",
          sentence:
            "1,480 of 20,012 devices failed to install or boot 1.4.2 (7.4%, at least 6.9%); limit 5%.",
          baseline: [],
          signals: [
            failureSignal({
              failures: 1_480,
              trials: 20_012,
              evidence_log10: 21.4,
              rate: { low: 0.069, high: 0.079 },
            }),
          ],
        },
      }),
    ],
  };
}

function kioskChannel(at: At): ChannelView {
  return {
    ...KIOSK,
    policy: "careful",
    mode: "automatic",
    action: "rollback",
    current_version: "7.2.0-rc.1",
    freezes: [],
    releases: [
      release("7.2.0-rc.1", {
        first_seen: at(20 * 60_000),
        last_report: at(9_000),
        devices: counts({ attempted: 14, failed: 4, confirmed: 8, running: 10 }),
        verdict: {
          kind: "failing",
          reason: "segment_failing",
          sentence: "4 of 14 devices failed to install or boot 7.2.0-rc.1 (28.6%, at least 6.1%); limit 5%.",
          baseline: [],
          share_of_fleet: 0.08,
          signals: [
            failureSignal({ failures: 4, trials: 14, evidence_log10: 2.1, rate: { low: 0.061, high: 0.62 } }),
          ],
        },
        hold: {
          reason: "share_too_small",
          guard: "share_of_fleet",
          sentence: "The failure is confined to 8.0% of the fleet; the policy acts at 10%.",
          since: at(5 * 60_000),
        },
      }),
    ],
  };
}

function decision(id: string, changed: Partial<DecisionView>): DecisionView {
  return {
    id,
    at: "",
    ...TILL,
    version: "1.6.0",
    target: "1.5.0",
    action: "rollback",
    mode: "automatic",
    reason: "evidence_over_threshold",
    sentence: `${SENTENCE} Rolling back to 1.5.0.`,
    evidence: {
      signals: [failureSignal(), crashSignal()],
      devices: counts({ attempted: 4_510, failed: 289, confirmed: 4_012 }),
    },
    last_needed_report_at: null,
    outcome: null,
    approval: null,
    follow_up: null,
    operator: null,
    cause: "evidence",
    ...changed,
  };
}

function waitingDecision(at: At): DecisionView {
  return decision("rb_ecb7a6eb2b4d1396f354", {
    at: at(3 * 60_000),
    mode: "approval",
    last_needed_report_at: at(3 * 60_000 + 240),
    approval: { expires_at: at(-27 * 60_000), answered_at: null, answered_by: null, answer: null },
  });
}

function appliedDecision(at: At): DecisionView {
  return decision("rb_1e2ebc32e83b4f03d793", {
    at: at(DAY_MS),
    version: "1.4.2",
    target: "1.4.0",
    sentence:
      "1,480 of 20,012 devices failed to install or boot 1.4.2 (7.4%, at least 6.9%); limit 5%. Rolling back to 1.4.0.",
    last_needed_report_at: at(DAY_MS + 180),
    outcome: {
      kind: "applied",
      at: at(DAY_MS - 45),
      detail: "The channel offers 1.4.0.",
      version_seen: "1.4.0",
      attempts: 1,
    },
    follow_up: {
      kind: "effective",
      at: at(DAY_MS - HOUR_MS),
      detail: "The devices went back.",
      running_at_act: 4_333,
      running_now: 44,
    },
  });
}

function notEffectiveDecision(at: At): DecisionView {
  return decision("op_4e07408562bedb8b60ce", {
    ...KIOSK,
    at: at(2 * DAY_MS),
    version: "7.1.0",
    target: "7.0.3",
    mode: "manual",
    cause: "operator",
    operator: "ana",
    sentence: "ana rolled back 7.1.0 to 7.0.3: the till's printer does not print.",
    evidence: null,
    outcome: {
      kind: "applied",
      at: at(2 * DAY_MS - 300),
      detail: "The channel offers 7.0.3.",
      version_seen: "7.0.3",
      attempts: 3,
    },
    follow_up: {
      kind: "not_effective",
      at: at(2 * DAY_MS - HOUR_MS),
      detail: "After 1 h, 18 of 20 devices still run 7.1.0.",
      running_at_act: 20,
      running_now: 18,
    },
  });
}

function shadowDecision(at: At): DecisionView {
  return decision("sh_0b918943df0962bc7a18", {
    at: at(3 * DAY_MS),
    mode: "shadow",
    version: "1.3.9",
    target: "1.3.8",
  });
}
