// A person at the operator API of a running agent: asks, acts, and waits for what comes of it.
import type { DecisionRecord } from "../../agent/rollback/decision-record.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import type { Freeze } from "../../agent/policy/freeze.ts";
import type { JournalEntry } from "../../agent/journal/journal-entry.ts";
import { waitUntil } from "./wait-until.ts";

export interface Answered<T> {
  readonly status: number;
  readonly body: T;
}

export interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly warnings?: readonly {
    readonly guard: string;
    readonly reason: string;
    readonly sentence: string;
  }[];
}

export interface ReleaseStatus {
  readonly version: string;
  readonly devices: Readonly<Record<string, number>>;
  readonly verdict: { readonly kind: string; readonly reason: string; readonly sentence: string };
  readonly condemned: boolean;
  readonly hold: { readonly reason: string; readonly sentence: string } | null;
}

export interface ChannelStatus {
  readonly app: string;
  readonly current_version: string | null;
  readonly paused: boolean | null;
  readonly freezes: readonly Freeze[];
  readonly releases: readonly ReleaseStatus[];
}

export interface OperatorClient {
  send<T = DecisionRecord>(
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: object,
  ): Promise<Answered<T>>;
  decisions(app: string): Promise<DecisionRecord[]>;
  channel(app: string): Promise<ChannelStatus>;
  release(app: string, version: string): Promise<ReleaseStatus | undefined>;
  journal(): Promise<JournalEntry[]>;
  /** Waits until the newest decision of the app is as wanted. */
  untilDecision(app: string, isWanted: (decision: DecisionRecord) => boolean): Promise<DecisionRecord>;
  /** Waits until the release is held back for the reason; null = not held. */
  untilHeld(app: string, version: string, reason: string | null): Promise<ReleaseStatus | undefined>;
}

export function createOperatorClient(agent: () => RunningAgent, token?: string): OperatorClient {
  const send: OperatorClient["send"] = async (method, path, body) => {
    const response = await fetch(`${agent().url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as never };
  };
  const get = async <T>(path: string): Promise<T> => (await send<T>("GET", path)).body;
  const decisions: OperatorClient["decisions"] = async (app) =>
    (await get<{ decisions: DecisionRecord[] }>("/v1/decisions")).decisions.filter(
      (each) => each.app === app,
    );
  const channel: OperatorClient["channel"] = async (app) =>
    (await get<{ channels: ChannelStatus[] }>("/v1/status")).channels.find((each) => each.app === app)!;
  const release: OperatorClient["release"] = async (app, version) =>
    (await channel(app)).releases.find((each) => each.version === version);
  return {
    send,
    decisions,
    channel,
    release,
    journal: async () => (await get<{ entries: JournalEntry[] }>("/v1/journal?limit=1000")).entries,
    async untilDecision(app, isWanted) {
      const [newest] = await waitUntil(
        () => decisions(app),
        ([first]) => first !== undefined && isWanted(first),
      );
      return newest!;
    },
    untilHeld: (app, version, reason) =>
      waitUntil(
        () => release(app, version),
        (found) => found !== undefined && (found.hold?.reason ?? null) === reason,
      ),
  };
}
