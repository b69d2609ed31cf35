// A device with the CodePush client (react-native-code-push 9), as far as a server can tell: one server URL for all, a
// release is judged at its first start, a failure is told at the start after it, and a content that failed here is
// never installed again (shared reference, ota-systems.md 4.1 to 4.4). Leaves: HTTP requests to that one URL.
import { randomUUID } from "node:crypto";

export interface CodePushDeviceOptions {
  readonly serverUrl: string;
  readonly deploymentKey: string;
  /** The store build. */
  readonly appVersion: string;
  readonly clientId?: string;
  /** Releases, by the hash of their content, that come up on this device. */
  readonly boots: (packageHash: string, label: string) => boolean;
}

export interface CodePushDevice {
  readonly clientId: string;
  /** Label of the release that runs; undefined = the store binary. */
  running(): string | undefined;
  /** One start of the app with `sync()`: tells what the last start left to tell, checks, installs, starts it. */
  start(): Promise<void>;
}

interface Package {
  readonly label: string;
  readonly packageHash: string;
}

interface UpdateInfo {
  readonly is_available: boolean;
  readonly update_app_version: boolean;
  readonly label?: string;
  readonly package_hash?: string;
}

const HEADERS = {
  Accept: "application/json",
  "Content-Type": "application/json",
  "X-CodePush-Plugin-Name": "react-native-code-push",
  "X-CodePush-Plugin-Version": "9.0.1",
  "X-CodePush-SDK-Version": "4.2.3",
};

export function createCodePushDevice(options: CodePushDeviceOptions): CodePushDevice {
  const { serverUrl, deploymentKey, appVersion } = options;
  const clientId = options.clientId ?? randomUUID();
  const failedHashes = new Set<string>();
  let current: Package | undefined;
  /** Told at the next start, and once. */
  let failedBefore: Package | undefined;

  const post = async (path: string, body: object): Promise<void> => {
    const response = await fetch(`${serverUrl}/v0.1/public/codepush/report_status/${path}`, {
      method: "POST",
      headers: HEADERS,
      body: JSON.stringify({ client_unique_id: clientId, deployment_key: deploymentKey, ...body }),
    });
    await response.arrayBuffer();
  };

  const check = async (): Promise<UpdateInfo> => {
    const query = new URLSearchParams({
      deployment_key: deploymentKey,
      app_version: appVersion,
      client_unique_id: clientId,
      is_companion: "",
      ...(current === undefined ? {} : { package_hash: current.packageHash, label: current.label }),
    });
    const response = await fetch(`${serverUrl}/v0.1/public/codepush/update_check?${query.toString()}`, {
      headers: HEADERS,
    });
    const { update_info: info } = (await response.json()) as { update_info: UpdateInfo };
    return info;
  };

  const tellFailure = async (): Promise<void> => {
    if (failedBefore === undefined) return;
    const { label } = failedBefore;
    failedBefore = undefined;
    await post("deploy", {
      app_version: appVersion,
      label,
      status: "DeploymentFailed",
      previous_deployment_key: deploymentKey,
    });
  };

  return {
    clientId,
    running: () => current?.label,
    async start() {
      await tellFailure();
      const { is_available, update_app_version, label, package_hash: packageHash } = await check();
      if (!is_available || update_app_version || label === undefined || packageHash === undefined) return;
      if (packageHash === current?.packageHash || failedHashes.has(packageHash)) return;
      await post("download", { label });
      if (!options.boots(packageHash, label)) {
        // Flagged "loading" at its first start, and not confirmed: found at the next one.
        failedHashes.add(packageHash);
        failedBefore = { label, packageHash };
        return;
      }
      const previous = current?.label ?? appVersion;
      current = { label, packageHash };
      await post("deploy", {
        app_version: appVersion,
        label,
        status: "DeploymentSucceeded",
        previous_label_or_app_version: previous,
        previous_deployment_key: deploymentKey,
      });
    },
  };
}
