// Ids, order and payloads of dead letters.
import { describe, expect, test } from "vitest";
import {
  REDRIVEN_PAIRS_MAX,
  compareLetters,
  fieldsOfPayload,
  formatLetterId,
  kindOfPayload,
  parseLetterId,
  payloadOfEntry,
} from "../../../../agent/intake/dead-letter.ts";
import { decodeReportEntry, encodeReportEntry } from "../../../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../../../ingest/contract/report-entry.ts";
import { releaseOf } from "../../../support/verdicts.ts";

const report: AcceptedReport = { ...releaseOf("1.4.0"), device: "ü|1", event: "confirmed", atMs: 5 };

describe("ids", () => {
  test.each(["0:1-0", "255:18446744073709551615-18446744073709551615"])("%s stays itself", (text) => {
    expect(formatLetterId(parseLetterId(text)!)).toBe(text);
  });

  test("zeros in front make no other letter", () => {
    expect(parseLetterId("03:007-00")).toEqual({ shard: 3, entryId: "7-0" });
  });

  test.each([
    "",
    "3",
    "3:7",
    "7-0",
    ":7-0",
    "3:7-",
    "3:-1-0",
    "1000:7-0",
    "3:7-0 ",
    "3:18446744073709551616-0",
  ])("%j is none", (text) => expect(parseLetterId(text)).toBeUndefined());
});

test("letters stand in the order of their times, then numbers, then shards, also beyond 2^53", () => {
  const sorted = [
    "9:9-9",
    "0:10-0",
    "1:10-0",
    "0:10-2",
    "0:10-10",
    "0:9007199254740992-0",
    "0:9007199254740993-0",
  ];
  const places = sorted.map((text) => parseLetterId(text)!);
  expect(places.toReversed().toSorted(compareLetters).map(formatLetterId)).toEqual(sorted);
});

describe("payloads", () => {
  const fields = encodeReportEntry({ receivedAtMs: 7, reports: [report] });

  test("an entry becomes what it was", () => {
    const payload = payloadOfEntry(
      "1-1",
      fields.map((field) => Buffer.from(field)),
    );
    expect(kindOfPayload(payload)).toBe("entry");
    expect(fieldsOfPayload(payload)).toEqual(fields);
  });

  test("an entry that is no text becomes the same bytes", () => {
    const bytes = ["f", "", "r", "\u0000"]
      .map((field) => Buffer.from(field))
      .concat([Buffer.from([0xff]), Buffer.of()]);
    const payload = payloadOfEntry("1-1", bytes);
    expect(kindOfPayload(payload)).toBe("entry");
    expect(fieldsOfPayload(payload)).toEqual(bytes);
  });

  test("a refused report becomes an entry of its own, with the time it was received", () => {
    const payload = JSON.stringify({ receivedAtMs: 7, report });
    expect(kindOfPayload(payload)).toBe("report");
    expect(decodeReportEntry(fieldsOfPayload(payload) as string[])).toEqual({
      kind: "decoded",
      entry: { receivedAtMs: 7, reports: [report] },
    });
  });

  const pairs = (count: number): string =>
    JSON.stringify({ id: "1-1", fields: Array.from({ length: 2 * count }, () => "x") });
  test("an entry may have REDRIVEN_PAIRS_MAX pairs, and no more", () => {
    expect(fieldsOfPayload(pairs(REDRIVEN_PAIRS_MAX))).toHaveLength(2 * REDRIVEN_PAIRS_MAX);
    expect(fieldsOfPayload(pairs(REDRIVEN_PAIRS_MAX + 1))).toBeUndefined();
  });

  test.each([
    "",
    "{",
    "7",
    "null",
    "[]",
    "{}",
    '{"fields":[]}',
    '{"fields":["f"]}',
    '{"fields":["f",1]}',
    '{"report":{}}',
  ])("%j is none", (payload) => expect(fieldsOfPayload(payload)).toBeUndefined());
});
