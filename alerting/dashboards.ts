// The dashboards that alerts link to, by the uid that Grafana knows them under. They are repeated here, because
// alerting/ imports no other room; test/unit/alerting/ holds them to the committed dashboards where these are.
export const DASHBOARDS = {
  fleet: "lastgood-fleet",
  release: "lastgood-release",
  rollbacks: "lastgood-rollbacks",
  pipeline: "lastgood-pipeline",
} as const;
export type DashboardName = keyof typeof DASHBOARDS;
