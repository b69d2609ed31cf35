// What the demo reads from the outside: the agent's JSON API and the OTA server. Written from the
// documentation, sharing no code with the agent. Every call fails within seconds, with the URL in the message.
const CALL_MS_MAX = 5_000;

export interface SignalNumbers {
  readonly signal: string;
  readonly failures: number;
  readonly trials: number;
  /** Ratio, 0..1. */
  readonly limit: number;
  readonly evidence_log10: number;
  readonly threshold_log10: number;
}

export interface ReleaseStatus {
  readonly version: string;
  readonly devices: Readonly<Record<string, number>>;
  readonly verdict: {
    readonly kind: string;
    readonly reason: string;
    readonly sentence: string;
    readonly signals: readonly SignalNumbers[];
  };
  readonly condemned: boolean;
  readonly decision_id: string | null;
}

export interface Status {
  readonly channels: readonly {
    readonly app: string;
    readonly channel: string;
    readonly current_version: string | null;
    readonly releases: readonly ReleaseStatus[];
  }[];
}

export interface Decision {
  readonly id: string;
  readonly at: string;
  readonly version: string;
  readonly target: string | null;
  readonly action: string;
  readonly sentence: string;
  readonly evidence: {
    readonly signals: readonly SignalNumbers[];
    readonly devices: Readonly<Record<string, number>>;
  };
  readonly last_needed_report_at: string | null;
  readonly outcome: {
    readonly kind: string;
    readonly at: string;
    readonly detail?: string;
    readonly attempts?: number;
  } | null;
}

/** A rollback as the OTA server saw it; times are epoch milliseconds on its clock. */
export interface RollbackCall {
  readonly receivedAtMs: number;
  readonly answeredAtMs: number | null;
  readonly status: number | null;
  readonly body: { readonly decision_id: string; readonly from: string; readonly to: string } | null;
}

export interface LastgoodClient {
  isReady(): Promise<boolean>;
  releases(): Promise<readonly ReleaseStatus[]>;
  decisions(): Promise<readonly Decision[]>;
  /** Stream entries that wait to be folded. */
  waitingEntries(): Promise<number>;
}

export interface OtaServerClient {
  channelVersion(): Promise<string>;
  publish(version: string): Promise<void>;
  rollbacks(): Promise<readonly RollbackCall[]>;
}

export function createLastgoodClient(options: {
  agentUrl: string;
  ingestOperationsUrl: string;
  app: string;
  channel: string;
}): LastgoodClient {
  const { agentUrl } = options;
  return {
    isReady: async () => {
      const urls = [`${options.ingestOperationsUrl}/readyz`, `${agentUrl}/readyz`];
      const answers = await Promise.allSettled(urls.map((url) => getJson(url)));
      return answers.every(({ status }) => status === "fulfilled");
    },
    releases: async () => {
      const { channels } = (await getJson(`${agentUrl}/v1/status`)) as Status;
      const mine = channels.find((one) => one.app === options.app && one.channel === options.channel);
      return mine?.releases ?? [];
    },
    decisions: async () =>
      ((await getJson(`${agentUrl}/v1/decisions`)) as { decisions: Decision[] }).decisions,
    waitingEntries: async () =>
      ((await getJson(`${agentUrl}/v1/lag`)) as { waiting_entries: number }).waiting_entries,
  };
}

export function createOtaServerClient(options: {
  url: string;
  app: string;
  channel: string;
}): OtaServerClient {
  const channelUrl = `${options.url}/apps/${options.app}/channels/${options.channel}`;
  return {
    channelVersion: async () => ((await getJson(channelUrl)) as { version: string }).version,
    publish: async (version) => {
      await callJson(`${channelUrl}/publish`, { method: "POST", body: JSON.stringify({ version }) });
    },
    rollbacks: async () => {
      const { calls } = (await getJson(`${options.url}/calls`)) as {
        calls: (RollbackCall & { call: string })[];
      };
      return calls.filter(({ call }) => call === "rollback");
    },
  };
}

function getJson(url: string): Promise<unknown> {
  return callJson(url, {});
}

async function callJson(url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, {
    ...init,
    headers: { "content-type": "application/json" },
    signal: AbortSignal.timeout(CALL_MS_MAX),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}
