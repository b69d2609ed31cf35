// What the decoder makes of entries that this version did not write.
import { describe, expect, test } from "vitest";
import { decodeReportEntry, encodeReportEntry } from "../../../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../../../ingest/contract/report-entry.ts";
import { sampleReport } from "../../../support/ingest-app.ts";

const report = sampleReport({ atMs: 5 }) as unknown as AcceptedReport;
const fields = encodeReportEntry({ receivedAtMs: 7, reports: [report] });
const withField = (name: string, value: string): string[] =>
  fields.map((text, index) => (fields[index - 1] === name && index % 2 === 1 ? value : text));

describe("decodeReportEntry", () => {
  test("the format is stable: what an older ingest stored can still be read", () => {
    expect(fields).toEqual([
      "f",
      "1",
      "t",
      "7",
      "r",
      '[["com.acme.till","production","till-1","1.4.0",4,5]]',
    ]);
    expect(decodeReportEntry(fields)).toEqual({
      kind: "decoded",
      entry: { receivedAtMs: 7, reports: [report] },
    });
  });

  test.each(["8640000000000000", "-8640000000000000"])("the last moments of a Date are taken: %s", (t) => {
    expect(decodeReportEntry(withField("t", t)).kind).toBe("decoded");
  });

  test("fields that a newer ingest adds are passed over", () => {
    expect(decodeReportEntry([...fields, "new", "x"]).kind).toBe("decoded");
  });

  test.each([
    ["another format", withField("f", "2")],
    ["no format", fields.slice(2)],
    ["no time", withField("t", "soon")],
    ["a time that is no date", withField("t", "8640000000000001")],
    ["a report whose time is no date", withField("r", '[["a","b","c","1",4,-8640000000000001]]')],
    ["a time before what a Date can hold", withField("t", "-8640000000000001")],
    ["a time with a fraction", withField("t", "7.5")],
    ["no JSON", withField("r", "[[")],
    ["an object", withField("r", "{}")],
    ["a report that is no tuple", withField("r", "[5]")],
    ["a short tuple", withField("r", '[["a","b"]]')],
    ["an event of the future", withField("r", '[["a","b","c","1",9,5]]')],
    ["a negative event", withField("r", '[["a","b","c","1",-1,5]]')],
    ["a report's time with a fraction", withField("r", '[["a","b","c","1",4,5.5]]')],
    ["a version with a bar", withField("r", '[["a","b","c","1|2",4,5]]')],
    ["a text that is a number", withField("r", '[["a","b","c","1",4,5,7]]')],
    ["no fields", []],
    ["half a pair", ["f"]],
  ])("%s is undecodable, with a reason", (_name, garbage) => {
    const result = decodeReportEntry(garbage);
    expect(result.kind).toBe("undecodable");
    expect(result).toHaveProperty("reason", expect.stringMatching(/\w/));
  });
});
