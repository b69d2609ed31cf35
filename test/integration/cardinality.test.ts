// However many versions and kinds of device report, /metrics stays as small as docs/metrics.md says: counted on what a real
// agent and a real ingest export, after reports went the whole way.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VERDICT_KINDS } from "../../agent/judge/verdict.ts";
import { LASTING_OUTCOMES, VERSIONS_PER_CHANNEL_SHOWN } from "../../agent/metrics/release-metrics.ts";
import { EVENTS, REPORTS_PER_REQUEST_MAX } from "../../ingest/contract/device-report.ts";
import { startLastgood } from "../support/lastgood.ts";
import type { TestLastgood } from "../support/lastgood.ts";
import { readRepoFile } from "../support/prometheus.ts";
import { waitUntil } from "../support/wait-until.ts";

const APP = "com.acme.till";
const STRATA = 40;
/** By channel: how many versions are reported there. */
const CHANNELS = { production: 501, nine: 9, eight: 8, seven: 7 } as const;
/** Of the policy below: what is judged, and by how many rules. */
const SIGNALS = 2;
const RULES = 3;
const SEGMENTS_OF_A_RULE = 5;
/** The sum that docs/metrics.md has. */
const COUNTS_OF_A_VERSION = LASTING_OUTCOMES.length + 5;
const MORE_OF_A_NAMED_VERSION = VERDICT_KINDS.length + 4 + 4 * SIGNALS + (4 + 3 * SEGMENTS_OF_A_RULE) * RULES;

let lastgood: TestLastgood;

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

function samplesOf(text: string): Sample[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("ota_"))
    .map((line) => {
      const [, name, inside = ""] = /^(\w+)(?:\{(.*)\})? /.exec(line)!;
      const labels = Array.from(inside.matchAll(/(\w+)="([^"]*)"/g), ([, label, value]) => [label!, value!]);
      return { name: name!, labels: Object.fromEntries(labels) as Record<string, string> };
    });
}

const scrape = async (): Promise<Sample[]> =>
  samplesOf(await (await fetch(`${lastgood.agentUrl}/metrics`)).text());
const ofChannel = (samples: readonly Sample[], channel: string): Sample[] =>
  samples.filter(({ labels }) => labels["channel"] === channel);
const versionsOf = (samples: readonly Sample[]): string[] =>
  [...new Set(samples.flatMap(({ labels }) => labels["version"] ?? []))].toSorted();

/** Of so many models no device can boot the version. */
const MISFITS = 8;
const DEVICES_OF_A_MISFIT = 40;

async function reportMisfits(channel: string, version: string): Promise<void> {
  const devices = Array.from({ length: MISFITS * DEVICES_OF_A_MISFIT }, (_, index) => ({
    app: APP,
    channel,
    device: `misfit-${index}`,
    version,
    model: `model-${index % MISFITS}`,
  }));
  await send(
    devices.flatMap((device) => ["update_started", "reverted"].map((event) => ({ ...device, event }))),
  );
}

async function report(channel: string, versions: number): Promise<void> {
  const reports = Array.from({ length: versions * STRATA }, (_, index) => ({
    app: APP,
    channel,
    device: `${channel}-${index}`,
    version: `1.${Math.floor(index / STRATA)}.0`,
    // Every other one can't boot it, so that there is evidence, and something that stands out.
    event: index % 2 === 0 ? "reverted" : "confirmed",
    model: `model-${index % STRATA}`,
  }));
  await send(reports);
}

async function send(reports: readonly unknown[]): Promise<void> {
  for (let from = 0; from < reports.length; from += REPORTS_PER_REQUEST_MAX) {
    const response = await fetch(`${lastgood.ingestUrl}/v1/reports`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: "Bearer example-ingest-key" },
      body: JSON.stringify(reports.slice(from, from + REPORTS_PER_REQUEST_MAX)),
    });
    expect(response.status).toBe(202);
  }
}

beforeAll(async () => {
  lastgood = await startLastgood(`
apps:
  ${APP}:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: example-ota-secret }
    channels: { ${Object.keys(CHANNELS)
      .map((channel) => `${channel}: { policy: watched }`)
      .join(", ")} }
policies:
  watched:
    mode: shadow
    rules: [{ signal: update_failure, limit: 5%, worse_than_baseline: 2x }, { signal: crash, limit: 5% }]
`);
  for (const [channel, versions] of Object.entries(CHANNELS)) await report(channel, versions);
  await reportMisfits("seven", "1.6.0");
  const folded = async (): Promise<number> => {
    const text = await (await fetch(`${lastgood.agentUrl}/metrics`)).text();
    return Number(/^ota_versions_folded\{.*channel="production"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  await waitUntil(folded, (count) => count === CHANNELS.production - VERSIONS_PER_CHANNEL_SHOWN, 100_000);
}, 120_000);

afterAll(() => lastgood.stop());

describe("the agent", () => {
  test.each(Object.entries(CHANNELS))(
    "of %s, where %i versions report, names 8 and the others together",
    async (channel, versions) => {
      const samples = ofChannel(await scrape(), channel);
      const named = Math.min(versions, VERSIONS_PER_CHANNEL_SHOWN);
      const found = versionsOf(samples);
      expect(found.filter((version) => version !== "other")).toHaveLength(named);
      expect(found.includes("other")).toBe(versions > VERSIONS_PER_CHANNEL_SHOWN);
    },
  );

  test("has no more series of a channel than docs/metrics.md says", async () => {
    const samples = ofChannel(await scrape(), "production").filter(
      ({ labels }) => labels["version"] !== undefined,
    );
    const most =
      (VERSIONS_PER_CHANNEL_SHOWN + 1) * COUNTS_OF_A_VERSION +
      VERSIONS_PER_CHANNEL_SHOWN * MORE_OF_A_NAMED_VERSION;
    expect(samples.length).toBeLessThanOrEqual(most);
    const counts = samples.filter(({ name }) =>
      /^ota_(devices|silent|running|active|crashed|not_responding)/.test(name),
    );
    expect(counts).toHaveLength((VERSIONS_PER_CHANNEL_SHOWN + 1) * COUNTS_OF_A_VERSION);
    const page = readRepoFile("docs/metrics.md");
    expect(page).toContain(`9 × ${COUNTS_OF_A_VERSION} + 8 × (${VERDICT_KINDS.length + 4} + 4 S + 19 R)`);
  });

  test("has no series of a kind of device but for those that stand out", async () => {
    const samples = await waitUntil(scrape, (found) =>
      found.some(({ labels }) => labels["segment"] !== undefined && labels["channel"] === "seven"),
    );
    const withModel = samples.filter(({ labels }) =>
      Object.values(labels).some((value) => value.includes("model-")),
    );
    for (const { name, labels } of withModel) {
      expect(name).toMatch(/^ota_release_segment_/);
      expect(labels["segment"]).toMatch(/^model=model-\d+$/);
    }
    const perRule = new Map<string, number>();
    for (const { name, labels } of withModel) {
      const { segment: _one, ...rule } = labels;
      const key = `${name} ${JSON.stringify(rule)}`;
      perRule.set(key, (perRule.get(key) ?? 0) + 1);
    }
    // More than five models stand out there.
    expect(Math.max(...perRule.values())).toBe(SEGMENTS_OF_A_RULE);
  });

  test("nothing is lost: what is not named is counted in other", async () => {
    const text = await (await fetch(`${lastgood.agentUrl}/metrics`)).text();
    const lines =
      text.match(/^ota_devices_total\{.*channel="production".*outcome="attempted"\} \d+$/gm) ?? [];
    const sum = lines.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
    expect(sum).toBe(CHANNELS.production * STRATA);
  });
});

test("ingest names 8 versions and other, with one series for each event", async () => {
  const samples = samplesOf(await lastgood.metrics()).filter(
    ({ name }) => name === "ota_ingest_release_reports_total",
  );
  for (const [channel, versions] of Object.entries(CHANNELS)) {
    const named = Math.min(versions, VERSIONS_PER_CHANNEL_SHOWN + 1);
    expect([channel, ofChannel(samples, channel).length]).toEqual([channel, named * EVENTS.length]);
  }
});
