// Raw reports by release: every event from the start, a few versions of a channel, and the rest together.
import { expect, test } from "vitest";
import { NAMED_MAX } from "../../../ingest/busiest-versions.ts";
import { EVENTS } from "../../../ingest/contract/device-report.ts";
import type { DeviceEvent, DeviceReport } from "../../../ingest/contract/device-report.ts";
import { createReleaseTally } from "../../../ingest/release-tally.ts";
import { createRegistry } from "../../../runtime/metrics.ts";
import { sampleOf } from "../../support/ingest-app.ts";
import { TILL } from "../../support/verdicts.ts";

const NAME = "ota_ingest_release_reports_total";

function setUp() {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  const note = createReleaseTally({ registry, clock: () => 0 });
  const report = (version: string, event: DeviceEvent): DeviceReport =>
    ({ ...TILL, device: "till-1", version, event }) as DeviceReport;
  const series = async (): Promise<string[]> =>
    (await registry.metrics()).split("\n").filter((line) => line.startsWith(`${NAME}{`));
  const read = (version: string, event: DeviceEvent): Promise<number | undefined> =>
    sampleOf(
      registry,
      `${NAME}{app="${TILL.app}",channel="${TILL.channel}",version="${version}",event="${event}"}`,
    );
  return { note, report, series, read };
}

test("before anything is reported there is no series", async () => {
  expect(await setUp().series()).toEqual([]);
});

test("the first report of a version brings every event, the others at zero", async () => {
  const { note, report, series, read } = setUp();
  note([report("1.4.0", "reverted"), report("1.4.0", "reverted")]);
  expect(await series()).toHaveLength(EVENTS.length);
  expect([await read("1.4.0", "reverted"), await read("1.4.0", "confirmed")]).toEqual([2, 0]);
  note([report("1.4.0", "reverted")]);
  expect(await read("1.4.0", "reverted")).toBe(3);
});

test.each([
  [NAMED_MAX - 1, NAMED_MAX - 1],
  [NAMED_MAX, NAMED_MAX],
  [NAMED_MAX + 1, NAMED_MAX + 1],
  [500, NAMED_MAX + 1],
])("%i versions have the series of %i", async (versions, named) => {
  const { note, report, series } = setUp();
  for (let index = 0; index < versions; index += 1)
    note(Array.from({ length: 3 }, () => report(`1.${index}.0`, "confirmed")));
  expect(await series()).toHaveLength(named * EVENTS.length);
});

test("nothing is lost: what stands among the others is counted there", async () => {
  const { note, report, read } = setUp();
  for (let index = 0; index < NAMED_MAX; index += 1) note([report(`1.${index}.0`, "confirmed")]);
  note([report("9.0.0", "confirmed"), report("9.0.1", "confirmed")]);
  expect(await read("other", "confirmed")).toBe(2);
});

test("a version that is called other takes nothing from the others", async () => {
  const { note, report, read } = setUp();
  note([report("other", "confirmed")]);
  for (let index = 0; index <= NAMED_MAX; index += 1)
    note(Array.from({ length: 50 }, () => report(`1.${index}.0`, "confirmed")));
  const before = (await read("other", "confirmed"))!;
  note([report("other", "confirmed"), report("other", "confirmed")]);
  expect([before >= 1, await read("other", "confirmed")]).toEqual([true, before + 2]);
});
