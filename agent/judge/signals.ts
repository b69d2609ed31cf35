// The signals a rule can name, and which counts each one compares. The candidate's unresolved attempts
// count as not failed when it is accused (failures only arrive early, so this never inflates a rate),
// and as failed when it is to be called healthy.
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { DeviceHours, StratumHealth } from "../health/health-window.ts";
import type { UnsettledFailures } from "../health/settled-counts.ts";

export const JUDGED_SIGNALS = [
  "update_failure",
  "download_failure",
  "crash",
  "not_responding",
  "silence",
] as const;
export type JudgedSignal = (typeof JUDGED_SIGNALS)[number];

/** Outcomes of an attempt, one per device. */
export type OutcomeSignal = "update_failure" | "download_failure" | "silence";
/** Rates per device-hour of use. */
export type UsageSignal = "crash" | "not_responding";

export function isUsageSignal(signal: JudgedSignal): signal is UsageSignal {
  return signal === "crash" || signal === "not_responding";
}

export interface SignalCounts {
  readonly trials: number;
  /** Devices known to have failed. */
  readonly failures: number;
  /** Devices (or device-hours) not known to have come through: failed or still without an answer. */
  readonly notProvenGood: number;
}

/** `unsettled` failures are known, but do not accuse yet (see health/settled-counts.ts). */
export function countsOf(
  signal: OutcomeSignal,
  devices: OutcomeCounts,
  unsettled: UnsettledFailures,
): SignalCounts {
  const cleanlyConfirmed = devices.confirmed - devices.recovered;
  switch (signal) {
    case "update_failure":
      return {
        trials: devices.attempted,
        // Totals and windows are two readings: what came in between must not make it negative.
        failures: Math.max(0, devices.failed - unsettled.failed),
        notProvenGood: devices.attempted - cleanlyConfirmed,
      };
    case "download_failure":
      return {
        trials: devices.attempted,
        failures: Math.max(0, devices.download_failed - unsettled.download_failed),
        notProvenGood: Math.min(
          devices.attempted,
          devices.attempted - cleanlyConfirmed + devices.download_failed,
        ),
      };
    case "silence":
      // Valid at every look: a device is a trial from when it announces the update, and silent at the earliest a
      // deadline later, so trials run ahead of failures; one that comes back is taken off again, which only lowers
      // the rate. Devices that did not announce owe no word: they can't fall silent, and would only dilute the rate.
      // Whoever is not proven good may still fall silent.
      return {
        trials: devices.announced,
        failures: devices.silent,
        notProvenGood: Math.min(devices.announced, devices.attempted - cleanlyConfirmed),
      };
  }
}

/**
 * Of hours of use: a device accuses once per version, in the hour of its first failure, so that one in a crash loop
 * is one device (docs/counting.md); every failed hour counts against calling the release healthy.
 */
export function usageCountsOf(signal: UsageSignal, hours: DeviceHours): SignalCounts {
  const [failures, failedHours] =
    signal === "crash"
      ? [hours.firstCrashed, hours.crashed]
      : [hours.firstNotResponding, hours.notResponding];
  // Hours of more than a week ago stay in the stratum they were counted in, when a device tells later what it is: one
  // stratum may lack what another has too much.
  return {
    trials: Math.max(0, hours.active),
    // A first failure moves with a device that tells later what it is, hours of more than a week ago don't: one without
    // its hour accuses nobody.
    failures: Math.max(0, Math.min(failures, failedHours)),
    notProvenGood: Math.max(0, failedHours),
  };
}

/** One side of a comparison in one cell, as it may accuse and as it may clear. */
export interface ComparedCounts {
  readonly exposure: number;
  readonly failures: number;
  readonly safetyExposure: number;
  readonly safetyFailures: number;
}

/**
 * The accused side. Only devices that announced stand in a comparison: of the others only those are known that have
 * answered, and failures answer first.
 */
export function candidateCounts(signal: JudgedSignal, { devices, hours }: StratumHealth): ComparedCounts {
  if (isUsageSignal(signal)) {
    const { trials, failures, notProvenGood } = usageCountsOf(signal, hours);
    return { exposure: trials, failures, safetyExposure: trials, safetyFailures: notProvenGood };
  }
  const { announced } = devices;
  const cleanlyConfirmed = devices.confirmed - devices.recovered;
  const notProvenGood = Math.min(announced, Math.max(0, devices.attempted - cleanlyConfirmed));
  const failures = announcedFailures(signal, devices);
  return { exposure: announced, failures, safetyExposure: announced, safetyFailures: notProvenGood };
}

/**
 * The side it is held against. Never flattered when it accuses: of its attempts only those that have answered are
 * exposed, and as failures arrive early their share is at least the final one. When it clears, all attempts are.
 */
export function baselineCounts(
  signal: JudgedSignal,
  { devices, hours, answered }: StratumHealth & { readonly answered: readonly number[] },
): ComparedCounts {
  if (isUsageSignal(signal)) {
    const { trials, notProvenGood } = usageCountsOf(signal, hours);
    return {
      exposure: trials,
      failures: notProvenGood,
      safetyExposure: trials,
      safetyFailures: notProvenGood,
    };
  }
  const failures = announcedFailures(signal, devices);
  const unresolved = devices.attempted - answered.reduce((sum, bin) => sum + bin, 0);
  const exposure = Math.max(failures, devices.announced - Math.max(0, unresolved));
  return { exposure, failures, safetyExposure: devices.announced, safetyFailures: failures };
}

function announcedFailures(signal: OutcomeSignal, devices: OutcomeCounts): number {
  switch (signal) {
    case "update_failure":
      return devices.failed_announced;
    case "download_failure":
      return devices.download_failed_announced;
    case "silence":
      return devices.silent;
  }
}

/** What happened to the devices, as the object of a sentence: "212 of 5,310 devices failed to …". */
export function describeFailure(signal: JudgedSignal): string {
  switch (signal) {
    case "update_failure":
      return "failed to install or boot";
    case "download_failure":
      return "failed to download";
    case "crash":
      return "crashed on";
    case "not_responding":
      return "did not respond on";
    case "silence":
      return "fell silent while updating to";
  }
}
