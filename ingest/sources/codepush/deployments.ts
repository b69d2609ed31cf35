// Whose a deployment key is. Pure. Enters: the configured apps, once. Leaves: the app and channel of a key, and the
// CodePush server behind it.
import type { IngestAppSettings } from "../../config.ts";
import type { AppId, Channel } from "../../contract/release-key.ts";

export interface Deployment {
  readonly app: AppId;
  readonly settings: IngestAppSettings;
  readonly channel: Channel;
}

export interface Deployments {
  find(deploymentKey: string): Deployment | undefined;
  /**
   * Without a slash at its end; undefined = there is none, or nobody can say which. A key that is not configured (a new
   * deployment) goes to the one server that there is: a device must not lose its updates by what Lastgood does not know.
   */
  serverOf(deploymentKey: string | undefined): string | undefined;
}

export function createDeployments(apps: ReadonlyMap<AppId, IngestAppSettings>): Deployments {
  const byKey = new Map<string, Deployment>();
  const servers = new Set<string>();
  for (const [app, settings] of apps) {
    const codepush = settings.sources?.codepush;
    if (codepush === undefined) continue;
    for (const [key, channel] of codepush.deployments) byKey.set(key, { app, settings, channel });
    if (codepush.server !== undefined) servers.add(codepush.server);
  }
  const onlyServer = servers.size === 1 ? [...servers][0] : undefined;
  return {
    find: (key) => byKey.get(key),
    serverOf(key) {
      const known = key === undefined ? undefined : byKey.get(key);
      return known === undefined ? onlyServer : known.settings.sources?.codepush?.server;
    },
  };
}
