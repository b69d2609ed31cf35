// One simulated device: its fate under a version, and what it reports over time.
import { describe, expect, it } from "vitest";
import {
  DEVICE_EVENTS,
  HEALTHY_RATES,
  checkIn,
  createDevice,
  planUpdate,
  settle,
} from "../../simulation/device.ts";
import type { ReleaseRates, SimulatedDevice, UpdatePlan } from "../../simulation/device.ts";

const DEVICES = 20_000;
const BAD_RATES: ReleaseRates = { ...HEALTHY_RATES, failureRatio: 0.08 };

function plansOf(rates: ReleaseRates, options: { seed?: number; devices?: number } = {}): UpdatePlan[] {
  const { seed = 1, devices = DEVICES } = options;
  return Array.from({ length: devices }, (_, index) =>
    planUpdate({ seed, deviceId: `till-${index}`, version: "1.6.0", rates }),
  );
}

/**
 * How far a share is from its chance, in standard errors. Below four is right: one false alarm in 16,000
 * seeds, and the seed is fixed. A chance of 0 or 1 leaves no room at all.
 */
function deviation(actual: number, samples: number, ratio: number): number {
  const distance = Math.abs(actual - samples * ratio);
  return distance === 0 ? 0 : distance / Math.sqrt(ratio * (1 - ratio) * samples);
}

function hasEvent(plan: UpdatePlan, ...events: readonly string[]): boolean {
  return plan.reports.some(({ event }) => events.includes(event));
}

describe("fates of a device under a version", () => {
  it.each([0, 0.01, 0.05, 0.08, 0.5, 1])("fail for a share of %d of devices", (failureRatio) => {
    const plans = plansOf({ ...HEALTHY_RATES, failureRatio });
    const failed = plans.filter((plan) => hasEvent(plan, "install_failed", "reverted")).length;
    expect(deviation(failed, DEVICES, failureRatio)).toBeLessThan(4);
  });

  it("go silent and fail to download at their rates, among those that do not fail", () => {
    const rates = { ...BAD_RATES, silentRatio: 0.03, downloadFailureRatio: 0.04 };
    const plans = plansOf(rates);
    const others = plans.filter((plan) => !hasEvent(plan, "install_failed", "reverted"));
    expect(
      deviation(others.filter(({ fate }) => fate === "silent").length, others.length, 0.03),
    ).toBeLessThan(4);
    expect(
      deviation(others.filter((plan) => hasEvent(plan, "download_failed")).length, others.length, 0.04),
    ).toBeLessThan(4);
  });

  it("crash and hang at their rates, among those that come to run the release", () => {
    const rates = { ...HEALTHY_RATES, failureRatio: 0, crashRatio: 0.1, notRespondingRatio: 0.05 };
    const running = plansOf(rates).filter(({ runsNewVersion }) => runsNewVersion);
    expect(
      deviation(running.filter((plan) => hasEvent(plan, "crashed")).length, running.length, 0.1),
    ).toBeLessThan(4);
    expect(
      deviation(running.filter((plan) => hasEvent(plan, "not_responding")).length, running.length, 0.05),
    ).toBeLessThan(4);
  });

  it("are the same in every run, and others under another seed or version", () => {
    expect(plansOf(BAD_RATES, { devices: 500 })).toEqual(plansOf(BAD_RATES, { devices: 500 }));
    expect(plansOf(BAD_RATES, { devices: 500, seed: 2 })).not.toEqual(plansOf(BAD_RATES, { devices: 500 }));
    const ofOther = planUpdate({ seed: 1, deviceId: "till-0", version: "1.6.1", rates: BAD_RATES });
    expect(ofOther).not.toEqual(plansOf(BAD_RATES, { devices: 1 })[0]);
  });

  it("show every event, retries that recover and that fail again, duplicates, late and overtaken reports", () => {
    const plans = plansOf(BAD_RATES);
    const reports = plans.flatMap((plan) => plan.reports);
    expect(new Set(reports.map(({ event }) => event))).toEqual(new Set(DEVICE_EVENTS));
    const firsts = (plan: UpdatePlan) => plan.reports.filter((report) => !report.isDuplicate);
    const timesOf = (plan: UpdatePlan, event: string) =>
      firsts(plan).filter((report) => report.event === event).length;
    expect(plans.some((plan) => timesOf(plan, "install_failed") === 2)).toBe(true);
    expect(plans.some((plan) => hasEvent(plan, "install_failed") && hasEvent(plan, "confirmed"))).toBe(true);
    expect(plans.some((plan) => hasEvent(plan, "download_failed") && hasEvent(plan, "confirmed"))).toBe(true);
    expect(reports.filter(({ isDuplicate }) => isDuplicate).length).toBeGreaterThan(reports.length * 0.04);
    expect(reports.filter(({ isLate }) => isLate).length).toBeGreaterThan(reports.length * 0.02);
    expect(plans.some(isOvertaken)).toBe(true);
  });

  it("give late reports their time in the past, and reasons and fingerprints where they belong", () => {
    const reports = plansOf(BAD_RATES, { devices: 1_000 }).flatMap((plan) => plan.reports);
    for (const report of reports) {
      expect(report.sentAfterMs).toBeGreaterThanOrEqual(report.occursAfterMs);
      const isTold = report.hasTime && report.sentAfterMs - report.occursAfterMs >= 2_000;
      expect(report.isLate && !isTold).toBe(false);
      const hasReason = ["install_failed", "download_failed", "reverted"].includes(report.event);
      expect(report.reason !== undefined).toBe(hasReason);
      expect(report.crash !== undefined).toBe(report.event === "crashed");
    }
  });

  it("leave a silent device with nothing after update_started", () => {
    const silent = plansOf({ ...HEALTHY_RATES, silentRatio: 1, failureRatio: 0 }, { devices: 50 });
    for (const plan of silent) {
      expect(new Set(plan.reports.map(({ event }) => event))).toEqual(new Set(["update_started"]));
      expect(plan.settledAfterMs).toBeUndefined();
    }
  });
});

function isOvertaken(plan: UpdatePlan): boolean {
  const bySending = plan.reports.toSorted((left, right) => left.sentAfterMs - right.sentAfterMs);
  return bySending.some((report, index) => report.occursAfterMs < (bySending[index - 1]?.occursAfterMs ?? 0));
}

const ALWAYS_FAILS: ReleaseRates = { ...HEALTHY_RATES, failureRatio: 1 };
const NEVER_FAILS: ReleaseRates = {
  ...HEALTHY_RATES,
  failureRatio: 0,
  silentRatio: 0,
  downloadFailureRatio: 0,
};

function takeUp(device: SimulatedDevice, offered: string, rates: ReleaseRates): SimulatedDevice {
  const result = checkIn(device, { seed: 1, offered, rates });
  if (result.kind !== "updates") throw new Error(`expected an update, got ${result.kind}`);
  return settle(result.device, offered, result.plan);
}

describe("a device over time", () => {
  const device = createDevice(1, 42, "1.4.0");

  it("fills its strata and starts idle", () => {
    expect(device).toMatchObject({ id: "till-000042", running: "1.4.0", phase: "idle" });
    expect(Object.values(device.strata).every((value) => value.length > 0)).toBe(true);
  });

  it("sends a heartbeat when it runs what is offered", () => {
    const result = checkIn(device, { seed: 1, offered: "1.4.0", rates: NEVER_FAILS });
    expect(result.kind === "stays" && result.reports.every(({ event }) => event === "active")).toBe(true);
  });

  it("is busy while it updates and runs the new version afterwards", () => {
    const result = checkIn(device, { seed: 1, offered: "1.5.0", rates: NEVER_FAILS });
    if (result.kind !== "updates") throw new Error("expected an update");
    expect(checkIn(result.device, { seed: 1, offered: "1.6.0", rates: NEVER_FAILS }).kind).toBe("busy");
    expect(settle(result.device, "1.5.0", result.plan)).toMatchObject({ running: "1.5.0", phase: "idle" });
  });

  it("returns to an older version that is offered again after a rollback", () => {
    const onBad = takeUp(takeUp(device, "1.5.0", NEVER_FAILS), "1.6.0", NEVER_FAILS);
    expect(onBad.running).toBe("1.6.0");
    expect(takeUp(onBad, "1.5.0", NEVER_FAILS).running).toBe("1.5.0");
  });

  it("does not try again what failed for good while it is offered, but takes what comes next", () => {
    const failing = Array.from({ length: 100 }, (_, index) => createDevice(1, index, "1.4.0"))
      .map((one) => takeUp(one, "1.6.0", ALWAYS_FAILS))
      .find(({ gaveUpOn }) => gaveUpOn === "1.6.0");
    expect(failing).toMatchObject({ running: "1.4.0", phase: "idle" });
    expect(checkIn(failing!, { seed: 1, offered: "1.6.0", rates: ALWAYS_FAILS }).kind).toBe("stays");
    expect(takeUp(failing!, "1.7.0", NEVER_FAILS)).toMatchObject({ running: "1.7.0", gaveUpOn: undefined });
  });

  it("is never heard again once it is silent", () => {
    const silent = takeUp(device, "1.5.0", { ...NEVER_FAILS, silentRatio: 1 });
    expect(silent.phase).toBe("silent");
    expect(checkIn(silent, { seed: 1, offered: "1.4.0", rates: NEVER_FAILS }).kind).toBe("silent");
  });
});
