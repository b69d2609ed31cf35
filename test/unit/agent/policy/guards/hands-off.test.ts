// What keeps Lastgood's hands off: the kill switch, freezes, the calendar, and budgets; each at its edge.
import { describe, expect, it } from "vitest";
import { createFreezeWindow } from "../../../../../agent/policy/freeze-window.ts";
import type { Freeze } from "../../../../../agent/policy/freeze.ts";
import { isInForce } from "../../../../../agent/policy/freeze.ts";
import { capability } from "../../../../../agent/policy/guards/capability.ts";
import { freezeWindow } from "../../../../../agent/policy/guards/freeze-window.ts";
import { frozen } from "../../../../../agent/policy/guards/frozen.ts";
import { killSwitch } from "../../../../../agent/policy/guards/kill-switch.ts";
import { rejected } from "../../../../../agent/policy/guards/rejected.ts";
import { rollbackBudget } from "../../../../../agent/policy/guards/rollback-budget.ts";
import type { RollbackBudget } from "../../../../../agent/policy/policy.ts";
import {
  TILL,
  pastRollback,
  sampleGuards,
  samplePolicy,
  sampleSituation,
} from "../../../../support/verdicts.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const HOUR_MS = 3_600_000;

function freeze(fields: Partial<Freeze> = {}): Freeze {
  return {
    id: "fr_1",
    scope: "all",
    by: "ana",
    reason: "audit",
    since: "2026-01-31T11:00:00.000Z",
    until: null,
    ...fields,
  };
}

describe("freezes", () => {
  const other = { ...TILL, channel: "beta" as typeof TILL.channel };

  it("the kill switch stops everything, and is no freeze of one channel", () => {
    expect(killSwitch({ freezes: [] })).toEqual({ kind: "pass" });
    expect(killSwitch({ freezes: [freeze({ scope: TILL })] })).toEqual({ kind: "pass" });
    expect(killSwitch({ freezes: [freeze()] })).toMatchObject({
      reason: "kill_switch",
      sentence: "ana switched everything automatic off (audit); lift it with: lastgood unfreeze fr_1",
    });
  });

  it("one of a channel stops that channel", () => {
    const answer = (one: Freeze) => frozen({ freezes: [one], channelKey: TILL });
    expect(answer(freeze({ scope: other }))).toEqual({ kind: "pass" });
    expect(answer(freeze({ scope: { ...TILL, app: "com.acme" as typeof TILL.app } }))).toEqual({
      kind: "pass",
    });
    expect(answer(freeze())).toEqual({ kind: "pass" });
    expect(answer(freeze({ scope: TILL }))).toMatchObject({ reason: "frozen" });
  });

  it("is in force until its time, not at it", () => {
    const until = new Date(NOW_MS).toISOString();
    expect(isInForce(freeze({ until }), NOW_MS - 1)).toBe(true);
    expect(isInForce(freeze({ until }), NOW_MS)).toBe(false);
    expect(isInForce(freeze(), NOW_MS)).toBe(true);
  });
});

describe("freeze windows", () => {
  const weekend = createFreezeWindow({ cron: "0 18 * * 5", forMs: 62 * HOUR_MS, timezone: "Europe/Berlin" });
  // Friday 18:00 in Berlin is 17:00 UTC in winter and 16:00 in summer.
  it.each([
    ["a minute before it begins", Date.UTC(2026, 0, 30, 16, 59, 59, 999), false],
    ["as it begins, in winter", Date.UTC(2026, 0, 30, 17), true],
    ["in the middle of it", Date.UTC(2026, 1, 1, 12), true],
    ["its last moment", Date.UTC(2026, 1, 2, 6, 59, 59, 999), true],
    ["as it ends", Date.UTC(2026, 1, 2, 7), false],
    ["as it begins, in summer", Date.UTC(2026, 6, 3, 16), true],
    ["a minute before, in summer", Date.UTC(2026, 6, 3, 15, 59), false],
  ])("%s", (_name, atMs, isFrozen) => {
    const policy = samplePolicy({ guards: sampleGuards({ freezeWindows: [weekend] }) });
    const answer = freezeWindow({ policy, nowMs: atMs });
    expect(answer.kind).toBe(isFrozen ? "refuse" : "pass");
  });

  it("says until when", () => {
    const policy = samplePolicy({ guards: sampleGuards({ freezeWindows: [weekend] }) });
    const answer = freezeWindow({ policy, nowMs: Date.UTC(2026, 1, 1, 12) });
    expect(answer).toMatchObject({
      reason: "freeze_window",
      sentence: expect.stringContaining("2026-02-02T07:00:00.000Z"),
    });
  });
});

describe("how many rollbacks there may be", () => {
  const answer = (
    budget: Partial<RollbackBudget>,
    agesMs: readonly number[],
    by: "lastgood" | "operator" = "lastgood",
  ) =>
    rollbackBudget(
      sampleSituation({
        nowMs: NOW_MS,
        policy: samplePolicy({
          guards: sampleGuards({
            maxRollbacks: { perChannelPerDay: undefined, overallPerHour: undefined, ...budget },
          }),
        }),
        pastRollbacks: agesMs.map((ageMs) => ({ ...pastRollback("1.3.9", "1.3.0", NOW_MS - ageMs), by })),
        overallRollbacksMs: agesMs.map((ageMs) => NOW_MS - ageMs),
      }),
    );

  it("is not limited until a number is named", () => {
    expect(answer({}, [1, 2, 3])).toEqual({ kind: "pass" });
  });

  it("of a channel in a day", () => {
    expect(answer({ perChannelPerDay: 2 }, [1])).toEqual({ kind: "pass" });
    expect(answer({ perChannelPerDay: 2 }, [1, 24 * HOUR_MS])).toEqual({ kind: "pass" });
    expect(answer({ perChannelPerDay: 2 }, [1, 24 * HOUR_MS - 1])).toMatchObject({
      reason: "channel_rollbacks_used_up",
    });
    expect(answer({ perChannelPerDay: 2 }, [1, 2], "operator")).toEqual({ kind: "pass" });
  });

  it("of all channels in an hour", () => {
    expect(answer({ overallPerHour: 1 }, [HOUR_MS])).toEqual({ kind: "pass" });
    expect(answer({ overallPerHour: 1 }, [HOUR_MS - 1])).toMatchObject({
      reason: "overall_rollbacks_used_up",
    });
  });
});

it("an OTA server is not asked for what it can't do; a page asks nothing of it", () => {
  const answer = (action: "rollback" | "pause" | "page") =>
    capability(
      sampleSituation({ policy: samplePolicy({ action }), capabilities: { rollback: true, pause: false } }),
    );
  expect(answer("rollback")).toEqual({ kind: "pass" });
  expect(answer("page")).toEqual({ kind: "pass" });
  expect(answer("pause")).toMatchObject({ reason: "action_not_supported" });
});

it("a channel that can't be paused as it is now is not paused, though others of the server can be", () => {
  const answer = (action: "rollback" | "pause", pausable: boolean | undefined) => {
    const situation = sampleSituation({ policy: samplePolicy({ action }) });
    const { channel } = situation;
    if (channel.kind !== "known") throw new Error("the sample's channel is known");
    return capability({
      ...situation,
      channel: { ...channel, ...(pausable === undefined ? {} : { pausable }) },
    });
  };
  expect(answer("pause", undefined)).toEqual({ kind: "pass" });
  expect(answer("pause", true)).toEqual({ kind: "pass" });
  expect(answer("rollback", false)).toEqual({ kind: "pass" });
  expect(answer("pause", false)).toEqual({
    kind: "refuse",
    guard: "capability",
    reason: "action_not_supported",
    sentence:
      "This OTA server can't pause a rollout on this channel as it is now: choose another action in the policy, and act by hand now.",
  });
});

it("what a person said no to is not asked for again; other versions are", () => {
  expect(rejected(sampleSituation({ rejected: new Set(["1.4.0"]) }))).toMatchObject({
    reason: "rejected_by_operator",
  });
  expect(rejected(sampleSituation({ rejected: new Set(["1.3.9"]) }))).toEqual({ kind: "pass" });
});
