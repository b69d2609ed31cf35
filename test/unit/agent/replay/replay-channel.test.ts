// The replay of a channel as a pure function: guards that need no Redis, the limit of what is told, and turns.
import { describe, expect, it } from "vitest";
import type { ReleaseHealth } from "../../../../agent/health/health-window.ts";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import type { Policy } from "../../../../agent/policy/policy.ts";
import type { ChannelFacts } from "../../../../agent/replay/channel-facts.ts";
import { REPLAY_HOLDS_MAX, replayChannel } from "../../../../agent/replay/replay-channel.ts";
import type { ReplayedRelease } from "../../../../agent/replay/replay-channel.ts";
import { DAY_START, createSide } from "../../../support/judged-release.ts";
import type { Side } from "../../../support/judged-release.ts";
import { TILL, sampleGuards, samplePolicy, version } from "../../../support/verdicts.ts";

function factsOf(sides: readonly Side[], fields: Partial<ChannelFacts> = {}): ChannelFacts {
  const releases = sides.map((side) => {
    const { days } = side.history();
    const windows = days.flatMap(({ hours }) => hours.flatMap((hour) => hour.windows));
    const firstReportAtMs = windows[0]!.slotMinute * 60_000;
    const health: ReleaseHealth = {
      release: side.key,
      devices: { ...side.devices },
      hours: NO_DEVICE_HOURS,
      firstReportAtMs,
      lastReportAtMs: firstReportAtMs,
      lastFailureAtMs: 0,
      silenceDeadlineMs: 0,
    };
    return { health, windows };
  });
  return { key: TILL, minimumVersion: undefined, others: [], decisions: [], releases, ...fields };
}

/** Every 5 minutes for so many of them. */
function stepsOf(minutes: number): number[] {
  return Array.from({ length: minutes / 5 + 1 }, (_, step) => DAY_START + 5 * step);
}

function run(facts: ChannelFacts, policy: Policy = samplePolicy(), steps = stepsOf(180)) {
  const going = replayChannel({ policy, facts, steps });
  let turns = 0;
  let next = going.next();
  for (; next.done !== true; next = going.next()) turns += 1;
  const { value } = next;
  const found = (text: string): ReplayedRelease => value.find((each) => each.version === text)!;
  return { found, turns, value };
}

function goodAndBad(): [Side, Side] {
  const [good, bad] = [createSide("1.3.0"), createSide("1.4.0")];
  good.update({ minute: DAY_START }, 40);
  for (let minute = 30; minute < 90; minute += 5) bad.update({ minute: DAY_START + minute }, 10, 3);
  return [good, bad];
}

describe("a bad release beside a good one", () => {
  it("would have been left for the good one, at the first look over the threshold", () => {
    const { found } = run(factsOf(goodAndBad()));
    expect(found("1.4.0")).toMatchObject({
      verdict: { kind: "failing" },
      decision: { action: "rollback", mode: "automatic", target: "1.3.0" },
      holds: [],
      wasActedBefore: false,
    });
    expect(found("1.4.0").decision!.atMs).toBe(found("1.4.0").overThresholdMs);
    expect(found("1.4.0").decision!.devices).toBeLessThan(60);
    expect(found("1.3.0")).toMatchObject({ decision: undefined, overThresholdMs: undefined });
  });

  it("not below the minimum version: held to the end", () => {
    const { found } = run(factsOf(goodAndBad(), { minimumVersion: version("1.3.5") }));
    expect(found("1.4.0").decision).toBeUndefined();
    expect(found("1.4.0").holds).toMatchObject([
      { reason: "target_below_minimum_version", untilMs: undefined },
    ]);
  });

  it("a policy that only watches decides once, and the release stays what others are held against", () => {
    const [good, bad] = goodAndBad();
    const next = createSide("1.5.0");
    next.update({ minute: DAY_START + 100 }, 40, 20);
    const { found } = run(factsOf([good, bad, next]), samplePolicy({ mode: "shadow" }));
    expect(found("1.4.0").decision).toMatchObject({ mode: "shadow", target: "1.3.0" });
    expect(found("1.5.0").holds).toMatchObject([{ reason: "environment" }]);
    const acting = run(factsOf([good, bad, next]));
    expect(acting.found("1.5.0")).toMatchObject({ decision: { target: "1.3.0" }, holds: [] });
  });

  it("gives turns after each hour, verdict and step; and the same twice", () => {
    const [first, second] = [run(factsOf(goodAndBad())), run(factsOf(goodAndBad()))];
    expect(first.turns).toBeGreaterThan(stepsOf(180).length);
    expect(JSON.stringify(first.value)).toBe(JSON.stringify(second.value));
  });
});

it("of many holds the first are told, REPLAY_HOLDS_MAX at most", () => {
  const [good, bad] = [createSide("1.3.0"), createSide("1.4.0")];
  good.update({ minute: DAY_START }, 40);
  const policy = samplePolicy({
    rules: [
      { form: "plain", signal: "update_failure", limit: 0.05, windowMs: 300_000, forMs: 0, minDevices: 1 },
    ],
    guards: sampleGuards({ minDevices: 1_000_000, cooldownMs: 0 }),
  });
  // Every other 5 minutes are bad: each begins a hold that ends.
  for (let slot = 0; slot < 60; slot += 1)
    bad.update({ minute: DAY_START + 5 * slot }, 10, slot % 4 === 0 ? 5 : 0);
  const { found } = run(factsOf([good, bad]), policy, stepsOf(310));
  expect(found("1.4.0").holds.length).toBeGreaterThan(5);
  expect(found("1.4.0").holds.length).toBeLessThanOrEqual(REPLAY_HOLDS_MAX);
});

it("a channel that nobody reported about has nothing to tell", () => {
  expect(run(factsOf([])).value).toEqual([]);
});
