// The signals a rule can name, and which counts each one compares. The candidate's unresolved attempts
// count as not failed when it is accused (failures only arrive early, so this never inflates a rate),
// and as failed when it is to be called healthy.
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { UnsettledFailures } from "../health/settled-counts.ts";

export const JUDGED_SIGNALS = ["update_failure", "download_failure", "silence"] as const;
export type JudgedSignal = (typeof JUDGED_SIGNALS)[number];

export interface SignalCounts {
  readonly trials: number;
  /** Devices known to have failed. */
  readonly failures: number;
  /** Devices not known to have come through: failed or still without an answer. */
  readonly notProvenGood: number;
}

/** `unsettled` failures are known, but do not accuse yet (see health/settled-counts.ts). */
export function countsOf(
  signal: JudgedSignal,
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

/** What happened to the devices, as the object of a sentence: "212 of 5,310 devices failed to …". */
export function describeFailure(signal: JudgedSignal): string {
  switch (signal) {
    case "update_failure":
      return "failed to install or boot";
    case "download_failure":
      return "failed to download";
    case "silence":
      return "fell silent while updating to";
  }
}
