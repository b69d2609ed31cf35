// Times of devices whose clock is wrong, through group commit on a real Redis: the agent knows a clamped time by its being
// exactly a week before its report was received, so each entry has to keep the receive time of all that is in it.
import { expect, test } from "vitest";
import { REPORT_AGE_MS_MAX } from "../../ingest/contract/device-report.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import { decodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { sampleReport } from "../support/ingest-app.ts";
import { useIngestRedis } from "../support/listening-ingest.ts";

const REPORTS = 2_000;

const redis = useIngestRedis();

test("every clamped time is a week before the receive time of its entry, however many came in together", async () => {
  let nowMs = 1_769_860_800_000;
  // A millisecond later with each look: the worst that can come in together.
  const writer = createStreamWriter({
    redis: redis(),
    shards: 1,
    streamEntriesMax: 100_000,
    clock: () => (nowMs += 1),
  });
  const written: Promise<{ readonly kind: string }>[] = [];
  for (let index = 0; index < REPORTS; index += 1) {
    const report = { ...sampleReport({ device: `till-${index}` }), at: 0 } as unknown as DeviceReport;
    written.push(writer.write([report]));
    if (index % 7 === 0) await new Promise((resolve) => void setImmediate(resolve));
  }
  expect(new Set((await Promise.all(written)).map(({ kind }) => kind))).toEqual(new Set(["written"]));
  const rows = await redis().xrange(reportStream(0), "-", "+");
  const entries = rows.map(([, fields]) => decodeReportEntry(fields));
  // Some did come in together.
  expect(entries.length).toBeLessThan(REPORTS / 2);
  const ages = entries.flatMap((decoded) =>
    decoded.kind === "decoded"
      ? decoded.entry.reports.map(({ atMs }) => decoded.entry.receivedAtMs - atMs)
      : [Number.NaN],
  );
  expect(ages).toHaveLength(REPORTS);
  expect(new Set(ages)).toEqual(new Set([REPORT_AGE_MS_MAX]));
});
