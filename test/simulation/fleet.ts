// The simulated fleet: devices that check in one after the other, all of them once per rollout period.
// No network and no clock: whoever runs it says what time it is and what the channel answers. Enters:
// (now, offered version). Leaves: the reports that are due for sending by then.
import { checkIn, createDevice, settle } from "./device.ts";
import type { PlannedReport, ReleaseRates, SimulatedDevice } from "./device.ts";
import { createRandom } from "./random.ts";
import { toWireReport } from "./wire-report.ts";
import type { WireReport } from "./wire-report.ts";

export interface FleetOptions {
  readonly seed: number;
  readonly devices: number;
  readonly app: string;
  readonly channel: string;
  /** What most devices run at the start, and what the others still run. */
  readonly initialVersion: string;
  readonly laggardVersion: string;
  /** Share of devices that start on the laggard version, 0..1. */
  readonly laggardRatio: number;
  /** Time between two check-ins of one device, so also the time the whole fleet takes to take up a release. */
  readonly rolloutMs: number;
  readonly startAtMs: number;
  readonly ratesOf: (version: string) => ReleaseRates;
}

export interface FleetState {
  /** Devices that run each version now. */
  readonly running: Readonly<Record<string, number>>;
  /** Devices that ever ran each version, or started on it. */
  readonly everRan: Readonly<Record<string, number>>;
  readonly updating: number;
  readonly silent: number;
  /** Devices that failed the offered version for good and stay where they are. */
  readonly gaveUp: number;
  /** True when every device that still speaks runs what is offered or gave up on it. */
  readonly isSettled: boolean;
  /** Reports planned but not due yet, and updates not over yet. */
  readonly pending: number;
}

export interface Fleet {
  /** Moves the time on; `offered` undefined means that the update server could not be asked. */
  advance(nowMs: number, offered: string | undefined): WireReport[];
  /** From now on no device checks in; what has begun is still told. */
  stopCheckIns(): void;
  state(): FleetState;
}

interface Due {
  readonly atMs: number;
  readonly act: () => WireReport | undefined;
}

export function createFleet(options: FleetOptions): Fleet {
  const { seed, startAtMs } = options;
  const devices = Array.from({ length: options.devices }, (_, index) => createOne(options, index));
  const everRan = new Map<string, Set<number>>();
  for (const device of devices) rememberRun(everRan, device);
  const agenda = createAgenda(startAtMs);
  const rounds = createRounds(options);
  let lastOffered = options.initialVersion;

  const update = (device: SimulatedDevice): void => {
    devices[device.index] = device;
    rememberRun(everRan, device);
  };
  const planReport = (about: ReportContext) => (planned: PlannedReport) =>
    agenda.add({
      atMs: about.checkInAtMs + planned.sentAfterMs,
      act: () => toWireReport({ ...about, app: options.app, channel: options.channel, planned }),
    });
  const visit = (index: number, atMs: number, offered: string): void => {
    const device = devices[index]!;
    const result = checkIn(device, { seed, offered, rates: options.ratesOf(offered) });
    if (result.kind === "stays") {
      const about = { device, version: device.running, from: undefined, checkInAtMs: atMs };
      result.reports.forEach(planReport(about));
    }
    if (result.kind !== "updates") return;
    const { plan } = result;
    update(result.device);
    plan.reports.forEach(planReport({ device, version: offered, from: device.running, checkInAtMs: atMs }));
    const end = (): undefined => update(settle(result.device, offered, plan)) as undefined;
    if (plan.settledAfterMs === undefined) end();
    else agenda.add({ atMs: atMs + plan.settledAfterMs, act: end });
  };

  return {
    advance: (nowMs, offered) => {
      const reports = agenda.takeUntil(nowMs);
      lastOffered = offered ?? lastOffered;
      for (const { index, atMs } of rounds.dueUntil(nowMs)) {
        if (offered !== undefined) visit(index, atMs, offered);
      }
      return reports;
    },
    stopCheckIns: () => rounds.stop(),
    state: () => describe({ devices, everRan, offered: lastOffered, pending: agenda.size() }),
  };
}

type ReportContext = Omit<Parameters<typeof toWireReport>[0], "app" | "channel" | "planned">;

function createOne(options: FleetOptions, index: number): SimulatedDevice {
  const isLaggard = createRandom(options.seed, index, "laggard").chance(options.laggardRatio);
  return createDevice(options.seed, index, isLaggard ? options.laggardVersion : options.initialVersion);
}

function rememberRun(everRan: Map<string, Set<number>>, device: SimulatedDevice): void {
  const devices = everRan.get(device.running) ?? new Set<number>();
  everRan.set(device.running, devices.add(device.index));
}

/** Width of the agenda's slots, in milliseconds. */
const SLOT_MS = 20;

/** What will happen, in slots of time: adding and taking cost the same however much is planned. */
function createAgenda(startAtMs: number): {
  add(due: Due): void;
  takeUntil(nowMs: number): WireReport[];
  size(): number;
} {
  const slots = new Map<number, Due[]>();
  const slotOf = (atMs: number): number => Math.floor((atMs - startAtMs) / SLOT_MS);
  let nextSlot = 0;
  let size = 0;
  return {
    add: (due) => {
      const slot = Math.max(nextSlot, slotOf(due.atMs));
      const list = slots.get(slot) ?? [];
      list.push(due);
      slots.set(slot, list);
      size += 1;
    },
    takeUntil: (nowMs) => {
      const reports: WireReport[] = [];
      for (; nextSlot < slotOf(nowMs); nextSlot += 1) {
        const list = slots.get(nextSlot) ?? [];
        slots.delete(nextSlot);
        size -= list.length;
        for (const { act } of list.toSorted((left, right) => left.atMs - right.atMs)) {
          const report = act();
          if (report !== undefined) reports.push(report);
        }
      }
      return reports;
    },
    size: () => size,
  };
}

/** Who checks in when: each device at its own seeded moment of every round. */
function createRounds({ seed, devices, rolloutMs, startAtMs }: FleetOptions): {
  dueUntil(nowMs: number): { index: number; atMs: number }[];
  stop(): void;
} {
  const order = Array.from({ length: devices }, (_, index) => ({
    index,
    offsetMs: createRandom(seed, index, "check-in").between(0, rolloutMs),
  })).toSorted((left, right) => left.offsetMs - right.offsetMs);
  let round = 0;
  let place = 0;
  let rounds = devices === 0 ? 0 : Number.POSITIVE_INFINITY;
  return {
    dueUntil: (nowMs) => {
      const due: { index: number; atMs: number }[] = [];
      while (round < rounds) {
        const { index, offsetMs } = order[place]!;
        const atMs = startAtMs + round * rolloutMs + offsetMs;
        if (atMs > nowMs) break;
        due.push({ index, atMs });
        place = (place + 1) % order.length;
        if (place === 0) round += 1;
      }
      return due;
    },
    stop: () => void (rounds = 0),
  };
}

function describe(options: {
  devices: readonly SimulatedDevice[];
  everRan: ReadonlyMap<string, ReadonlySet<number>>;
  offered: string;
  pending: number;
}): FleetState {
  const running: Record<string, number> = {};
  let updating = 0;
  let silent = 0;
  let gaveUp = 0;
  let behind = 0;
  for (const device of options.devices) {
    running[device.running] = (running[device.running] ?? 0) + 1;
    if (device.phase === "updating") updating += 1;
    else if (device.phase === "silent") silent += 1;
    else if (device.running === options.offered) continue;
    else if (device.gaveUpOn === options.offered) gaveUp += 1;
    else behind += 1;
  }
  const everRan = Object.fromEntries([...options.everRan].map(([version, set]) => [version, set.size]));
  const isSettled = updating === 0 && behind === 0;
  return { running, everRan, updating, silent, gaveUp, isSettled, pending: options.pending };
}
