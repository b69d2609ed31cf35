// A real prometheus for tests: on a port of its own of 127.0.0.1, in a temporary folder, with the configuration given.
// Enters: the text of prometheus.yml, and files beside it. Leaves: its address, what queries return, which alerts stand.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { freePort } from "./redis.ts";
import { untilReady } from "./until-ready.ts";

/** One series of a query's answer; a sample is [epoch seconds, value as text]. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

export interface StandingAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

export interface Target {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}

export interface TestPrometheus {
  readonly url: string;
  query(expr: string): Promise<readonly Series[]>;
  queryRange(
    expr: string,
    range: { readonly startSeconds: number; readonly endSeconds: number; readonly stepSeconds: number },
  ): Promise<readonly Series[]>;
  /** Of a label, over the series that `match` selects. */
  labelValues(label: string, match: string): Promise<readonly string[]>;
  alerts(): Promise<readonly StandingAlert[]>;
  targets(): Promise<readonly Target[]>;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  readonly config: string;
  /** By path, relative to the configuration file. */
  readonly files?: Readonly<Record<string, string>>;
  readonly port?: number;
}

/** Throws, with what it said, when Prometheus does not take the configuration. */
export async function startPrometheus({
  config,
  files = {},
  port,
}: PrometheusOptions): Promise<TestPrometheus> {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-prometheus-"));
  for (const [name, text] of Object.entries({ ...files, "prometheus.yml": config })) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const child = spawn(
    "prometheus",
    [
      `--config.file=${path.join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${path.join(folder, "data")}`,
      `--web.listen-address=${address}`,
      // A test does not wait a minute for what was sent before Alertmanager was found.
      "--rules.alert.resend-delay=2s",
      "--log.level=warn",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (said = `${said}${text}`.slice(-8_000)));
  const exited = once(child, "close");
  const url = `http://${address}`;
  await untilReady({ name: "Prometheus", url, exited, said: () => said });
  return {
    ...clientOf(url),
    async stop() {
      child.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function clientOf(url: string): Omit<TestPrometheus, "stop"> {
  const ask = async (endpoint: string, params: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const response = await fetch(`${url}/api/v1/${endpoint}?${new URLSearchParams(params).toString()}`);
    const answer = (await response.json()) as { status: string; error?: string; data: unknown };
    if (answer.status !== "success") throw new Error(`${params["query"] ?? endpoint}: ${answer.error}`);
    return answer.data;
  };
  return {
    url,
    query: async (expr) => ((await ask("query", { query: expr })) as { result: Series[] }).result,
    queryRange: async (expr, { startSeconds, endSeconds, stepSeconds }) => {
      const params = {
        query: expr,
        start: String(startSeconds),
        end: String(endSeconds),
        step: String(stepSeconds),
      };
      return ((await ask("query_range", params)) as { result: Series[] }).result;
    },
    labelValues: async (label, match) =>
      (await ask(`label/${label}/values`, { "match[]": match })) as string[],
    alerts: async () => ((await ask("alerts")) as { alerts: StandingAlert[] }).alerts,
    targets: async () => ((await ask("targets")) as { activeTargets: Target[] }).activeTargets,
  };
}

/** Text of a file of the repository, by its path there. */
export function readRepoFile(file: string): string {
  return readFileSync(path.resolve(import.meta.dirname, "../..", file), "utf8");
}
