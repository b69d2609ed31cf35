// What both processes export, as Prometheus' own tools read it: promtool has no complaint but for names that were promised
// before it was asked.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startLastgood } from "../support/lastgood.ts";
import type { TestLastgood } from "../support/lastgood.ts";
import { promtoolOn } from "../support/promtool.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Names are promises: these are older than the check. */
const PROMISED: readonly RegExp[] = [
  // A device-hour is the unit in which use is counted, and no time.
  /^ota_(active|crashed|not_responding)_device_hours_total use base unit "seconds"/,
  // BullMQ's own exporter calls it so, and public dashboards ask for it.
  /^bullmq_job_count /,
];

let lastgood: TestLastgood;

beforeAll(async () => {
  lastgood = await startLastgood(`
apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: example-ota-secret }
    sources: { capgo: { channel: production } }
    channels: { production: { policy: standard } }
policies:
  standard: { mode: shadow, rules: [{ signal: update_failure, limit: 5% }] }
`);
  const reports = Array.from({ length: 40 }, (_, index) =>
    ["update_started", index % 2 === 0 ? "reverted" : "confirmed", "active"].map((event) => ({
      app: "com.acme.till",
      channel: "production",
      device: `till-${index}`,
      version: "1.4.0+b7",
      event,
    })),
  ).flat();
  await fetch(`${lastgood.ingestUrl}/v1/reports`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: "Bearer example-ingest-key" },
    body: JSON.stringify(reports),
  });
  await waitUntil(
    () => textOf(lastgood.agentUrl),
    (text) =>
      text.includes('ota_release_devices{app="com.acme.till",channel="production",version="1.4.0+b7"} 40'),
  );
});

afterAll(() => lastgood.stop());

const textOf = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();

/** Complaints of `promtool check metrics`, a line each. */
async function complaintsAbout(text: string): Promise<string[]> {
  const { output } = await promtoolOn(text, "check", "metrics");
  return output.split("\n").filter((line) => line !== "");
}

describe("promtool check metrics", () => {
  test.each(["agent", "ingest"] as const)("has no complaint about what %s exports", async (process) => {
    const text = await textOf(process === "agent" ? lastgood.agentUrl : lastgood.operationsUrl);
    const complaints = await complaintsAbout(text);
    // prom-client's own names are not ours to change.
    const ours = complaints.filter((line) => !/^(nodejs|process)_/.test(line));
    expect(ours.filter((line) => !PROMISED.some((pattern) => pattern.test(line)))).toEqual([]);
  });

  test("would have complained about a counter without _total, a metric without help, and what is no metric", async () => {
    const bad = "# TYPE ota_reports counter\nota_reports 1\n";
    expect((await complaintsAbout(bad)).join("\n")).toMatch(/no help text|_total/);
    expect(await complaintsAbout("ota_x{ 1\n")).not.toEqual([]);
  });
});
