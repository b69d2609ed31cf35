// Examples of devices: who comes to a list and with which outcomes, where a list ends, and that it reads back what was
// appended to it, in any number of steps.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  EXAMPLES_HEAD_BYTES,
  EXAMPLES_PER_OUTCOME_MAX,
  EXAMPLE_OUTCOMES,
  appendExamples,
  byOutcome,
  examplesOf,
  examplesPerShard,
  gainedOutcomes,
  inTurns,
  readExampleList,
} from "../../../../agent/health/examples.ts";
import type { Example, ExampleOutcome } from "../../../../agent/health/examples.ts";
import { nameDevice } from "../../../../agent/health/device-table.ts";
import type { FoldPlan } from "../../../../agent/health/fold-plan.ts";
import {
  FLAG_BITS,
  OUTCOMES,
  RETURNED_LATE,
  SILENT,
  flagOf,
  outcomesOf,
} from "../../../../agent/health/outcomes.ts";
import { EVENTS } from "../../../../ingest/contract/device-report.ts";
import { AT_MS, RELEASE, createMemoryShard } from "./memory-shard.ts";

const NO_LIST = Buffer.alloc(0);
const FIELD = nameDevice("com.acme.till", "till-1").field;

function namesIn(mask: number): ExampleOutcome[] {
  return EXAMPLE_OUTCOMES.filter((_, index) => (mask & (1 << index)) !== 0);
}

/** As stored: bits may be given to further outcomes, and never to others. */
test("the order of outcomes is stored, and there is room for eight", () => {
  expect(EXAMPLE_OUTCOMES).toEqual([
    "failed",
    "download_failed",
    "crashed",
    "not_responding",
    "recovered",
    "returned_late",
    "silent",
  ]);
  expect(EXAMPLE_OUTCOMES.length * 2).toBeLessThanOrEqual(EXAMPLES_HEAD_BYTES);
});

describe("what a device has come to stand in", () => {
  it.each([
    ["a failure", 0, flagOf("install_failed"), ["failed"]],
    ["a second way to fail", flagOf("install_failed"), flagOf("install_failed") | flagOf("reverted"), []],
    ["a failed download", 0, flagOf("download_failed"), ["download_failed"]],
    ["a confirmation", 0, flagOf("confirmed"), []],
    [
      "a confirmation after a failure",
      flagOf("reverted"),
      flagOf("reverted") | flagOf("confirmed"),
      ["recovered"],
    ],
    ["both at once", 0, flagOf("reverted") | flagOf("confirmed"), ["failed", "recovered"]],
    ["a crash", flagOf("confirmed"), flagOf("confirmed") | flagOf("crashed"), ["crashed"]],
    ["a crash again", flagOf("crashed"), flagOf("crashed"), []],
    ["a hang", 0, flagOf("not_responding"), ["not_responding"]],
    ["silence", flagOf("installed"), flagOf("installed") | SILENT, ["silent"]],
    ["a late return", flagOf("installed") | SILENT, flagOf("installed") | RETURNED_LATE, ["returned_late"]],
    ["an announcement, and use", 0, flagOf("update_started") | flagOf("active"), []],
  ] as const)("%s", (_, before, after, expected) => {
    expect(namesIn(gainedOutcomes(before, after))).toEqual(expected);
  });

  it("is whatever counts one more than before, for all flags there are", () => {
    const flags = fc.integer({ min: 0, max: 2 ** FLAG_BITS - 1 });
    fc.assert(
      fc.property(flags, flags, (before, after) => {
        const expected = EXAMPLE_OUTCOMES.filter((outcome) => {
          const index = OUTCOMES.indexOf(outcome);
          return outcomesOf(before)[index] === 0 && outcomesOf(after)[index] === 1;
        });
        expect(namesIn(gainedOutcomes(before, after))).toEqual(expected);
      }),
    );
    expect(EVENTS.length + 2).toBe(FLAG_BITS);
  });
});

describe("how a device is named", () => {
  const failedAndSilent = gainedOutcomes(0, flagOf("reverted") | SILENT);

  it("by its id, and by its field where it is silent", () => {
    expect(examplesOf(failedAndSilent, { id: "till-ä", field: FIELD })).toEqual([
      { outcomes: gainedOutcomes(0, flagOf("reverted")), name: "till-ä" },
      { outcomes: gainedOutcomes(0, SILENT), name: FIELD },
    ]);
  });

  it("not at all where no report of it is at hand, but for silence", () => {
    expect(
      examplesOf(failedAndSilent, { id: undefined, field: FIELD }).map(({ outcomes }) => namesIn(outcomes)),
    ).toEqual([["silent"]]);
  });
});

/** The whole list after each of the steps was appended to it, as Redis would hold it. */
function listOf(steps: readonly (readonly Example[])[], perOutcomeMax: number): Buffer {
  let list: Buffer = NO_LIST;
  for (const examples of steps) {
    const appended = appendExamples(list.subarray(0, EXAMPLES_HEAD_BYTES), examples, perOutcomeMax);
    if (appended !== undefined)
      list = Buffer.concat([appended.head, list.subarray(EXAMPLES_HEAD_BYTES), appended.entries]);
  }
  return list;
}

function failing(name: string, flags = flagOf("reverted")): Example {
  return { outcomes: gainedOutcomes(0, flags), name };
}

function readNames(list: Buffer): Record<ExampleOutcome, string[]> {
  const names = readExampleList(list);
  return byOutcome((outcome) => names[outcome].map((name) => name.toString("utf8")));
}

describe("a list", () => {
  it("that is not there is empty", () => {
    expect(readNames(NO_LIST)).toEqual(byOutcome(() => []));
    expect(appendExamples(NO_LIST, [], 3)).toBeUndefined();
  });

  it("takes the first devices up to the bound, and not one more", () => {
    const list = listOf([[failing("a"), failing("b")], [failing("c")], [failing("d")]], 3);
    expect(readNames(list).failed).toEqual(["a", "b", "c"]);
    expect(appendExamples(list, [failing("d")], 3)).toBeUndefined();
    expect(listOf([["a", "b", "c", "d"].map((name) => failing(name))], 3)).toEqual(list);
  });

  it("that is full of one outcome takes the others, also of one device", () => {
    const both = failing("b", flagOf("reverted") | flagOf("crashed"));
    const list = listOf([[failing("a")], [both]], 1);
    expect(readNames(list)).toMatchObject({ failed: ["a"], crashed: ["b"] });
  });

  it("costs two bytes for each device beside its id, which may have 128 characters of three bytes", () => {
    const longest = "字".repeat(128);
    const bytes = listOf([[failing("till-1")], [failing(longest)]], 9).length;
    expect(bytes).toBe(EXAMPLES_HEAD_BYTES + (2 + 6) + (3 + 3 * 128));
    expect(readNames(listOf([[failing(longest)]], 9)).failed).toEqual([longest]);
  });

  it("that was damaged gives what stands before the damage", () => {
    const list = listOf([[failing("a"), failing("bcdef")]], 9);
    expect(readNames(list.subarray(0, -2)).failed).toEqual(["a"]);
    expect(readNames(list.subarray(0, 3))).toEqual(byOutcome(() => []));
    expect(readNames(Buffer.alloc(200, 0xff)).failed).toEqual([]);
  });

  it("gives back the first devices of each outcome, however many steps they came in", () => {
    const silentBit = 1 << EXAMPLE_OUTCOMES.indexOf("silent");
    const byId = fc.record({
      outcomes: fc.integer({ min: 1, max: silentBit - 1 }),
      name: fc.string({ unit: "binary", minLength: 1 }),
    });
    const byField = fc
      .uint8Array({ minLength: 8, maxLength: 8 })
      .map((bytes) => ({ outcomes: silentBit, name: Buffer.from(bytes).toString("latin1") }));
    const example: fc.Arbitrary<Example> = fc.oneof(byId, byField);
    const steps = fc.array(fc.array(example, { maxLength: 8 }), { maxLength: 6 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 5 }), (told, max) => {
        const names = readExampleList(listOf(told, max));
        const expected = byOutcome((outcome) =>
          told
            .flat()
            .filter(({ outcomes }) => namesIn(outcomes).includes(outcome))
            .slice(0, max)
            .map(({ name }) => Buffer.from(name, outcome === "silent" ? "latin1" : "utf8").toString("hex")),
        );
        expect(byOutcome((outcome) => names[outcome].map((name) => name.toString("hex")))).toEqual(expected);
      }),
    );
  });
});

describe("how many a shard keeps", () => {
  it.each([
    [1, 1_000],
    [2, 635],
    [4, 345],
    [16, 110],
    [256, 16],
  ])("of %i shards: %i", (shards, expected) => {
    expect(examplesPerShard(shards)).toBe(expected);
    expect(examplesPerShard(shards) * shards).toBeGreaterThanOrEqual(EXAMPLES_PER_OUTCOME_MAX);
  });

  it.each([2, 16, 64])("of 1,000 devices spread over %i shards, all", (shards) => {
    const perShard = new Map<number, number>();
    for (let device = 0; device < EXAMPLES_PER_OUTCOME_MAX; device += 1) {
      const { field } = nameDevice("com.acme.till", `device-${device}`);
      const shard = field.charCodeAt(7) % shards;
      perShard.set(shard, (perShard.get(shard) ?? 0) + 1);
    }
    expect(Math.max(...perShard.values())).toBeLessThanOrEqual(examplesPerShard(shards));
  });
});

describe("one list of several", () => {
  it("takes turns, and names nobody twice", () => {
    expect(inTurns([["a", "d"], [], ["b", "a", "e"]])).toEqual(["a", "b", "d", "e"]);
    expect(inTurns([])).toEqual([]);
  });

  it("ends at 1,000", () => {
    const many = (prefix: string): string[] => Array.from({ length: 600 }, (_, index) => `${prefix}${index}`);
    const names = inTurns([many("a"), many("b")]);
    expect(names.length).toBe(EXAMPLES_PER_OUTCOME_MAX);
    expect(names.filter((name) => name.startsWith("a")).length).toBe(500);
  });
});

describe("what a fold adds", () => {
  function addedBy(plan: FoldPlan, release = RELEASE): [string, ExampleOutcome[]][] {
    return (plan.releases.get(release)?.examples ?? []).map(({ outcomes, name }) => [
      name,
      namesIn(outcomes),
    ]);
  }

  it("is who failed in this batch, once, with all that they came to stand in", () => {
    const plan = createMemoryShard().fold(
      { event: "reverted" },
      { event: "install_failed" },
      { event: "crashed", device: "till-2" },
      { event: "confirmed", device: "till-3" },
      { event: "reverted" },
      { event: "confirmed", atMs: AT_MS + 1 },
    );
    expect(addedBy(plan)).toEqual([
      ["till-1", ["failed", "recovered"]],
      ["till-2", ["crashed"]],
    ]);
  });

  it("is nobody whose report came before, and of a known device only what is new", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "reverted" });
    expect(addedBy(shard.fold({ event: "reverted" }, { event: "reverted", atMs: AT_MS - 60_000 }))).toEqual(
      [],
    );
    expect(addedBy(shard.fold({ event: "confirmed" }, { event: "reverted" }))).toEqual([
      ["till-1", ["recovered"]],
    ]);
  });

  it("is by release: a failure of one version says nothing of the other", () => {
    const plan = createMemoryShard().fold({ event: "reverted" }, { event: "confirmed", version: "1.3.0" });
    expect(addedBy(plan, "com.acme.till|production|1.3.0")).toEqual([]);
    expect(addedBy(plan)).toEqual([["till-1", ["failed"]]]);
  });

  it("is who fell silent, by digest; and who came back, by id, whatever the report was about", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "installed" });
    const dueMs = AT_MS + 7 * 3_600_000;
    expect(addedBy(shard.look(dueMs))).toEqual([[FIELD, ["silent"]]]);
    expect(addedBy(shard.look(dueMs + 1))).toEqual([]);
    const back = shard.fold({ event: "active", version: "1.3.0", atMs: dueMs, receivedAtMs: dueMs });
    expect(addedBy(back)).toEqual([["till-1", ["returned_late"]]]);
  });
});
