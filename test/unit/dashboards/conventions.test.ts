// Every rule of test/support/dashboard-rules.ts and dashboard-query-rules.ts on every committed dashboard, and on spoilt
// ones, which each rule must catch.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { describe, expect, test } from "vitest";
import { DASHBOARDS } from "../../../dashboards/links.ts";
import type { DashboardName } from "../../../dashboards/links.ts";
import { DASHBOARD_QUERY_RULES } from "../../support/dashboard-query-rules.ts";
import { DASHBOARD_RULES } from "../../support/dashboard-rules.ts";

const RULES = [...DASHBOARD_RULES, ...DASHBOARD_QUERY_RULES];
const NAMES = Object.keys(DASHBOARDS) as DashboardName[];

function read(name: DashboardName): Dashboard {
  const file = path.resolve(import.meta.dirname, `../../../dashboards/json/${name}.json`);
  return JSON.parse(readFileSync(file, "utf8")) as Dashboard;
}

test("every rule has a name of its own and says why it is there", () => {
  expect(new Set(RULES.map(({ name }) => name)).size).toBe(RULES.length);
  for (const { reason, spoilt } of RULES) {
    expect(reason.split(" ").length).toBeGreaterThan(8);
    expect(spoilt.length).toBeGreaterThan(0);
  }
});

describe.each(RULES)("$name", ({ find, spoilt }) => {
  test.each(NAMES)("holds in %s", (name) => {
    expect(find(read(name))).toEqual([]);
  });

  // The fleet overview has a panel of each kind that the samples spoil.
  test.each(spoilt)("catches %s", (_, spoil) => {
    const dashboard = read("fleet");
    spoil(dashboard);
    expect(dashboard).not.toEqual(read("fleet"));
    expect(find(dashboard)).not.toEqual([]);
  });
});
