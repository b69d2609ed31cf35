// The simulated fleet: the same seed has the same fates, and the books follow what devices did.
import { describe, expect, it } from "vitest";
import { createBooks } from "../../simulation/books.ts";
import { HEALTHY_RATES } from "../../simulation/device.ts";
import { createFleet } from "../../simulation/fleet.ts";
import type { Fleet, FleetOptions } from "../../simulation/fleet.ts";
import type { WireReport } from "../../simulation/wire-report.ts";

const START_MS = Date.UTC(2026, 0, 5);
const DEVICES = 2_000;
const ROLLOUT_MS = 10_000;

function fleetWith(options: Partial<FleetOptions> = {}): Fleet {
  return createFleet({
    seed: 1,
    devices: DEVICES,
    app: "com.acme.till",
    channel: "production",
    initialVersion: "1.4.0",
    laggardVersion: "1.3.0",
    laggardRatio: 0.02,
    rolloutMs: ROLLOUT_MS,
    startAtMs: START_MS,
    ratesOf: () => HEALTHY_RATES,
    ...options,
  });
}

/** Runs the fleet in steps of 100 ms while the channel offers what `offered` says. */
function run(fleet: Fleet, fromMs: number, toMs: number, offered: string | undefined): WireReport[] {
  const reports: WireReport[] = [];
  for (let ms = fromMs; ms <= toMs; ms += 100) reports.push(...fleet.advance(START_MS + ms, offered));
  return reports;
}

describe("a simulated fleet", () => {
  it("takes a release up within the rollout time, evenly", () => {
    const fleet = fleetWith({ laggardRatio: 0 });
    run(fleet, 0, ROLLOUT_MS / 2, "1.5.0");
    const started = DEVICES - (fleet.state().running["1.4.0"] ?? 0) + fleet.state().updating;
    expect(Math.abs(started / DEVICES - 0.5)).toBeLessThan(0.06);
    expect(fleet.state().isSettled).toBe(false);
    run(fleet, ROLLOUT_MS / 2 + 100, ROLLOUT_MS + 6_000, "1.5.0");
    const state = fleet.state();
    expect(state.isSettled).toBe(true);
    expect((state.running["1.5.0"] ?? 0) + state.gaveUp + state.silent).toBe(DEVICES);
  });

  it("goes back to the version before when the channel does, and says where it came from", () => {
    const fleet = fleetWith();
    run(fleet, 0, 20_000, "1.5.0");
    run(fleet, 20_100, 23_000, "1.6.0");
    const onBad = fleet.state().running["1.6.0"] ?? 0;
    expect(onBad).toBeGreaterThan(100);
    const reports = run(fleet, 23_100, 45_000, "1.5.0");
    expect(fleet.state().isSettled).toBe(true);
    expect(fleet.state().running["1.6.0"] ?? 0).toBeLessThan(onBad * 0.1);
    const returns = reports.filter(
      ({ event, from, version }) => event === "update_started" && from === "1.6.0" && version === "1.5.0",
    );
    expect(returns.length).toBeGreaterThanOrEqual(onBad);
  });

  it("does nothing while the update server cannot be asked, but still sends what is due", () => {
    const fleet = fleetWith();
    run(fleet, 0, 2_000, "1.5.0");
    const due = run(fleet, 2_100, 20_000, undefined);
    expect(due.length).toBeGreaterThan(0);
    const attempted = new Set(
      due.filter(({ event }) => event === "update_started").map(({ device }) => device),
    );
    expect(attempted.size).toBeLessThan(DEVICES * 0.2);
    expect(fleet.state().pending).toBe(0);
  });

  it("has told everything that it planned when nothing is pending, and starts nothing after the stop", () => {
    const fleet = fleetWith();
    run(fleet, 0, 5_000, "1.5.0");
    fleet.stopCheckIns();
    expect(fleet.state().pending).toBeGreaterThan(0);
    run(fleet, 5_100, 30_000, "1.6.0");
    expect(fleet.state().pending).toBe(0);
    expect(fleet.state().running["1.6.0"]).toBeUndefined();
  });

  it("tells the same story whatever the steps of time are", () => {
    const booksWith = (stepMs: number): unknown => {
      const fleet = fleetWith();
      const books = createBooks();
      for (let ms = 0; ms <= 30_000; ms += stepMs)
        for (const report of fleet.advance(START_MS + ms, "1.5.0")) books.enter(report);
      return books.of("1.5.0").failed;
    };
    expect(booksWith(50)).toBe(booksWith(1_000));
  });

  it("keeps counting a device under each version that it ever ran", () => {
    const fleet = fleetWith({ laggardRatio: 1 });
    expect(fleet.state().everRan).toEqual({ "1.3.0": DEVICES });
    run(fleet, 0, 20_000, "1.4.0");
    expect(fleet.state().everRan["1.3.0"]).toBe(DEVICES);
    expect(fleet.state().everRan["1.4.0"]).toBe(fleet.state().running["1.4.0"]);
  });
});
