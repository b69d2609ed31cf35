// What the catalogue of alerts says silences each of them, in the real Alertmanager with the shipped file: while the other
// stands, not once it is over, and never by one about something else or about nothing in particular.
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Suppressor } from "../../alerting/alert.ts";
import { ALERTS } from "../../alerting/catalogue.ts";
import { startAlertmanager } from "../support/alertmanager.ts";
import type { TestAlertmanager } from "../support/alertmanager.ts";
import { waitUntil } from "../support/wait-until.ts";

const FILE = path.resolve(import.meta.dirname, "../../alerting/alertmanager.yml");

type Labels = Readonly<Record<string, string>>;

let alertmanager: TestAlertmanager;
beforeAll(async () => {
  alertmanager = await startAlertmanager({ configFile: FILE });
});
afterAll(() => alertmanager.stop());

async function post(alerts: readonly Labels[], times: { readonly endsAt?: string } = {}): Promise<void> {
  const response = await fetch(`${alertmanager.url}/api/v2/alerts`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(alerts.map((labels) => ({ labels, ...times }))),
  });
  expect(response.status).toBe(200);
}

const end = (alerts: readonly Labels[]): Promise<void> => post(alerts, { endsAt: new Date().toISOString() });

async function isSilenced(labels: Labels): Promise<boolean> {
  const filters = new URLSearchParams();
  for (const [name, value] of Object.entries(labels)) filters.append("filter", `${name}="${value}"`);
  const url = `${alertmanager.url}/api/v2/alerts?${filters.toString()}`;
  const [found] = await waitUntil(
    async () => (await (await fetch(url)).json()) as { status: { state: string; inhibitedBy: string[] } }[],
    (alerts) => alerts.length === 1 && alerts[0]!.status.state !== "unprocessed",
  );
  return found!.status.inhibitedBy.length > 0;
}

/** What reaches nobody anyway need not be silenced. */
const cases = ALERTS.flatMap((entry) =>
  Object.entries(entry.suppressedBy)
    .filter(([severity]) => severity !== "info")
    .flatMap(([severity, suppressors]) =>
      (suppressors ?? []).map((suppressor) => ({ entry, severity, suppressor })),
    ),
);
type Case = (typeof cases)[number];
const named = (each: Case) => [each.entry.name, each.severity, each.suppressor.alertname, each] as const;

/** Other values each time for every label that two alerts can share, so that no case silences another. */
let round = 0;
function labelsOf(names: readonly string[]): Labels {
  round += 1;
  return Object.fromEntries(names.map((name) => [name, `${name}-${round}`]));
}

function pairOf({ entry, severity, suppressor }: Case): readonly [source: Labels, target: Labels] {
  const service = "lastgood";
  const shared = labelsOf(suppressor.equal);
  const own = labelsOf(entry.identifiedBy.filter((label) => !suppressor.equal.includes(label)));
  return [
    { service, alertname: suppressor.alertname, severity: severityOf(suppressor), ...shared },
    { service, alertname: entry.name, severity, ...shared, ...own },
  ];
}

function severityOf({ alertname, postedBy, severity }: Suppressor): string {
  if (severity !== undefined) return severity;
  if (postedBy === "agent") return "critical";
  return ALERTS.find(({ name }) => name === alertname)!.severities[0]!;
}

test("there are cases of each kind", () => {
  expect(cases.length).toBeGreaterThan(40);
  expect(cases.filter(({ suppressor }) => suppressor.equal.length > 0).length).toBeGreaterThan(10);
});

test.each(cases.map(named))(
  "%s, %s, while %s stands, and not once it is over",
  async (_name, _severity, _by, each) => {
    const [source, target] = pairOf(each);
    await post([source, target]);
    expect(await waitUntil(() => isSilenced(target), Boolean)).toBe(true);
    await end([source]);
    const goesOn = (): Promise<boolean> => isSilenced(target);
    expect(await waitUntil(goesOn, (silenced) => !silenced)).toBe(false);
    await end([target]);
  },
);

test.each(cases.filter(({ suppressor }) => suppressor.equal.length > 0).map(named))(
  "%s, %s, is not silenced by %s about something else, or about nothing in particular",
  async (_name, _severity, _by, each) => {
    const [source, target] = pairOf(each);
    const [different] = pairOf(each);
    const { service = "", alertname = "", severity = "" } = source;
    // Labels that are missing on both sides count as equal: the source may not have lost them.
    const bare = { service, alertname, severity };
    await post([different, bare, target]);
    expect(await isSilenced(target)).toBe(false);
    await end([different, bare, target]);
  },
);

test("nothing silences the dead-man's switch, and no outage the backstop", async () => {
  const service = "lastgood";
  const outages = [
    "OtaAgentDown",
    "OtaIngestDown",
    "OtaRedisDown",
    "OtaPagesNotDelivered",
    "OtaEvaluationStalled",
  ];
  const release = labelsOf(["app", "channel", "version"]);
  const backstop = { service, alertname: "OtaReleaseFailingNotRolledBack", severity: "critical", ...release };
  const watchdog = { service, alertname: "OtaWatchdog", severity: "none" };
  await post([
    ...outages.map((alertname) => ({ service, alertname, severity: "critical" })),
    backstop,
    watchdog,
  ]);
  expect([await isSilenced(backstop), await isSilenced(watchdog)]).toEqual([false, false]);
});
