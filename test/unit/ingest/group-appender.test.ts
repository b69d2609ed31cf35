// Group commit, with an appender behind it that a test lets finish when it likes.
import { describe, expect, test } from "vitest";
import { decodeReportEntry, encodeReportEntry } from "../../../ingest/contract/report-entry.ts";
import type { AcceptedReport, EncodedReportEntry } from "../../../ingest/contract/report-entry.ts";
import type { EntriesByShard, EntryFields, StreamLengths } from "../../../ingest/entry-appender.ts";
import {
  GROUPS_UNDER_WAY_MAX,
  JOINED_ENTRY_CHARS_MAX,
  createGroupAppender,
  joinEntries,
} from "../../../ingest/group-appender.ts";

const RECEIVED_AT_MS = 1_769_860_800_000;

function entryOf(...devices: readonly string[]): EncodedReportEntry {
  return entryAt(RECEIVED_AT_MS, ...devices);
}

function entryAt(receivedAtMs: number, ...devices: readonly string[]): EncodedReportEntry {
  const reports = devices.map(
    (device) =>
      ({
        app: "com.acme.till",
        channel: "production",
        device,
        version: "1.4.0",
        event: "confirmed",
        atMs: RECEIVED_AT_MS,
      }) as AcceptedReport,
  );
  return encodeReportEntry({ receivedAtMs, reports });
}

function inShard(shard: number, ...entries: readonly EntryFields[]): EntriesByShard {
  return new Map([[shard, entries]]);
}

function devicesOf(entries: readonly EntryFields[] | undefined): string[][] {
  return (entries ?? []).map((fields) => {
    const decoded = decodeReportEntry(fields);
    if (decoded.kind === "undecodable") throw new Error(decoded.reason);
    return decoded.entry.reports.map(({ device }) => device);
  });
}

interface Append {
  readonly entries: EntriesByShard;
  readonly resolve: (lengths: StreamLengths) => void;
  readonly reject: (error: Error) => void;
}

function heldAppender() {
  const appends: Append[] = [];
  const append = (entries: EntriesByShard): Promise<StreamLengths> =>
    new Promise((resolve, reject) => void appends.push({ entries, resolve, reject }));
  return { appends, group: createGroupAppender({ append }) };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Settled or not, without waiting for it. */
async function stateOf(promise: Promise<unknown>): Promise<"resolved" | "rejected" | "waits"> {
  return await Promise.race([
    promise.then(
      () => "resolved" as const,
      () => "rejected" as const,
    ),
    turn().then(() => "waits" as const),
  ]);
}

describe("requests that come in together", () => {
  test("go as one, reports of one shard in one entry, in their order", async () => {
    const { appends, group } = heldAppender();
    void group.append(inShard(3, entryOf("a")));
    void group.append(inShard(5, entryOf("b")));
    void group.append(inShard(3, entryOf("c", "d")));
    await turn();
    expect(appends).toHaveLength(1);
    expect(devicesOf(appends[0]!.entries.get(3))).toEqual([["a", "c", "d"]]);
    expect(devicesOf(appends[0]!.entries.get(5))).toEqual([["b"]]);
  });

  test("none is acknowledged before Redis has all of them, and all are told what it said", async () => {
    const { appends, group } = heldAppender();
    const [first, second] = [group.append(inShard(0, entryOf("a"))), group.append(inShard(1, entryOf("b")))];
    await turn();
    expect([await stateOf(first), await stateOf(second)]).toEqual(["waits", "waits"]);
    appends[0]!.resolve(new Map([[0, 7]]));
    expect(await first).toEqual(new Map([[0, 7]]));
    expect(await second).toEqual(new Map([[0, 7]]));
  });

  test("share the fate of their group, and the next group is tried all the same", async () => {
    const { appends, group } = heldAppender();
    const [first, second] = [group.append(inShard(0, entryOf("a"))), group.append(inShard(1, entryOf("b")))];
    await turn();
    appends[0]!.reject(new Error("away"));
    await expect(first).rejects.toThrow("away");
    await expect(second).rejects.toThrow("away");
    const third = group.append(inShard(0, entryOf("c")));
    await turn();
    appends[1]!.resolve(new Map());
    expect(await stateOf(third)).toBe("resolved");
  });
});

test("no more groups are under way than may be; what comes meanwhile goes together as soon as one is over", async () => {
  const { appends, group } = heldAppender();
  for (let index = 0; index < GROUPS_UNDER_WAY_MAX; index += 1) {
    void group.append(inShard(0, entryOf(`under-way-${index}`)));
    await turn();
  }
  const waiting = [group.append(inShard(0, entryOf("x"))), group.append(inShard(0, entryOf("y")))];
  await turn();
  expect(appends).toHaveLength(GROUPS_UNDER_WAY_MAX);
  appends[0]!.resolve(new Map());
  await turn();
  expect(appends).toHaveLength(GROUPS_UNDER_WAY_MAX + 1);
  expect(devicesOf(appends.at(-1)!.entries.get(0))).toEqual([["x", "y"]]);
  appends.at(-1)!.resolve(new Map());
  expect(await Promise.all(waiting.map(stateOf))).toEqual(["resolved", "resolved"]);
});

describe("joining", () => {
  /** An entry whose JSON has as many characters. */
  function entryOfChars(chars: number): EncodedReportEntry {
    return entryOf("d".repeat(chars - entryOf("")[5].length));
  }

  test("up to the limit, and not beyond", () => {
    const first = entryOf("a");
    const fits = entryOfChars(JOINED_ENTRY_CHARS_MAX - first[5].length);
    const isTooLong = entryOfChars(JOINED_ENTRY_CHARS_MAX - first[5].length + 1);
    expect(joinEntries([inShard(0, first), inShard(0, fits)]).get(0)).toHaveLength(1);
    expect(joinEntries([inShard(0, first), inShard(0, isTooLong)]).get(0)).toHaveLength(2);
  });

  test("not what was received a millisecond later: a clamped time is known by when its report was received", () => {
    const parts = [entryOf("a"), entryAt(RECEIVED_AT_MS + 1, "b"), entryAt(RECEIVED_AT_MS + 1, "c")];
    const joined = joinEntries(parts.map((entry) => inShard(0, entry))).get(0)!;
    expect(devicesOf(joined)).toEqual([["a"], ["b", "c"]]);
    expect(joined.map((entry) => Number(entry[3]))).toEqual([RECEIVED_AT_MS, RECEIVED_AT_MS + 1]);
  });

  test("one request goes as it is", () => {
    const entries = inShard(0, entryOf("a"), entryOf("b"));
    expect(joinEntries([entries])).toBe(entries);
    expect(joinEntries([])).toEqual(new Map());
  });

  test("leaves the requests' own entries as they were", () => {
    const first = inShard(0, entryOf("a"));
    joinEntries([first, inShard(0, entryOf("b"))]);
    expect(devicesOf(first.get(0))).toEqual([["a"]]);
  });
});
