// The counting rules written down once more, as plainly as can be: for each release a set of events per
// device, and nothing else. Shares no code with the folding that it is compared with, but the names.
import type { HealthStore } from "../../agent/health/health-store.ts";
import type { OutcomeCounts } from "../../agent/health/outcomes.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";

/** A report whose time is within what ingest takes as it is. */
export type ToldReport = DeviceReport & { readonly at: number };

interface NaiveDevice {
  readonly events: Set<string>;
  /** Device times of the reports that show an attempt. */
  readonly attemptsAtMs: number[];
}

export interface ReleaseCounts {
  readonly devices: OutcomeCounts;
  /** By first minute of the slot. */
  readonly windows: Readonly<Record<number, OutcomeCounts>>;
}

export interface NaiveCounts {
  tell(report: ToldReport): void;
  /** By `app|channel|version`. */
  counts(): Record<string, ReleaseCounts>;
}

const ATTEMPTS = new Set([
  "update_started",
  "download_failed",
  "installed",
  "install_failed",
  "confirmed",
  "reverted",
]);

export function createNaiveCounts(): NaiveCounts {
  const releases = new Map<string, Map<string, NaiveDevice>>();
  return {
    tell({ app, channel, version, device, event, at }) {
      const release = `${app}|${channel}|${version}`;
      if (!releases.has(release)) releases.set(release, new Map());
      const devices = releases.get(release)!;
      if (!devices.has(device)) devices.set(device, { events: new Set(), attemptsAtMs: [] });
      const known = devices.get(device)!;
      known.events.add(event);
      if (ATTEMPTS.has(event)) known.attemptsAtMs.push(at);
    },
    counts: () =>
      Object.fromEntries(
        [...releases].map(([release, devices]) => [release, countRelease([...devices.values()])]),
      ),
  };
}

function countRelease(devices: readonly NaiveDevice[]): ReleaseCounts {
  const slots = new Map<number, NaiveDevice[]>();
  for (const device of devices) {
    if (device.attemptsAtMs.length === 0) continue;
    const slot = Math.floor(Math.min(...device.attemptsAtMs) / 300_000) * 5;
    slots.set(slot, [...(slots.get(slot) ?? []), device]);
  }
  return {
    devices: countDevices(devices),
    windows: Object.fromEntries([...slots].map(([slot, inSlot]) => [slot, countDevices(inSlot)])),
  };
}

function countDevices(devices: readonly NaiveDevice[]): OutcomeCounts {
  const count = (holds: (events: ReadonlySet<string>) => boolean): number =>
    devices.filter(({ events }) => holds(events)).length;
  const hasFailed = (events: ReadonlySet<string>): boolean =>
    events.has("install_failed") || events.has("reverted");
  const hasAnnounced = (events: ReadonlySet<string>): boolean =>
    events.has("update_started") || events.has("installed");
  return {
    update_started: count((events) => events.has("update_started")),
    download_failed: count((events) => events.has("download_failed")),
    installed: count((events) => events.has("installed")),
    install_failed: count((events) => events.has("install_failed")),
    confirmed: count((events) => events.has("confirmed")),
    reverted: count((events) => events.has("reverted")),
    crashed: count((events) => events.has("crashed")),
    not_responding: count((events) => events.has("not_responding")),
    active: count((events) => events.has("active")),
    attempted: count((events) => [...events].some((event) => ATTEMPTS.has(event))),
    failed: count(hasFailed),
    recovered: count((events) => hasFailed(events) && events.has("confirmed")),
    announced: count(hasAnnounced),
    failed_unannounced: count((events) => hasFailed(events) && !hasAnnounced(events)),
    download_failed_unannounced: count((events) => events.has("download_failed") && !hasAnnounced(events)),
  };
}

/** What Redis holds, in the same form. */
export async function readCounts(health: HealthStore): Promise<Record<string, ReleaseCounts>> {
  const releases = await health.listReleases();
  return Object.fromEntries(
    await Promise.all(
      releases.map(async (release) => [nameOf(release), await readOne(health, release)] as const),
    ),
  );
}

async function readOne(health: HealthStore, release: ReleaseKey): Promise<ReleaseCounts> {
  const [{ devices }, windows] = await Promise.all([
    health.readRelease(release),
    health.readWindows(release),
  ]);
  return {
    devices,
    windows: Object.fromEntries(windows.map(({ slotMinute, devices: inSlot }) => [slotMinute, inSlot])),
  };
}

function nameOf({ app, channel, version }: ReleaseKey): string {
  return `${app}|${channel}|${version}`;
}
