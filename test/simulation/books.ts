// The fleet's own books: which device reported what about which version, counted only when ingest has
// acknowledged it. Written from the counting rules of the documentation, sharing no code with the
// agent, so that "books agree" means that two programs came to the same numbers independently.
import type { WireReport } from "./wire-report.ts";

export const BOOK_COUNTS = [
  "attempted",
  "update_started",
  "download_failed",
  "installed",
  "install_failed",
  "confirmed",
  "reverted",
  "crashed",
  "not_responding",
  "active",
  "failed",
  "recovered",
  "announced",
  "failed_announced",
  "download_failed_announced",
] as const;
export type BookCount = (typeof BOOK_COUNTS)[number];

/** Devices per count. */
export type VersionBook = Readonly<Record<BookCount, number>>;

export interface Books {
  /** Enters one acknowledged report; entering it again changes nothing. */
  enter(report: Pick<WireReport, "device" | "version" | "event">): void;
  of(version: string): VersionBook;
  all(): Readonly<Record<string, VersionBook>>;
}

const ATTEMPT_EVENTS: ReadonlySet<string> = new Set([
  "update_started",
  "download_failed",
  "installed",
  "install_failed",
  "confirmed",
  "reverted",
]);

export function createBooks(): Books {
  const versions = new Map<string, Map<BookCount, Set<string>>>();
  const devicesOf = (version: string, count: BookCount): Set<string> => {
    const counts = versions.get(version) ?? new Map<BookCount, Set<string>>();
    versions.set(version, counts);
    const devices = counts.get(count) ?? new Set<string>();
    counts.set(count, devices);
    return devices;
  };
  const of = (version: string): VersionBook =>
    Object.fromEntries(
      BOOK_COUNTS.map((count) => [count, versions.get(version)?.get(count)?.size ?? 0]),
    ) as Record<BookCount, number>;
  return {
    enter: ({ device, version, event }) => {
      devicesOf(version, event).add(device);
      if (ATTEMPT_EVENTS.has(event)) devicesOf(version, "attempted").add(device);
      if (event === "update_started" || event === "installed") devicesOf(version, "announced").add(device);
      const isFailure = event === "install_failed" || event === "reverted";
      if (isFailure) devicesOf(version, "failed").add(device);
      const failed = devicesOf(version, "failed").has(device);
      if (failed && devicesOf(version, "confirmed").has(device)) devicesOf(version, "recovered").add(device);
      if (!devicesOf(version, "announced").has(device)) return;
      for (const count of ["failed", "download_failed"] as const)
        if (devicesOf(version, count).has(device)) devicesOf(version, `${count}_announced`).add(device);
    },
    of,
    all: () => Object.fromEntries([...versions.keys()].toSorted().map((version) => [version, of(version)])),
  };
}

export interface BookDifference {
  readonly version: string;
  readonly count: BookCount;
  readonly fleet: number;
  /** Undefined where the agent does not list the version or the count at all. */
  readonly agent: number | undefined;
}

/** Every place where the agent's counts are not the fleet's, in the order of versions and counts. */
export function compareBooks(
  fleet: Readonly<Record<string, VersionBook>>,
  agent: Readonly<Record<string, Readonly<Partial<Record<string, number>>>>>,
): BookDifference[] {
  const nothing = Object.fromEntries(BOOK_COUNTS.map((count) => [count, 0])) as VersionBook;
  const versions = new Set([...Object.keys(fleet), ...Object.keys(agent)]);
  return [...versions].toSorted().flatMap((version) =>
    BOOK_COUNTS.map((count) => ({
      version,
      count,
      fleet: (fleet[version] ?? nothing)[count],
      agent: agent[version]?.[count],
    })).filter((row) => row.fleet !== row.agent),
  );
}
