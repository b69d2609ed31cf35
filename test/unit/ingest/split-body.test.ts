// Bodies into reports, at the limit of reports and at the odd places of NDJSON.
import { describe, expect, test } from "vitest";
import { REPORTS_PER_REQUEST_MAX } from "../../../ingest/contract/device-report.ts";
import { splitBody } from "../../../ingest/split-body.ts";
import type { SplitBody } from "../../../ingest/split-body.ts";
import { tooDeep } from "../../../runtime/json.ts";

const json = (text: string): SplitBody => splitBody({ form: "json", bytes: Buffer.from(text) });
const ndjson = (text: string): SplitBody => splitBody({ form: "ndjson", bytes: Buffer.from(text) });
const value = (inner: unknown): unknown => ({ kind: "value", value: inner });

describe("JSON", () => {
  test("anything but an array is one report", () => {
    expect(json('{"a":1}')).toEqual({ kind: "single", item: value({ a: 1 }) });
    expect(json("\uFEFFnull")).toEqual({ kind: "single", item: value(null) });
    expect(json("{")).toMatchObject({ kind: "single", item: { kind: "malformed" } });
  });

  test("an array is a batch, also of one", () => {
    expect(json("[{}]")).toEqual({ kind: "batch", items: [value({})] });
  });

  test("an array of exactly the limit passes, one more does not", () => {
    const arrayOf = (count: number): string => `[${"0,".repeat(count - 1)}0]`;
    expect(json(arrayOf(REPORTS_PER_REQUEST_MAX)).kind).toBe("batch");
    expect(json(arrayOf(REPORTS_PER_REQUEST_MAX + 1))).toMatchObject({
      kind: "refused",
      problem: { kind: { code: "too_many_reports" } },
    });
  });
});

describe("NDJSON", () => {
  test("one line is a batch of one; the last line break may be missing", () => {
    expect(ndjson("{}")).toEqual({ kind: "batch", items: [value({})] });
    expect(ndjson("{}\n")).toEqual({ kind: "batch", items: [value({})] });
    expect(ndjson("\n{}\r\n\r\n[]")).toEqual({ kind: "batch", items: [value({}), value([])] });
  });

  test("lines of exactly the limit pass, blank ones do not count, one more does not pass", () => {
    const lines = "0\n\n".repeat(REPORTS_PER_REQUEST_MAX);
    expect(ndjson(lines).kind).toBe("batch");
    expect(ndjson(`${lines}0`)).toMatchObject({
      kind: "refused",
      problem: { kind: { code: "too_many_reports" } },
    });
  });

  test("a line that nests too deep spoils no other", () => {
    const items = [value(1), { kind: "malformed", detail: tooDeep() }, value(2)];
    expect(ndjson(`1\n${"[".repeat(65)}${"]".repeat(65)}\n2`)).toEqual({ kind: "batch", items });
  });

  test("nothing but line breaks is an empty batch", () => {
    expect(ndjson("\n\n")).toMatchObject({ kind: "refused", problem: { kind: { code: "empty_batch" } } });
  });
});
