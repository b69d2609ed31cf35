// A real prometheus-alertmanager for tests: on a port of its own of 127.0.0.1, in a temporary folder, with a webhook
// receiver that this process runs. Everything goes to the receiver at once. Leaves: its address, and what it notified.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startJsonDouble } from "./json-double.ts";
import { freePort } from "./redis.ts";
import { waitUntil } from "./wait-until.ts";

const READY_MS_MAX = 20_000;
const HOW_TO_GET =
  "install it (Debian, Ubuntu: apt-get install prometheus-alertmanager), as .ci/run and npm test do";

/** An alert as a webhook receiver gets it. */
export interface NotifiedAlert {
  readonly status: "firing" | "resolved";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
}

export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly startsAt?: string;
  readonly endsAt?: string;
  readonly generatorURL?: string;
}

/** An alert as `GET /api/v2/alerts` shows it. */
export interface ListedAlert {
  readonly status: { readonly state: string; readonly inhibitedBy: readonly string[] };
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
}

/** One notification, as a webhook receiver gets it. */
export interface Notification {
  /** Path of the receiver's URL. */
  readonly path: string;
  readonly receiver: string;
  readonly status: "firing" | "resolved";
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly alerts: readonly NotifiedAlert[];
}

export interface TestAlertmanager {
  readonly url: string;
  /** What the receiver got, in order, from this server. */
  notified(): NotifiedAlert[];
  notifications(): Notification[];
  /** Puts alerts in, as Prometheus and the agent do. */
  post(alerts: readonly PostedAlert[]): Promise<void>;
  /** What it holds now. */
  list(): Promise<ListedAlert[]>;
  stop(): Promise<void>;
}

export interface AlertmanagerOptions {
  /** To start one where nobody listened before. */
  readonly port?: number;
  /** Made for the receiver's address; otherwise everything goes there at once. */
  readonly configured?: (receiverUrl: string) => ConfiguredAlertmanager;
}

export interface ConfiguredAlertmanager {
  readonly config: string;
  /** By path, relative to its working directory: templates, secrets. */
  readonly files?: Readonly<Record<string, string>>;
}

export async function startAlertmanager({
  port,
  configured = everythingAtOnce,
}: AlertmanagerOptions = {}): Promise<TestAlertmanager> {
  const receiver = await startJsonDouble();
  const folder = mkdtempSync(path.join(tmpdir(), "lg-alertmanager-"));
  const file = path.join(folder, "alertmanager.yml");
  const { config, files = {} } = configured(receiver.url);
  for (const [name, text] of Object.entries({ ...files, "alertmanager.yml": config })) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const child = spawn(
    programName(),
    [
      `--config.file=${file}`,
      `--storage.path=${path.join(folder, "data")}`,
      `--web.listen-address=${address}`,
      // Alone: no cluster, and no port for one.
      "--cluster.listen-address=",
      "--log.level=error",
    ],
    { stdio: "ignore", cwd: folder },
  );
  const exited = once(child, "close");
  const url = `http://${address}`;
  const isReady = (): Promise<boolean> =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  const died = exited.then(() => Promise.reject(new Error("Alertmanager ended before it was ready")));
  await Promise.race([waitUntil(isReady, (ready) => ready, READY_MS_MAX), died]);
  died.catch(() => {});
  return {
    url,
    notified: () =>
      receiver.requests.flatMap(({ body }) => (body as { alerts: readonly NotifiedAlert[] }).alerts),
    notifications: () =>
      receiver.requests.map(({ path: at, body }) => ({ ...(body as Omit<Notification, "path">), path: at })),
    async post(alerts) {
      const response = await fetch(`${url}/api/v2/alerts`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(alerts),
      });
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    },
    list: async () => (await (await fetch(`${url}/api/v2/alerts`)).json()) as ListedAlert[],
    async stop() {
      child.kill("SIGTERM");
      await exited;
      await receiver.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Debian has a name of its own for it. */
function programName(): string {
  const names = ["prometheus-alertmanager", "alertmanager"];
  const found = names.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).error === undefined);
  if (found === undefined) throw new Error(`Alertmanager was not found on the PATH: ${HOW_TO_GET}`);
  return found;
}

function everythingAtOnce(url: string): ConfiguredAlertmanager {
  const config = `
route:
  receiver: webhook
  group_by: ["..."]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: webhook
    webhook_configs: [{ url: "${url}/notified", send_resolved: true }]
`;
  return { config };
}
