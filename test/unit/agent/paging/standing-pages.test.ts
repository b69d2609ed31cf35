// Which pages stand: a table of situations, each with what a person is told, and the edges of how long.
import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import {
  DONE_MS,
  FAILED_MS_LEAST,
  PENDING_MS_MAX,
  STANDS_MS_MAX,
} from "../../../../agent/paging/decision-pages.ts";
import { HOLD_ALERTS } from "../../../../agent/paging/hold-pages.ts";
import { ALERTS } from "../../../../agent/paging/page.ts";
import type { PageSnapshot, PagedApproval } from "../../../../agent/paging/page-snapshot.ts";
import { standingPages } from "../../../../agent/paging/standing-pages.ts";
import { DECISION_REASONS } from "../../../../agent/policy/decision.ts";
import {
  NOON_MS,
  endedAs,
  holding,
  minutesAgo,
  offering,
  pageSnapshot,
  pagedDecision,
} from "../../../support/page-snapshots.ts";
import { formatReleaseKey } from "../../../../ingest/contract/release-key.ts";
import { TILL, releaseOf } from "../../../support/verdicts.ts";

const MINUTE_MS = 60_000;

/** `OtaRolledBack info 1.4.0`, and the reason where there is one. */
function told(fields: Partial<PageSnapshot>): string[] {
  return standingPages(pageSnapshot(fields)).map(({ alertname, severity, labels }) =>
    [alertname, severity, labels.version ?? "channel", labels.reason].filter(Boolean).join(" "),
  );
}

const approval = (fields: Partial<PagedApproval> = {}): PagedApproval => ({
  expires_at: "2026-01-31T14:00:00.000Z",
  answered_at: null,
  answered_by: null,
  answer: null,
  ...fields,
});
const waiting = pagedDecision({ mode: "approval", outcome: null, approval: approval() });
const failing = [{ release: releaseOf("1.4.0"), kind: "failing" as const, sentence: "It fails." }];
const freeze = { id: "fz_1", by: "ana", reason: "the fair", since: minutesAgo(60), until: null };
const suspect = { since: minutesAgo(5), sentence: "3 of 20 devices failed." };
const killSwitch = { ...freeze, scope: "all" as const };

const CASES: Readonly<Record<string, readonly [Partial<PageSnapshot>, readonly string[]]>> = {
  "nothing stands": [{}, []],
  "the configuration file has mistakes": [
    { refusedConfig: { since: minutesAgo(5), problems: ["lastgood.yaml:3:1: not known here"] } },
    ["OtaConfigRefused warning channel"],
  ],
  "an OTA server that is polled can't be read, for ten minutes": [
    { unread: new Map([[TILL.app, { sinceMs: Date.parse(minutesAgo(10)), detail: "answered 401" }]]) },
    ["OtaDevicesUnheard critical channel"],
  ],
  "an OTA server that is polled can't be read, for less": [
    { unread: new Map([[TILL.app, { sinceMs: Date.parse(minutesAgo(10)) + 1, detail: "answered 401" }]]) },
    [],
  ],

  "reports without proof": [
    { proofs: new Map([[TILL.app, { reports: 200, unproven: 20 }]]) },
    ["OtaForgedReports critical channel"],
  ],
  "reports without proof, a few": [{ proofs: new Map([[TILL.app, { reports: 19, unproven: 19 }]]) }, []],
  "reports without proof, among many": [
    { proofs: new Map([[TILL.app, { reports: 201, unproven: 20 }]]) },
    [],
  ],
  "a release looks bad": [
    { suspects: new Map([[formatReleaseKey(releaseOf("1.4.0")), suspect]]) },
    ["OtaReleaseSuspect warning 1.4.0"],
  ],
  "a release looks bad, and is not offered any more": [
    { suspects: new Map([[formatReleaseKey(releaseOf("1.4.0")), suspect]]), channels: offering("1.3.0") },
    [],
  ],
  "held: unknown devices": [
    { holds: holding("unknown_devices") },
    ["OtaRollbackHeld critical 1.4.0 unknown_devices"],
  ],
  "held: environment": [{ holds: holding("environment") }, ["OtaEnvironmentFailing critical channel"]],
  "held: environment, on two versions": [
    { holds: new Map([...holding("environment"), ...holding("environment", releaseOf("1.3.0"))]) },
    ["OtaEnvironmentFailing critical channel"],
  ],
  "held: no good target": [
    { holds: holding("no_good_target") },
    ["OtaRollbackHeld critical 1.4.0 no_good_target"],
  ],
  "held: below the minimum": [
    { holds: holding("target_below_minimum_version") },
    ["OtaRollbackHeld critical 1.4.0 target_below_minimum_version"],
  ],
  "held: second hop": [
    { holds: holding("rolled_back_to_before") },
    ["OtaRollbackHeld critical 1.4.0 rolled_back_to_before"],
  ],
  "held: too few devices": [
    { holds: holding("too_few_devices") },
    ["OtaRollbackHeld warning 1.4.0 too_few_devices"],
  ],
  "held: cooling down": [{ holds: holding("cooling_down") }, ["OtaRollbackHeld warning 1.4.0 cooling_down"]],
  "held: frozen": [{ holds: holding("frozen") }, ["OtaRollbackHeld critical 1.4.0 frozen"]],
  "held: OTA server away": [
    { holds: holding("ota_server_unavailable") },
    ["OtaServerUnavailable critical 1.4.0"],
  ],
  "held: OTA server says no": [{ holds: holding("ota_server_refused") }, ["OtaServerRefuses critical 1.4.0"]],
  "held: kill switch": [{ holds: holding("kill_switch") }, ["OtaKillSwitchOn critical 1.4.0"]],
  "held: the channel moved on": [{ holds: holding("channel_moved_on") }, []],
  "held: a person said no": [{ holds: holding("rejected_by_operator") }, []],
  "held: a reason that nobody knows": [
    { holds: holding("of_a_newer_lastgood") },
    ["OtaRollbackHeld warning 1.4.0 of_a_newer_lastgood"],
  ],
  "held, and the channel was seen to offer another since": [
    { holds: holding("too_few_devices"), channels: offering("1.5.0") },
    [],
  ],
  "held, and the channel was seen to offer another before": [
    { holds: holding("too_few_devices"), channels: offering("1.3.0", 11) },
    ["OtaRollbackHeld warning 1.4.0 too_few_devices"],
  ],
  "held, and nobody knows what the channel offers": [
    { holds: holding("too_few_devices"), channels: new Map() },
    ["OtaRollbackHeld warning 1.4.0 too_few_devices"],
  ],
  "held on a channel that is not configured any more": [
    { holds: holding("no_good_target"), watched: new Set() },
    [],
  ],

  "kill switch on while a release fails": [
    { freezes: [killSwitch], releases: failing },
    ["OtaKillSwitchOn critical 1.4.0"],
  ],
  "kill switch on, and a guard says so too": [
    { freezes: [killSwitch], releases: failing, holds: holding("kill_switch") },
    ["OtaKillSwitchOn critical 1.4.0"],
  ],
  "kill switch on, and nothing fails": [
    { freezes: [killSwitch], releases: [{ ...failing[0]!, kind: "healthy" }] },
    [],
  ],
  "kill switch on, and what fails is not offered": [
    { freezes: [killSwitch], releases: failing, channels: offering("1.3.0") },
    [],
  ],
  "kill switch on, and what fails is being rolled back": [
    {
      freezes: [killSwitch],
      releases: failing,
      decisions: [pagedDecision({ outcome: null, at: minutesAgo(0) })],
      pending: new Set(["rb_1"]),
    },
    [],
  ],
  "kill switch whose time is over": [
    { freezes: [{ ...killSwitch, until: minutesAgo(0) }], releases: failing },
    [],
  ],
  "one channel is frozen, and its release fails": [
    { freezes: [{ ...freeze, scope: TILL }], releases: failing },
    [],
  ],

  "decided just now": [
    { decisions: [pagedDecision({ outcome: null, at: minutesAgo(1) })], pending: new Set(["rb_1"]) },
    [],
  ],
  "decided long ago and not done": [
    { decisions: [pagedDecision({ outcome: null })], pending: new Set(["rb_1"]) },
    ["OtaRollbackPending critical 1.4.0"],
  ],
  "decided, and not in the outbox": [{ decisions: [pagedDecision({ outcome: null })] }, []],
  "approved just now, decided long ago": [
    {
      decisions: [{ ...waiting, approval: approval({ answer: "approved", answered_at: minutesAgo(0.5) }) }],
      pending: new Set(["rb_1"]),
    },
    [],
  ],
  "approved long ago and not done": [
    {
      decisions: [{ ...waiting, approval: approval({ answer: "approved", answered_at: minutesAgo(5) }) }],
      pending: new Set(["rb_1"]),
    },
    ["OtaRollbackPending critical 1.4.0"],
  ],

  "done automatically": [{ decisions: [pagedDecision()] }, ["OtaRolledBack info 1.4.0"]],
  "done before": [
    { decisions: [pagedDecision({ outcome: endedAs("already_applied") })] },
    ["OtaRolledBack info 1.4.0"],
  ],
  "done by hand": [
    { decisions: [pagedDecision({ mode: "manual", operator: "ana" })] },
    ["OtaRolledBack info 1.4.0"],
  ],
  "nothing was done": [{ decisions: [pagedDecision({ outcome: endedAs("stale") })] }, []],
  paused: [
    { decisions: [pagedDecision({ action: "pause", target: null })] },
    ["OtaRolloutPaused warning 1.4.0"],
  ],
  refused: [
    { decisions: [pagedDecision({ outcome: endedAs("refused") })] },
    ["OtaRollbackFailed critical 1.4.0"],
  ],
  "refused, and done by hand since": [
    {
      decisions: [
        pagedDecision({ id: "rb_2", mode: "manual", outcome: endedAs("applied", 1) }),
        pagedDecision({ outcome: endedAs("refused") }),
      ],
    },
    ["OtaRolledBack info 1.4.0"],
  ],
  failed: [
    { decisions: [pagedDecision({ outcome: endedAs("failed") })] },
    ["OtaRollbackFailed critical 1.4.0"],
  ],
  "shadow decision": [
    { decisions: [pagedDecision({ id: "sh_1", mode: "shadow", outcome: null })] },
    ["OtaShadowDecision info 1.4.0"],
  ],

  "the action is to page": [
    { decisions: [pagedDecision({ action: "page", target: null, outcome: null })], releases: failing },
    ["OtaReleaseFailing critical 1.4.0"],
  ],
  "the action is to page, and the release has recovered": [
    { decisions: [pagedDecision({ action: "page", target: null, outcome: null })] },
    [],
  ],
  "the action is to page, and the channel moved on": [
    {
      decisions: [pagedDecision({ action: "page", target: null, outcome: null })],
      releases: failing,
      channels: offering("1.5.0"),
    },
    [],
  ],

  "approval waits": [{ decisions: [waiting] }, ["OtaApprovalWaiting critical 1.4.0"]],
  "approval was refused": [
    { decisions: [{ ...waiting, approval: approval({ answer: "rejected", answered_at: minutesAgo(5) }) }] },
    [],
  ],
  "approval expired": [
    { decisions: [{ ...waiting, approval: approval({ answer: "expired", answered_at: minutesAgo(5) }) }] },
    ["OtaApprovalExpired critical 1.4.0"],
  ],
  "approval expired, and the channel moved on": [
    {
      decisions: [{ ...waiting, approval: approval({ answer: "expired", answered_at: minutesAgo(5) }) }],
      channels: offering("1.3.0"),
    },
    [],
  ],

  "done, and devices do not come back": [
    {
      decisions: [
        pagedDecision({
          outcome: endedAs("applied", 24 * 60),
          follow_up: { kind: "not_effective", at: minutesAgo(1), detail: "900 of 1,000 still run 1.4.0." },
        }),
      ],
    },
    ["OtaRollbackNotEffective critical 1.4.0"],
  ],
  "done, and they do": [
    {
      decisions: [
        pagedDecision({ follow_up: { kind: "effective", at: minutesAgo(1), detail: "All back." } }),
      ],
    },
    ["OtaRolledBack info 1.4.0"],
  ],
};

test.each(Object.entries(CASES))("%s", (_name, [fields, expected]) => {
  expect(told(fields)).toEqual(expected);
});

describe("how long", () => {
  const at = (ms: number): string => new Date(NOON_MS - ms).toISOString();
  const moved = { channels: offering("1.3.0") };
  it.each([
    ["pending", PENDING_MS_MAX, 0, 1],
    ["pending", PENDING_MS_MAX + 1, 1, 1],
  ])("%s for %i ms: %i", (_what, ms, pages) => {
    const decisions = [pagedDecision({ outcome: null, at: at(ms) })];
    expect(told({ decisions, pending: new Set(["rb_1"]) }).length).toBe(pages);
  });

  it.each([
    [DONE_MS - 1, 1],
    [DONE_MS, 0],
  ])("done %i ms ago: %i", (ms, pages) => {
    const outcome = { kind: "applied" as const, at: at(ms), detail: "" };
    expect(told({ decisions: [pagedDecision({ outcome })] }).length).toBe(pages);
    const shadow = pagedDecision({ mode: "shadow", outcome: null, at: at(ms) });
    expect(told({ decisions: [shadow] }).length).toBe(pages);
  });

  it.each([
    [FAILED_MS_LEAST - 1, moved, 1],
    [FAILED_MS_LEAST, moved, 0],
    [FAILED_MS_LEAST, {}, 1],
    [STANDS_MS_MAX - 1, {}, 1],
    [STANDS_MS_MAX, {}, 0],
  ])("failed %i ms ago, %o: %i", (ms, fields, pages) => {
    const outcome = { kind: "failed" as const, at: at(ms), detail: "" };
    expect(told({ decisions: [pagedDecision({ outcome })], ...fields }).length).toBe(pages);
  });

  it("stands since what it tells of, and of two the earlier counts", () => {
    const [held] = standingPages(pageSnapshot({ holds: holding("no_good_target") }));
    expect(held!.startsAtMs).toBe(NOON_MS - 10 * MINUTE_MS);
    const both = { freezes: [killSwitch], releases: failing, holds: holding("kill_switch") };
    expect(standingPages(pageSnapshot(both))[0]!.startsAtMs).toBe(NOON_MS - 10 * MINUTE_MS);
  });
});

describe("what a page says", () => {
  it("names the decision, the deadline and what to type", () => {
    const [page] = standingPages(pageSnapshot({ decisions: [waiting] }));
    expect(page!.summary).toBe("com.acme.till/production 1.4.0: a rollback waits for your approval");
    expect(page!.description).toBe(
      "20 of 100 devices failed. Rolling back to 1.3.0. It waits for your yes until 2026-01-31T14:00:00.000Z: lastgood approve rb_1, or lastgood reject rb_1. (decision rb_1)",
    );
  });

  it("of a configuration file the first mistakes are told, and no channel", () => {
    const problems = ["a:1:1: one", "a:2:1: two", "a:3:1: three", "a:4:1: four", "a:5:1: five"];
    const [page] = standingPages(pageSnapshot({ refusedConfig: { since: minutesAgo(5), problems } }));
    expect(page).toMatchObject({ labels: {}, startsAtMs: NOON_MS - 5 * MINUTE_MS });
    expect(page!.summary).toBe("Lastgood: the configuration file has mistakes; what it said before goes on");
    expect(page!.description).toMatch(/^a:1:1: one; a:2:1: two; a:3:1: three; and 2 more\. /);
  });

  it("the labels and the key are the same at every look, whatever the sentence says by then", () => {
    const look = (sentence: string) => {
      const [text, hold] = [...holding("no_good_target")][0]!;
      const [page] = standingPages(pageSnapshot({ holds: new Map([[text, { ...hold, sentence }]]) }));
      return { key: page!.key, labels: page!.labels };
    };
    expect(look("20 of 100 devices failed.")).toEqual(look("2,000 of 10,000 devices failed."));
  });
});

describe("the tables", () => {
  /** What a hold never has. */
  const NEVER_HELD = new Set([
    "verdict_not_failing",
    "already_condemned",
    "evidence_over_threshold",
    "alert_fired",
    "offered_again",
    "operator_asked",
  ]);

  it("there is a line for every reason to hold back", () => {
    const reasons = DECISION_REASONS.filter((reason) => !NEVER_HELD.has(reason));
    expect(reasons.filter((reason) => HOLD_ALERTS[reason] === undefined)).toEqual([]);
  });

  it("docs/paging.md has a runbook for every alert, and for no other", () => {
    const page = readFileSync(new URL("../../../../docs/paging.md", import.meta.url), "utf8");
    const headings = Array.from(page.matchAll(/^### (\S+)$/gm), (match) => match[1]);
    expect(headings).toEqual(Object.keys(ALERTS));
  });
});
