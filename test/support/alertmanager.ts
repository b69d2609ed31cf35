// A real prometheus-alertmanager for tests: on a port of its own of 127.0.0.1, in a temporary folder, with a webhook
// receiver that this process runs. Everything goes to the receiver at once, or by the routes of a configuration file,
// as rewritten-alertmanager.ts makes it. Leaves: its address, and what it notified.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { findProgram } from "../../runtime/foreign-program.ts";
import { startJsonDouble } from "./json-double.ts";
import type { JsonDouble } from "./json-double.ts";
import { freePort } from "./redis.ts";
import { redirected } from "./rewritten-alertmanager.ts";
import type { AlertmanagerConfig } from "./rewritten-alertmanager.ts";
import { untilReady } from "./until-ready.ts";

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

/** An alert as `GET /api/v2/alerts` shows it. */
export interface ListedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
}

/** What a webhook receiver gets at once: a group of alerts. */
export interface Notification {
  readonly receiver: string;
  readonly status: "firing" | "resolved";
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly alerts: readonly NotifiedAlert[];
}

export interface TestAlertmanager {
  readonly url: string;
  /** Each notification, in order; `receiver` says who would have got it. */
  notifications(): Notification[];
  /** What the receiver got, in order, from this server. */
  notified(): NotifiedAlert[];
  /** What it holds now. */
  list(): Promise<ListedAlert[]>;
  /** SIGSTOP: it takes connections and answers nothing. */
  freeze(): void;
  /** SIGKILL, also of one that is frozen; what it knew is gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface AlertmanagerStart {
  /** To start one where nobody listened before. */
  readonly port?: number;
  /** Its routes and inhibitions; every receiver is redirected to the double, and times are a second. */
  readonly configFile?: string;
  /** What else to change in the file. */
  readonly rewrite?: (config: AlertmanagerConfig) => AlertmanagerConfig;
}

export async function startAlertmanager({
  port,
  configFile,
  rewrite = (config) => config,
}: AlertmanagerStart = {}): Promise<TestAlertmanager> {
  const receiver = await startJsonDouble();
  const folder = mkdtempSync(path.join(tmpdir(), "lg-alertmanager-"));
  const file = path.join(folder, "alertmanager.yml");
  writeFileSync(
    file,
    configFile === undefined
      ? configuration(receiver)
      : redirected({ configFile, to: receiver.url, rewrite }),
  );
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const child = spawn(
    programFile(),
    [
      `--config.file=${file}`,
      `--storage.path=${path.join(folder, "data")}`,
      `--web.listen-address=${address}`,
      // Alone: no cluster, and no port for one.
      "--cluster.listen-address=",
      "--log.level=error",
    ],
    { stdio: "ignore" },
  );
  const exited = once(child, "close");
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
    await receiver.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://${address}`;
  await untilReady({ name: "Alertmanager", url, exited });
  return {
    url,
    notifications: () => receiver.requests.map(({ body }) => body as Notification),
    notified: () => receiver.requests.flatMap(({ body }) => (body as Notification).alerts),
    list: async () => (await (await fetch(`${url}/api/v2/alerts`)).json()) as ListedAlert[],
    freeze: () => void child.kill("SIGSTOP"),
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
  };
}

/** Debian has a name of its own for it. */
function programFile(): string {
  const found = findProgram(["prometheus-alertmanager", "alertmanager"], process.env["PATH"]);
  if (found === undefined) throw new Error(`Alertmanager was not found on the PATH: ${HOW_TO_GET}`);
  return found;
}

function configuration({ url }: JsonDouble): string {
  return `
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
}
