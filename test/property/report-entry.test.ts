// For any report that the schema lets through, decode(encode(x)) = x; and no garbage makes the decoder throw.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { EVENTS, clampReportTime, deviceReportSchema } from "../../ingest/contract/device-report.ts";
import { decodeReportEntry, encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";

const RECEIVED_AT_MS = Date.UTC(2026, 0, 31, 12);

// `binary` strings of any UTF-16 code units: lone surrogates, quotes, separators, right-to-left marks.
const hostileText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom("|", '"', "\\", "\uD800", "\uDC00", "\u2028", "\u202E", "😀"),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    maxLength: 40,
  })
  // oxlint-disable-next-line no-control-regex -- exactly what a report may not hold
  .map((text) => text.replaceAll(/[\u0000-\u001f\u007f]/g, ""));
const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$/);
const version = fc.stringMatching(/^[!#-[\]-{}~]{1,30}$/);

const rawReport = fc.record(
  {
    app: name,
    channel: name,
    device: hostileText.filter((text) => text.length > 0),
    version,
    event: fc.constantFrom(...EVENTS),
    at: fc.oneof(
      fc.double({ min: -8.64e15, max: 8.64e15, noNaN: true }),
      fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })
        .map((date) => date.toISOString()),
    ),
    from: version,
    id: hostileText,
    reason: hostileText,
    crash: fc.record(
      { fingerprint: hostileText, message: fc.string(), type: hostileText },
      { requiredKeys: [] },
    ),
    platform: hostileText,
    model: hostileText,
    os_version: hostileText,
    native_version: hostileText,
  },
  { requiredKeys: ["app", "channel", "device", "version", "event"] },
);

const acceptedReport = rawReport.map((raw): AcceptedReport => {
  const { at, ...report } = deviceReportSchema.parse(JSON.parse(JSON.stringify(raw)));
  return { ...report, atMs: clampReportTime(at, RECEIVED_AT_MS).atMs };
});

test("decode(encode(x)) = x, also after a trip through UTF-8", () => {
  fc.assert(
    fc.property(fc.array(acceptedReport, { maxLength: 5 }), fc.nat(), (reports, receivedAtMs) => {
      const entry = { receivedAtMs, reports };
      const stored = encodeReportEntry(entry).map((field) => Buffer.from(field, "utf8").toString("utf8"));
      expect(decodeReportEntry(stored)).toEqual({ kind: "decoded", entry });
    }),
    { numRuns: 1_000 },
  );
});

test("garbage never throws", () => {
  const field = fc.oneof(
    fc.constantFrom("f", "1", "t", "r", "[[]]", '[["a","b","c","1",4,5,0,0,0,0,0,0,0,{}]]'),
    fc.string({ unit: "binary" }),
    fc.json(),
  );
  fc.assert(
    fc.property(fc.array(field, { maxLength: 10 }), (fields) => {
      expect(["decoded", "undecodable"]).toContain(decodeReportEntry(fields).kind);
    }),
    { numRuns: 1_000 },
  );
});

test("garbage in the place of the reports never throws", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.jsonValue(), { maxLength: 16 }), { maxLength: 3 }), (tuples) => {
      const fields = ["f", "1", "t", "7", "r", JSON.stringify(tuples)];
      expect(["decoded", "undecodable"]).toContain(decodeReportEntry(fields).kind);
    }),
    { numRuns: 1_000 },
  );
});
