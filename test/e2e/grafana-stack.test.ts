import { expect, test } from "vitest";
import { METRICS } from "../../ingest/contract/metric-names.ts";
import { startAlertmanager } from "../support/alertmanager.ts";
import { CHANNELS, startObservedStack } from "../support/observed-stack.ts";
import { tellOfBadRelease, tellOfGoodReleases, tellOfReturn } from "../support/observed-story.ts";
import { sleep } from "../../runtime/clock.ts";
import { startPrometheus } from "../support/prometheus.ts";
import { writeFileSync } from "node:fs";

test("explore", async () => {
  const alertmanager = await startAlertmanager();
  const stack = await startObservedStack({ alertmanagerUrl: alertmanager.url });
  const prometheus = await startPrometheus({
    config: `
global: { scrape_interval: 1s, evaluation_interval: 1s }
scrape_configs:
  - job_name: lastgood-ingest
    static_configs: [{ targets: ["${stack.ingestTarget}"] }]
  - job_name: lastgood-agent
    static_configs: [{ targets: ["${stack.agentTarget}"] }]
`,
  });
  try {
    await tellOfGoodReleases(stack);
    await sleep(3000);
    await stack.act("freezes", {
      scope: { app: "com.acme.till", channel: CHANNELS.frozen },
      reason: "test",
      for: "1h",
    });
    await tellOfBadRelease(stack, Object.values(CHANNELS));
    await stack.spoilAnEntry();
    await sleep(8000);
    await tellOfReturn(stack, CHANNELS.rolledBack);
    await sleep(5000);
    const missing: string[] = [];
    for (const [name, { type }] of Object.entries(METRICS)) {
      const found = await prometheus.query(type === "histogram" ? `${name}_count` : name);
      if (found.length === 0) missing.push(name);
    }
    const metrics = await (await fetch(`${stack.agentUrl}/metrics`)).text();
    const ing = await (await fetch(`http://${stack.ingestTarget}/metrics`)).text();
    writeFileSync("/tmp/explore/agent.txt", metrics);
    writeFileSync("/tmp/explore/ingest.txt", ing);
    writeFileSync("/tmp/explore/status.json", await (await fetch(`${stack.agentUrl}/v1/status`)).text());
    writeFileSync(
      "/tmp/explore/decisions.json",
      await (await fetch(`${stack.agentUrl}/v1/decisions`)).text(),
    );
    console.log(missing, await prometheus.targets());
    console.log(alertmanager.notified().map(({ labels, status }) => [labels, status]));
    expect(missing).toEqual([]);
  } finally {
    await prometheus.stop();
    await stack.stop();
    await alertmanager.stop();
  }
}, 120_000);
