// A device with the Capgo plugin, as far as a server can tell: it asks for updates, switches bundles, reverts by itself
// when the new one does not boot, and posts what the real plugin posts, in its order and with its traps (shared
// reference, ota-systems.md 1.2 to 1.7). Enters: two URLs, and which bundles do not boot here. Leaves: HTTP requests.
import { randomUUID } from "node:crypto";

export interface CapgoDeviceOptions {
  readonly appId: string;
  readonly deviceId?: string;
  /** The store build. */
  readonly versionBuild: string;
  /** The bundle that runs at the start. */
  readonly running: string;
  readonly statsUrl: string;
  readonly updateUrl: string;
  readonly channel: string;
  /** Bundles that do not boot on this device. */
  readonly boots: (version: string) => boolean;
  readonly clock: () => number;
}

export interface CapgoDevice {
  readonly deviceId: string;
  running(): string;
  /** The app comes to the foreground: checks, updates, sends what is queued. True when the server took it all. */
  foreground(): Promise<boolean>;
  /** The app crashed and is started again: the crash is reported with the bundle that runs *now*. */
  crash(): Promise<boolean>;
}

type PluginEvent = Readonly<Record<string, unknown>>;

/** What the update server says of a bundle that it offers. */
interface Offer {
  readonly version?: string;
  readonly error?: string;
  readonly kind?: string;
}

export function createCapgoDevice(options: CapgoDeviceOptions): CapgoDevice {
  const deviceId = options.deviceId ?? randomUUID();
  const queue: PluginEvent[] = [];
  /** Bundles that failed here: never tried again. */
  const inError = new Set<string>();
  let running = options.running;
  /** The clock of the device, which never gives two events the same millisecond. */
  let lastMs = 0;
  const stamp = (): number => (lastMs = Math.max(options.clock(), lastMs + 1));

  const info = (versionName: string) => ({
    platform: "android",
    device_id: deviceId,
    app_id: options.appId,
    custom_id: "",
    version_build: options.versionBuild,
    version_code: "4200",
    version_os: "15",
    version_name: versionName,
    plugin_version: "8.51.23",
    is_emulator: false,
    is_prod: true,
    install_source: "com.android.vending",
    defaultChannel: options.channel,
  });
  const tell = (
    action: string,
    versionName: string,
    more: { old?: string; metadata?: Record<string, string> } = {},
  ): void => {
    const { old = "", metadata } = more;
    const event = { ...info(versionName), old_version_name: old, action, timestamp: stamp() };
    queue.push(metadata === undefined ? event : { ...event, metadata });
  };

  const check = async (): Promise<Offer> => {
    const response = await fetch(options.updateUrl, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(info(running)),
    });
    return (await response.json()) as Offer;
  };

  const launch = (version: string): void => {
    const startedAtMs = stamp();
    tell("app_launch_start", version, {
      metadata: { launch_started_at: String(startedAtMs), source: "plugin_load" },
    });
    if (options.boots(version)) {
      tell("app_launch_ready", version, { metadata: { duration_ms: "412" } });
      return;
    }
    tell("app_launch_timeout", version, { metadata: { duration_ms: "10204", timeout_ms: "10000" } });
    tell("update_fail", version);
    const before = running;
    // The state was cleared first, so the fallback is set "from" the store build; to that there is no set at all.
    if (before !== options.versionBuild) tell("set", before, { old: options.versionBuild });
    tell("delete", version);
    inError.add(version);
  };

  const update = (version: string): void => {
    tell("download_0", version);
    tell("download_complete", version);
    tell("set", version, { old: running });
    const before = running;
    launch(version);
    running = options.boots(version) ? version : before;
  };

  const flush = async (): Promise<boolean> => {
    if (queue.length === 0) return true;
    const response = await fetch(options.statsUrl, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "User-Agent": `CapacitorUpdater/8.51.23 (${options.appId}) android/15`,
      },
      body: JSON.stringify(queue),
    });
    await response.arrayBuffer();
    // 408, 429 and 5xx: the batch stays; any other 4xx loses it for good.
    const isKept = response.status === 408 || response.status === 429 || response.status >= 500;
    if (!isKept) queue.length = 0;
    return response.ok;
  };

  return {
    deviceId,
    running: () => running,
    async foreground() {
      tell("app_moved_to_foreground", running);
      const { version, error, kind } = await check();
      if (kind === "failed") tell("download_fail", running);
      else if (error === undefined && version !== undefined && version !== running)
        // The bundle that failed here is offered still: the plugin blames the one that runs.
        if (inError.has(version)) tell("download_fail", running);
        else update(version);
      return flush();
    },
    async crash() {
      const exitMs = stamp();
      tell("app_crash", running, {
        metadata: {
          exit_reason: "crash",
          exit_reason_code: "4",
          exit_timestamp: String(exitMs),
          pid: "4711",
        },
      });
      return flush();
    },
  };
}
