// Deciding: the order of the questions, every reason once, and that a rollback only ever comes when no
// guard speaks against it.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { decide } from "../../../../agent/policy/decide.ts";
import { GUARDS } from "../../../../agent/policy/decision.ts";
import type { DecisionReason } from "../../../../agent/policy/decision.ts";
import { createFreezeWindow } from "../../../../agent/policy/freeze-window.ts";
import type { Freeze, FreezeScope } from "../../../../agent/policy/freeze.ts";
import type { Policy, RollbackBudget } from "../../../../agent/policy/policy.ts";
import { cooldown } from "../../../../agent/policy/guards/cooldown.ts";
import { chooseTarget } from "../../../../agent/policy/guards/good-target.ts";
import { minDevices } from "../../../../agent/policy/guards/min-devices.ts";
import { oneHop } from "../../../../agent/policy/guards/one-hop.ts";
import { stillCurrent } from "../../../../agent/policy/guards/still-current.ts";
import type { ChannelView, PastRollback, Situation } from "../../../../agent/policy/situation.ts";
import {
  failingVerdict,
  outcomeCounts,
  pastRollback,
  releaseOf,
  sampleGuards,
  samplePolicy,
  sampleSituation,
  TILL,
  version,
} from "../../../support/verdicts.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const moved: ChannelView = { kind: "known", version: version("1.4.1"), releases: [] };
const hop: PastRollback = pastRollback("1.5.0", "1.4.0", NOW_MS - 1);
const recent: PastRollback = pastRollback("1.3.5", "1.3.0", NOW_MS - 1);
const alone: ChannelView = {
  kind: "known",
  version: version("1.4.0"),
  releases: [{ version: version("1.4.0") }],
};
const fewDevices = failingVerdict({ devices: outcomeCounts({ attempted: 4, failed: 4 }) });

const pickyPolicy = samplePolicy({
  guards: sampleGuards({ shareOfFleetLeast: 0.1 }),
});
const strangersPolicy = samplePolicy({ guards: sampleGuards({ knownDevicesLeast: 0.5 }) });
const pickyAboutBoth = samplePolicy({
  guards: sampleGuards({ shareOfFleetLeast: 0.1, knownDevicesLeast: 0.5 }),
});
const confined = failingVerdict({ reason: "segment_failing", shareOfFleet: 0.032 });

const always = createFreezeWindow({ cron: "* * * * *", forMs: 60_000, timezone: "UTC" });

function freeze(scope: FreezeScope): Freeze {
  return { id: "fr_1", scope, by: "ana", reason: "audit", since: "2026-01-31T11:00:00.000Z", until: null };
}

function budgeted(maxRollbacks: Partial<RollbackBudget>): Policy {
  const none = { perChannelPerDay: undefined, overallPerHour: undefined };
  return samplePolicy({ guards: sampleGuards({ maxRollbacks: { ...none, ...maxRollbacks } }) });
}

/** What makes each reason that deciding can give, alone. */
const CAUSES: Readonly<Record<Exclude<DecisionReason, "operator_asked">, Partial<Situation>>> = {
  verdict_not_failing: { verdict: failingVerdict({ kind: "healthy", reason: "within_limits" }) },
  already_condemned: { rolledBack: new Set(["1.4.0"]) },
  evidence_over_threshold: {},
  environment: { verdict: failingVerdict({ kind: "inconclusive", reason: "environment" }) },
  too_few_devices: { verdict: fewDevices },
  share_too_small: { policy: pickyPolicy, verdict: confined },
  unknown_devices: { policy: strangersPolicy },
  cooling_down: { pastRollbacks: [recent] },
  channel_moved_on: { channel: moved },
  ota_server_unavailable: { channel: { kind: "unavailable", detail: "away" } },
  ota_server_refused: { channel: { kind: "refused", detail: "401" } },
  rolled_back_to_before: { pastRollbacks: [hop] },
  no_good_target: { channel: alone },
  no_proven_target: { policy: samplePolicy({ target: "proven" }) },
  target_below_minimum_version: { minimumVersion: version("1.3.1") },
  target_below_native_build: { lowestNativeBuild: "1.3.1" },
  alert_fired: { cause: "alert", causeSentence: "TillErrors is firing." },
  offered_again: { cause: "offered_again", rolledBack: new Set(["1.4.0"]) },
  kill_switch: { freezes: [freeze("all")] },
  frozen: { freezes: [freeze(TILL)] },
  freeze_window: { policy: samplePolicy({ guards: sampleGuards({ freezeWindows: [always] }) }) },
  channel_rollbacks_used_up: {
    policy: budgeted({ perChannelPerDay: 1 }),
    pastRollbacks: [pastRollback("1.3.9", "1.3.5", NOW_MS - 7_200_000)],
  },
  overall_rollbacks_used_up: { policy: budgeted({ overallPerHour: 1 }), overallRollbacksMs: [NOW_MS - 1] },
  action_not_supported: { capabilities: { rollback: false, pause: false } },
  rejected_by_operator: { rejected: new Set(["1.4.0"]) },
};

describe("reasons", () => {
  it.each(Object.entries(CAUSES))("%s", (reason, cause) => {
    const decision = decide(sampleSituation({ nowMs: NOW_MS, ...cause }));
    expect(decision.reason).toBe(reason);
    expect(decision.sentence.length).toBeGreaterThan(10);
  });

  it("every guard can be the one that speaks", () => {
    const decisions = Object.values(CAUSES).map((cause) =>
      decide(sampleSituation({ nowMs: NOW_MS, ...cause })),
    );
    const guards = decisions.flatMap((decision) => (decision.kind === "hold" ? [decision.guard] : []));
    expect([...new Set(guards)].toSorted()).toEqual([...GUARDS].toSorted());
  });
});

describe("the order of the questions", () => {
  // Each line adds a cause in front of those before it, which then is the answer.
  const everyCause: Partial<Situation>[] = [
    { lowestNativeBuild: "9.0.0" },
    { minimumVersion: version("9.0.0") },
    { pastRollbacks: [recent] },
    { pastRollbacks: [hop, recent] },
    { channel: moved },
    { policy: strangersPolicy },
    { policy: pickyAboutBoth, verdict: confined },
    { verdict: failingVerdict({ shareOfFleet: 0.032, devices: fewDevices.devices }) },
    { verdict: failingVerdict({ kind: "inconclusive", reason: "environment", devices: fewDevices.devices }) },
    { rolledBack: new Set(["1.4.0"]) },
    { verdict: failingVerdict({ kind: "inconclusive", reason: "not_enough_evidence" }) },
  ];

  it("target, cooldown, one hop, still current, known devices, share, devices, fault, condemned, verdict: the later ones speak first", () => {
    const reasons = everyCause.map((_, count) => {
      const fields = Object.assign(
        { nowMs: NOW_MS },
        ...everyCause.slice(0, count + 1),
      ) as Partial<Situation>;
      return decide(sampleSituation(fields)).reason;
    });
    expect(reasons).toEqual([
      "target_below_native_build",
      "target_below_minimum_version",
      "cooling_down",
      "rolled_back_to_before",
      "channel_moved_on",
      "unknown_devices",
      "share_too_small",
      "too_few_devices",
      "environment",
      "already_condemned",
      "verdict_not_failing",
    ]);
  });
});

describe("what leaves", () => {
  it("a rollback names mode, target and a sentence with both", () => {
    expect(decide(sampleSituation())).toEqual({
      kind: "rollback",
      mode: "automatic",
      reason: "evidence_over_threshold",
      target: "1.3.0",
      sentence: "20 of 100 devices failed to install or boot 1.4.0. Rolling back to 1.3.0.",
    });
  });

  it("condemned alone does not forbid it: a round that ended as stale has not used the rollback up", () => {
    const situation = sampleSituation({ condemned: new Set(["1.4.0"]) });
    expect(decide(situation)).toMatchObject({ kind: "rollback", target: "1.3.0" });
  });

  it("shadow mode asks the same questions and says that it is only a shadow", () => {
    const policy = samplePolicy({ mode: "shadow" });
    expect(decide(sampleSituation({ policy }))).toMatchObject({ kind: "rollback", mode: "shadow" });
    expect(decide(sampleSituation({ policy, channel: moved }))).toMatchObject({ kind: "hold" });
  });
});

const versionText = fc.constantFrom("1.5.0", "1.4.0", "1.3.0", "1.2.0", "build-7");
const channelView: fc.Arbitrary<ChannelView> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.oneof({ weight: 3, arbitrary: fc.constant("1.4.0") }, fc.option(versionText)),
        fc.shuffledSubarray(["1.5.0", "1.4.0", "1.3.0", "1.2.0", "build-7"]),
      )
      .map(([offered, listed]): ChannelView => ({
        kind: "known",
        version: offered === null ? null : version(offered),
        releases: listed.map((text) => ({ version: version(text) })),
      })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<ChannelView>(
      { kind: "unavailable", detail: "away" },
      { kind: "refused", detail: "no" },
    ),
  },
);
const situations: fc.Arbitrary<Situation> = fc
  .record({
    accused: fc.oneof({ weight: 3, arbitrary: fc.constant("1.4.0") }, versionText),
    kind: fc.constantFrom(
      "failing" as const,
      "failing" as const,
      "failing" as const,
      "healthy" as const,
      "inconclusive" as const,
      "unmeasurable" as const,
    ),
    attempted: fc.integer({ min: 0, max: 20 }),
    channel: channelView,
    condemned: fc.uniqueArray(versionText, { maxLength: 2 }),
    rolledBack: fc.uniqueArray(versionText, { maxLength: 2 }),
    failing: fc.uniqueArray(versionText, { maxLength: 2 }),
    minimum: fc.option(versionText),
    past: fc.array(fc.record({ from: versionText, to: versionText, ageMs: fc.nat(7_200_000) }), {
      maxLength: 2,
    }),
    mode: fc.constantFrom("automatic" as const, "shadow" as const),
  })
  .map((raw) =>
    sampleSituation({
      nowMs: NOW_MS,
      policy: samplePolicy({ mode: raw.mode }),
      verdict: failingVerdict({
        kind: raw.kind,
        release: releaseOf(raw.accused),
        devices: outcomeCounts({ attempted: raw.attempted, failed: raw.attempted }),
      }),
      channel: raw.channel,
      condemned: new Set([...raw.condemned, ...raw.rolledBack]),
      rolledBack: new Set(raw.rolledBack),
      failing: new Set(raw.failing),
      minimumVersion: raw.minimum === null ? undefined : version(raw.minimum),
      pastRollbacks: raw.past.map(({ from, to, ageMs }) => pastRollback(from, to, NOW_MS - ageMs)),
    }),
  );

test("a rollback exactly when the verdict is failing, its rollback is not used up and no guard refuses", () => {
  let rollbacks = 0;
  fc.assert(
    fc.property(situations, (situation) => {
      const before = structuredClone(situation);
      const decision = decide(situation);
      expect(decide(situation)).toEqual(decision);
      expect(situation).toEqual(before);
      const target = chooseTarget(situation);
      const isAllowed =
        situation.verdict.kind === "failing" &&
        !situation.rolledBack.has(situation.verdict.release.version) &&
        [minDevices, stillCurrent, oneHop, cooldown].every((guard) => guard(situation).kind === "pass") &&
        target.kind === "target";
      expect(decision.kind === "rollback").toBe(isAllowed);
      if (decision.kind !== "rollback") return;
      rollbacks += 1;
      expect(decision.target).not.toBe(situation.verdict.release.version);
      expect(situation.condemned.has(decision.target)).toBe(false);
      expect(situation.failing.has(decision.target)).toBe(false);
    }),
    { numRuns: 5_000, seed: 2 },
  );
  expect(rollbacks).toBeGreaterThan(50);
});
