// The fleet's own books: what each device did, counted once, and compared with what Lastgood says.
import { describe, expect, it } from "vitest";
import { BOOK_COUNTS, compareBooks, createBooks } from "../../simulation/books.ts";
import type { VersionBook } from "../../simulation/books.ts";
import { DEVICE_EVENTS } from "../../simulation/device.ts";
import type { DeviceEvent } from "../../simulation/device.ts";
import { createRandom } from "../../simulation/random.ts";

interface Entry {
  readonly device: string;
  readonly version: string;
  readonly event: DeviceEvent;
}

function entriesOf(seed: number, length: number): Entry[] {
  const random = createRandom(seed, "entries");
  return Array.from({ length }, () => ({
    device: `d${Math.floor(random.between(0, 30))}`,
    version: random.pick(["1.4.0", "1.5.0"]),
    event: random.pick(DEVICE_EVENTS),
  }));
}

function bookOf(entries: readonly Entry[]): Readonly<Record<string, VersionBook>> {
  const books = createBooks();
  for (const entry of entries) books.enter(entry);
  return books.all();
}

/** The rules once more, as plainly as they can be said: ask of each device what was ever reported. */
function countNaively(entries: readonly Entry[], version: string): Record<string, number> {
  const devices = [...new Set(entries.map(({ device }) => device))];
  const said = (device: string, event: string): boolean =>
    entries.some((entry) => entry.device === device && entry.version === version && entry.event === event);
  const count = (holds: (device: string) => boolean): number => devices.filter(holds).length;
  const failed = (device: string): boolean => said(device, "install_failed") || said(device, "reverted");
  const announced = (device: string): boolean => said(device, "update_started") || said(device, "installed");
  return {
    ...Object.fromEntries(DEVICE_EVENTS.map((event) => [event, count((device) => said(device, event))])),
    attempted: count((device) => DEVICE_EVENTS.slice(0, 6).some((event) => said(device, event))),
    announced: count(announced),
    failed_announced: count((device) => failed(device) && announced(device)),
    download_failed_announced: count((device) => said(device, "download_failed") && announced(device)),
    failed: count(failed),
    recovered: count((device) => failed(device) && said(device, "confirmed")),
  };
}

describe("the fleet's books", () => {
  it.each([1, 2, 3, 4, 5])("agree with a naive count (seed %i)", (seed) => {
    const entries = entriesOf(seed, 400);
    const books = bookOf(entries);
    for (const version of ["1.4.0", "1.5.0"]) expect(books[version]).toEqual(countNaively(entries, version));
  });

  it("do not change when entries come twice or in another order", () => {
    const entries = entriesOf(9, 300);
    const shuffled = [...entries, ...entries].toSorted((left, right) =>
      `${left.event}${left.device}`.localeCompare(`${right.event}${right.device}`),
    );
    expect(bookOf(shuffled)).toEqual(bookOf(entries));
  });

  it("count a device as recovered whichever of failure and confirmation came first", () => {
    const failed = { device: "d1", version: "1.5.0", event: "install_failed" } as const;
    const confirmed = { device: "d1", version: "1.5.0", event: "confirmed" } as const;
    expect(bookOf([failed, confirmed])["1.5.0"]).toMatchObject({ failed: 1, recovered: 1, attempted: 1 });
    expect(bookOf([confirmed, failed])["1.5.0"]).toMatchObject({ failed: 1, recovered: 1, attempted: 1 });
  });

  it("do not count crashes and heartbeats as attempts", () => {
    const events = ["active", "crashed", "not_responding"] as const;
    const book = bookOf(events.map((event) => ({ device: "d1", version: "1.5.0", event })))["1.5.0"];
    expect(book).toMatchObject({ active: 1, crashed: 1, not_responding: 1, attempted: 0, failed: 0 });
  });
});

describe("compareBooks", () => {
  const books = bookOf(entriesOf(3, 200));

  it("finds nothing between equal books", () => {
    expect(compareBooks(books, structuredClone(books))).toEqual([]);
  });

  it("names version, count and both numbers of each difference", () => {
    const agent = structuredClone(books) as Record<string, Record<string, number>>;
    agent["1.5.0"]!["failed"]! += 1;
    const fleet = books["1.5.0"]!.failed;
    expect(compareBooks(books, agent)).toEqual([
      { version: "1.5.0", count: "failed", fleet, agent: fleet + 1 },
    ]);
  });

  it("takes a version or a count that one side lacks as a difference", () => {
    expect(compareBooks(books, { "1.4.0": books["1.4.0"]! })).toHaveLength(BOOK_COUNTS.length);
    const unheardOf = { ...books, "9.9.9": { ...books["1.4.0"]! } };
    expect(compareBooks(books, unheardOf).every(({ version }) => version === "9.9.9")).toBe(true);
    const { active: _, ...withoutActive } = books["1.4.0"]!;
    expect(compareBooks(books, { ...books, "1.4.0": withoutActive })).toEqual([
      { version: "1.4.0", count: "active", fleet: books["1.4.0"]!.active, agent: undefined },
    ]);
  });
});
