// What of a changed configuration takes effect at once, and what only after a restart. Enters: the settings that are in
// force, and those that the file asks for. Leaves: the settings to go on with, and what changed by the names of the
// file. Pure. Whoever adds a setting has to say here which of the two it is: otherwise this does not compile.
import { isDeepStrictEqual } from "node:util";
import type { AppId, Channel } from "../../ingest/contract/release-key.ts";
import type { Policy } from "../policy/policy.ts";
import type { AgentSettings, AppSettings, ChannelSettings, Settings } from "./schema.ts";

export interface LiveChange {
  readonly settings: Settings;
  /** Names of settings whose change is in `settings`. */
  readonly applied: readonly string[];
  /** Names of settings that stay as they are until the next start. */
  readonly needsRestart: readonly string[];
}

interface Setting {
  /** As in the file. */
  readonly name: string;
  readonly takesEffect: "at_once" | "after_restart";
}

const ofFile = {
  dataDir: { name: "data_dir", takesEffect: "after_restart" },
  redisUrl: { name: "redis", takesEffect: "after_restart" },
  replicaAcks: { name: "redis.replica_acks", takesEffect: "after_restart" },
  shards: { name: "shards", takesEffect: "after_restart" },
  logLevel: { name: "log_level", takesEffect: "after_restart" },
  sentryDsn: { name: "sentry_dsn", takesEffect: "after_restart" },
  ingest: { name: "ingest", takesEffect: "after_restart" },
  retention: { name: "retention", takesEffect: "after_restart" },
  externalUrl: { name: "external_url", takesEffect: "after_restart" },
  alertmanager: { name: "alertmanager", takesEffect: "after_restart" },
  grafana: { name: "grafana", takesEffect: "after_restart" },
  summary: { name: "summary", takesEffect: "after_restart" },
  observability: { name: "observability", takesEffect: "after_restart" },
} as const satisfies Record<Exclude<keyof Settings, "agent" | "apps" | "policies">, Setting>;

const ofAgent = {
  listen: { name: "agent.listen", takesEffect: "after_restart" },
  trustedProxies: { name: "agent.trusted_proxies", takesEffect: "after_restart" },
  tls: { name: "agent.tls", takesEffect: "after_restart" },
  plainHttp: { name: "agent.plain_http", takesEffect: "after_restart" },
  processes: { name: "agent.processes", takesEffect: "after_restart" },
} as const satisfies Record<Exclude<keyof AgentSettings, "operators">, Setting>;

/** Ingest reads keys and strata split what is being counted. */
const ofApp = {
  ingestKeys: { name: "ingest_keys", takesEffect: "after_restart" },
  strata: { name: "strata", takesEffect: "after_restart" },
  deviceAuth: { name: "device_auth", takesEffect: "after_restart" },
  sources: { name: "sources", takesEffect: "after_restart" },
  otaServer: { name: "ota_server", takesEffect: "at_once" },
} as const satisfies Record<Exclude<keyof AppSettings, "channels">, Setting>;

export function liveChange(running: Settings, wanted: Settings): LiveChange {
  const changes = createChanges();
  const file = merge(running, wanted, { table: ofFile, prefix: "" }, changes);
  const agent = mergeAgent(running.agent, wanted.agent, changes);
  const apps = mergeApps(running, wanted, changes);
  const policies = mergePolicies({ running, wanted, apps }, changes);
  return { settings: { ...file, agent, apps, policies }, ...changes.list() };
}

interface Changes {
  note(name: string, takesEffect: Setting["takesEffect"]): void;
  list(): Pick<LiveChange, "applied" | "needsRestart">;
}

function createChanges(): Changes {
  const names: Record<Setting["takesEffect"], string[]> = { at_once: [], after_restart: [] };
  return {
    note: (name, takesEffect) => void names[takesEffect].push(name),
    list: () => ({ applied: names.at_once, needsRestart: names.after_restart }),
  };
}

/** Takes over of `wanted` what takes effect at once; what the table does not name stays as it runs. */
function merge<T extends object>(
  running: T,
  wanted: T,
  { table, prefix }: { readonly table: Partial<Record<keyof T, Setting>>; readonly prefix: string },
  changes: Changes,
): T {
  let merged = running;
  for (const [key, setting] of Object.entries(table) as [keyof T, Setting][]) {
    if (isDeepStrictEqual(running[key], wanted[key])) continue;
    changes.note(`${prefix}${setting.name}`, setting.takesEffect);
    if (setting.takesEffect === "at_once") merged = { ...merged, [key]: wanted[key] };
  }
  return merged;
}

/** From some operators to none is never urgent, and a file that was cut off looks like it: not before a restart. */
function mergeAgent(running: AgentSettings, wanted: AgentSettings, changes: Changes): AgentSettings {
  const agent = merge(running, wanted, { table: ofAgent, prefix: "" }, changes);
  if (isDeepStrictEqual(running.operators, wanted.operators)) return agent;
  const isOpen = wanted.operators.length === 0;
  changes.note("agent.operators", isOpen ? "after_restart" : "at_once");
  return isOpen ? agent : { ...agent, operators: wanted.operators };
}

/** Apps and channels stay those of the start: ingest has to know them, too. */
function mergeApps(running: Settings, wanted: Settings, changes: Changes): Settings["apps"] {
  noteOthers(running.apps, wanted.apps, (app) => `apps[${JSON.stringify(app)}]`, changes);
  const merged = [...running.apps].map(([app, before]): [AppId, AppSettings] => {
    const after = wanted.apps.get(app);
    if (after === undefined) return [app, before];
    const prefix = `apps[${JSON.stringify(app)}].`;
    const rest = merge(before, after, { table: ofApp, prefix }, changes);
    return [app, { ...rest, channels: mergeChannels(before.channels, after.channels, prefix, changes) }];
  });
  return new Map(merged);
}

function mergeChannels(
  running: AppSettings["channels"],
  wanted: AppSettings["channels"],
  prefix: string,
  changes: Changes,
): AppSettings["channels"] {
  const nameOf = (channel: string): string => `${prefix}channels[${JSON.stringify(channel)}]`;
  noteOthers(running, wanted, nameOf, changes);
  const merged = [...running].map(([channel, before]): [Channel, ChannelSettings] => {
    const after = wanted.get(channel);
    if (after === undefined || isDeepStrictEqual(before, after)) return [channel, before];
    changes.note(nameOf(channel), "at_once");
    return [channel, after];
  });
  return new Map(merged);
}

function noteOthers<K extends string>(
  running: ReadonlyMap<K, unknown>,
  wanted: ReadonlyMap<K, unknown>,
  nameOf: (key: K) => string,
  changes: Changes,
): void {
  for (const key of wanted.keys()) if (!running.has(key)) changes.note(nameOf(key), "after_restart");
  for (const key of running.keys()) if (!wanted.has(key)) changes.note(nameOf(key), "after_restart");
}

/** A policy that left the file stays for channels that did, until the restart that they wait for. */
function mergePolicies(
  {
    running,
    wanted,
    apps,
  }: { readonly running: Settings; readonly wanted: Settings; readonly apps: Settings["apps"] },
  changes: Changes,
): Settings["policies"] {
  const nameOf = (name: string): string => `policies[${JSON.stringify(name)}]`;
  const merged = new Map<string, Policy>();
  for (const [name, policy] of wanted.policies) {
    const before = running.policies.get(name);
    if (before !== undefined && isDeepStrictEqual(comparable(before), comparable(policy)))
      merged.set(name, before);
    else {
      changes.note(nameOf(name), "at_once");
      merged.set(name, policy);
    }
  }
  const used = new Set(
    [...apps.values()].flatMap(({ channels }) => [...channels.values()].map(({ policyName }) => policyName)),
  );
  for (const [name, policy] of running.policies) {
    if (wanted.policies.has(name)) continue;
    changes.note(nameOf(name), used.has(name) ? "after_restart" : "at_once");
    if (used.has(name)) merged.set(name, policy);
  }
  return merged;
}

/** Without its functions, which are made anew each time that the file is read. */
function comparable(policy: Policy): unknown {
  return JSON.parse(JSON.stringify(policy));
}
