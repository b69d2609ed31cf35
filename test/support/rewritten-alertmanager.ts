// A configuration of Alertmanager, made fit for tests. Enters: the file as it is shipped. Leaves: the text of another, with
// the same routes and inhibitions, in which a second is the longest time and every receiver that calls somebody posts to
// a double. The dead-man's switch, which is shipped unconnected, is connected.
import { readFileSync } from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";

export interface AlertmanagerRoute {
  readonly receiver: string;
  readonly matchers?: readonly string[];
  readonly routes?: readonly AlertmanagerRoute[];
  readonly [setting: string]: unknown;
}

export interface AlertmanagerReceiver {
  readonly name: string;
  readonly [configs: `${string}_configs`]: readonly Readonly<Record<string, unknown>>[];
}

export interface AlertmanagerConfig {
  readonly global: Readonly<Record<string, unknown>>;
  readonly templates: readonly string[];
  readonly route: AlertmanagerRoute;
  readonly receivers: readonly AlertmanagerReceiver[];
  readonly time_intervals: readonly Readonly<Record<string, unknown>>[];
  readonly inhibit_rules: readonly Readonly<Record<string, unknown>>[];
}

/** The receiver that is meant to tell nobody. */
export const NOWHERE = "nowhere";
export const HEARTBEAT = "heartbeat";

export function readAlertmanagerConfig(configFile: string): AlertmanagerConfig {
  const config = parse(readFileSync(configFile, "utf8"), { merge: true }) as AlertmanagerConfig;
  const folder = path.dirname(configFile);
  return { ...config, templates: config.templates.map((pattern) => path.resolve(folder, pattern)) };
}

/** Working hours are always; `rewrite` comes last, and can say otherwise. */
export function redirected({
  configFile,
  to,
  rewrite,
}: {
  readonly configFile: string;
  readonly to: string;
  readonly rewrite: (config: AlertmanagerConfig) => AlertmanagerConfig;
}): string {
  const config = readAlertmanagerConfig(configFile);
  return stringify(
    rewrite({
      ...config,
      route: hastened(config.route),
      receivers: config.receivers.map(({ name }) =>
        name === NOWHERE
          ? { name }
          : { name, webhook_configs: [{ url: `${to}/${name}`, send_resolved: name !== HEARTBEAT }] },
      ),
      time_intervals: config.time_intervals.map(({ name }) => ({ name, time_intervals: [{}] })),
    }),
    { aliasDuplicateObjects: false },
  );
}

function hastened(route: AlertmanagerRoute): AlertmanagerRoute {
  const isWatchdog = route.matchers?.includes('alertname="OtaWatchdog"') === true;
  return {
    ...route,
    ...(isWatchdog ? { receiver: HEARTBEAT } : {}),
    group_wait: "1s",
    group_interval: "1s",
    // Only the dead-man's switch repeats within a test.
    repeat_interval: isWatchdog ? "500ms" : "1h",
    ...(route.routes === undefined ? {} : { routes: route.routes.map((child) => hastened(child)) }),
  };
}
