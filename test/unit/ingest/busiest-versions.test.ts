// Which versions are named: few at a time, those that are taken up, and a new release at once, whatever else is sent.
import { array, assert, constant, oneof, property, stringMatching } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  HALVED_EVERY_MS,
  NAMED_MAX,
  OVERTAKES_BY,
  WAITING_MAX,
  createBusiestVersions,
} from "../../../ingest/busiest-versions.ts";

function setUp() {
  let nowMs = 0;
  const dropped: string[] = [];
  const busiest = createBusiestVersions({
    nowMs: () => nowMs,
    onDropped: (version) => dropped.push(version),
  });
  const noteTimes = (version: string, times: number): string => {
    let place = "";
    for (let time = 0; time < times; time += 1) place = busiest.note(version, 1);
    return place;
  };
  return { busiest, dropped, noteTimes, pass: (ms: number): void => void (nowMs += ms) };
}

const old = (index: number): string => `1.${index}.0`;

describe("with room for more", () => {
  test("each version is named, in use or being taken up", () => {
    const { busiest } = setUp();
    for (let index = 0; index < NAMED_MAX; index += 1)
      expect(busiest.note(old(index), index % 2)).toBe("named");
  });

  test("the one too many stands among the others", () => {
    const { busiest, noteTimes } = setUp();
    for (let index = 0; index < NAMED_MAX; index += 1) noteTimes(old(index), 10);
    expect(busiest.note("2.0.0", 1)).toBe("other");
    expect(busiest.note("2.0.0", 0)).toBe("other");
  });
});

describe("a release that rolls out while many others are in use", () => {
  test("is named once it is taken up more than twice as much as the least of them", () => {
    const { busiest, dropped, noteTimes } = setUp();
    for (let index = 0; index < NAMED_MAX; index += 1) noteTimes(old(index), 10 + index);
    expect(noteTimes("2.0.0", 10 * OVERTAKES_BY)).toBe("other");
    expect(busiest.note("2.0.0", 1)).toBe("named");
    expect(dropped).toEqual([old(0)]);
  });

  test("at once, where those before it are no longer taken up", () => {
    const { busiest, noteTimes, pass } = setUp();
    for (let index = 0; index < NAMED_MAX; index += 1) noteTimes(old(index), 1_000);
    pass(HALVED_EVERY_MS - 1);
    expect(busiest.note("2.0.0", 1)).toBe("other");
    pass(11 * HALVED_EVERY_MS);
    expect(busiest.note("2.0.0", 1)).toBe("named");
  });
});

test("two that are alike do not take turns", () => {
  const { dropped, busiest, noteTimes } = setUp();
  for (let index = 0; index < NAMED_MAX; index += 1) noteTimes(old(index), 10);
  for (let turn = 0; turn < 100; turn += 1) {
    for (let index = 0; index < NAMED_MAX; index += 1) busiest.note(old(index), 1);
    busiest.note("2.0.0", 1);
  }
  expect(dropped).toHaveLength(0);
});

test("a clock that is set back changes nothing", () => {
  const { busiest, noteTimes, pass } = setUp();
  noteTimes("2.0.0", 5);
  pass(-HALVED_EVERY_MS * 5);
  expect(busiest.note("2.0.0", 1)).toBe("named");
});

test("whatever is sent, few are named, and one that is half of it is among them", () => {
  const stream = array(oneof(constant("steady"), stringMatching(/^[a-z]{1,3}$/)), {
    minLength: 1,
    maxLength: 2_000,
  });
  assert(
    property(stream, (versions) => {
      const named = new Set<string>();
      const busiest = createBusiestVersions({
        nowMs: () => 0,
        onDropped: (version) => named.delete(version),
      });
      const places = versions.map((version, index) => {
        if (busiest.note(version, 1) === "named") named.add(version);
        const steady = versions.slice(0, index + 1).filter((each) => each === "steady").length;
        // More than half of all, so that one of eight others has less than a seventh of it.
        const isOwed = version === "steady" && steady > (index + 1) / 2 && index >= WAITING_MAX;
        return { named: named.size, isKept: !isOwed || named.has("steady") };
      });
      expect(Math.max(...places.map((place) => place.named))).toBeLessThanOrEqual(NAMED_MAX);
      expect(places.every((place) => place.isKept)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

describe("somebody who invents versions", () => {
  /** Each second `busy` reports of six real versions, and as many of one invented each as `invented` says. */
  function namedInAnHour(invented: number): { real: number; invented: number } {
    const { busiest, dropped, pass } = setUp();
    const ever = new Set<string>();
    let made = 0;
    for (let second = 0; second < 600; second += 1) {
      for (let index = 0; index < 100; index += 1) busiest.note(`real-${index % 6}`, 1);
      for (let index = 0; index < invented; index += 1) {
        made += 1;
        if (busiest.note(`invented-${made}`, 1) === "named") ever.add(`invented-${made}`);
      }
      pass(1_000);
    }
    return { real: dropped.filter((version) => version.startsWith("real-")).length, invented: ever.size };
  }

  test.each([1, 10, 100])("at %i a second drops no real one, and few of his are ever named", (invented) => {
    const found = namedInAnHour(invented);
    expect(found.real).toBe(0);
    expect(found.invented).toBeLessThanOrEqual(NAMED_MAX);
  });
});
