// The story of an Alertmanager that hangs, and is then gone, for seconds (test/e2e) or minutes (test/soak). Enters: how long.
// Leaves: the pages that were told when it was back; expects that rollbacks go on meanwhile, and that memory stays bounded.
import { expect } from "vitest";
import { sleep } from "../../runtime/clock.ts";
import { AGENT_RSS_BYTES_MAX, CALM_APP, LOADED_APP, openAgentStage, untilRolledBack } from "./agent-stage.ts";
import { startAlertmanager } from "./alertmanager.ts";
import { freePort } from "./redis.ts";
import { waitUntil } from "./wait-until.ts";

export interface AlertmanagerAway {
  readonly hungMs: number;
  readonly goneMs: number;
}

const OTHER_APP = "com.acme.other";
const APPS = [CALM_APP, OTHER_APP, LOADED_APP];
/** Each once, and none forgotten. */
export const PAGES_TOLD: readonly string[] = APPS.map((app) => `OtaRolledBack ${app}`);
const UNAVAILABLE = 'ota_page_posts_total{result="unavailable"}';

export async function tellAlertmanagerAway({ hungMs, goneMs }: AlertmanagerAway): Promise<readonly string[]> {
  const port = await freePort();
  const stage = await openAgentStage({ apps: [OTHER_APP], alertmanagerUrl: `http://127.0.0.1:${port}` });
  let alertmanager = await startAlertmanager({ port });
  let isUp = true;
  try {
    const agent = await stage.startAgent();
    const failedPosts = async (): Promise<number> => (await agent.sample(UNAVAILABLE)) ?? 0;
    alertmanager.freeze();
    await stage.failEach([CALM_APP]);
    await untilRolledBack(agent, [CALM_APP]);
    await waitUntil(failedPosts, (count) => count > 0);
    await sleep(hungMs);
    await alertmanager.kill();
    isUp = false;
    const before = await failedPosts();
    await stage.failEach([OTHER_APP, LOADED_APP]);
    await untilRolledBack(agent, [OTHER_APP, LOADED_APP]);
    await waitUntil(failedPosts, (count) => count > before);
    await sleep(goneMs);
    // What waits is one page for each thing that stands, however often it was tried.
    expect(await agent.sample('ota_pages_standing{severity="info"}')).toBe(APPS.length);
    expect(agent.rssBytes()).toBeLessThan(AGENT_RSS_BYTES_MAX);
    alertmanager = await startAlertmanager({ port });
    isUp = true;
    const told = await waitUntil(
      () => alertmanager.notified(),
      (alerts) => new Set(alerts.map(({ labels }) => labels["app"])).size === APPS.length,
      60_000,
    );
    expect(agent.child.exitCode).toBe(null);
    return told.map(({ labels }) => `${labels["alertname"]} ${labels["app"]}`).toSorted();
  } finally {
    if (isUp) await alertmanager.stop();
    await stage.close();
  }
}
