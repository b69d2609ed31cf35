// Client of Alertmanager's API v2: pages become alerts. With several servers (a pair that runs for availability) each
// gets everything, as Prometheus does it: they tell each other who was notified, but not which alerts there are.
// Enters: pages. Leaves: what became of them, as a value; it never throws for what a network or a server can do.
import { readFile } from "node:fs/promises";
import type { AlertmanagerSettings } from "../config/outlets.ts";
import type { KeptPage } from "./plan-posts.ts";
import { BELIEVED_MS } from "./plan-posts.ts";
import { callJson, describeAnswer } from "./post-json.ts";

/** Alerts in one request: a proxy may refuse large bodies. */
export const ALERTS_PER_POST_MAX = 100;
/** Longest annotation, in characters: it goes into e-mails and chats. */
export const ANNOTATION_CHARS_MAX = 2_000;

export const POST_RESULTS = ["taken", "refused", "unavailable"] as const;
export type PostResult = (typeof POST_RESULTS)[number];

export interface ServerAnswer {
  readonly url: string;
  readonly result: PostResult;
  /** Empty when it was taken. */
  readonly detail: string;
}

export interface Alertmanager {
  /** One answer per server. It is enough that one took it: the others are sent it again soon. */
  post(pages: readonly KeptPage[], nowMs: number): Promise<readonly ServerAnswer[]>;
}

export interface AlertmanagerOptions {
  readonly settings: AlertmanagerSettings;
  /** Where people reach the agent; undefined = alerts have no link. */
  readonly externalUrl: string | undefined;
}

/** An alert as `POST /api/v2/alerts` takes it. */
export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL?: string;
}

export function createAlertmanager({ settings, externalUrl }: AlertmanagerOptions): Alertmanager {
  const postTo = async (url: string, alerts: readonly PostedAlert[]): Promise<ServerAnswer> => {
    const access = await authorization(settings);
    if (access.kind === "unreadable") return { url, result: "unavailable", detail: access.detail };
    const answer = await callJson({
      method: "POST",
      url: new URL(`${url}/api/v2/alerts`),
      headers: access.headers,
      body: alerts,
      timeoutMs: settings.timeoutMs,
    });
    if (answer.kind === "unavailable") return { url, result: "unavailable", detail: answer.detail };
    if (answer.status >= 200 && answer.status < 300) return { url, result: "taken", detail: "" };
    return {
      url,
      result: answer.status >= 500 || answer.status === 429 ? "unavailable" : "refused",
      detail: describeAnswer(answer),
    };
  };
  return {
    post(pages, nowMs) {
      const alerts = pages.map((page) => toAlert(page, { nowMs, externalUrl, labels: settings.labels }));
      return Promise.all(settings.urls.map((url) => postTo(url, alerts)));
    },
  };
}

export function toAlert(
  { page, endedAtMs }: KeptPage,
  {
    nowMs,
    externalUrl,
    labels,
  }: {
    readonly nowMs: number;
    readonly externalUrl: string | undefined;
    readonly labels: Readonly<Record<string, string>>;
  },
): PostedAlert {
  const { alertname, severity, summary, description, startsAtMs, runbook } = page;
  const endsAtMs = endedAtMs === null ? nowMs + BELIEVED_MS : Math.max(endedAtMs, startsAtMs);
  return {
    labels: { ...labels, service: "lastgood", alertname, severity, ...page.labels },
    annotations: {
      summary: cut(summary),
      description: cut(description),
      runbook: `docs/paging.md#${runbook}`,
    },
    startsAt: new Date(startsAtMs).toISOString(),
    endsAt: new Date(endsAtMs).toISOString(),
    ...(externalUrl === undefined ? {} : { generatorURL: linkTo(externalUrl, page.labels) }),
  };
}

/** The agent's page; the fragment says which channel, for a page that looks at it. */
export function linkTo(externalUrl: string, { app, channel }: { app?: string; channel?: string }): string {
  if (app === undefined || channel === undefined) return `${externalUrl}/`;
  return `${externalUrl}/#/${encodeURIComponent(app)}/${encodeURIComponent(channel)}`;
}

function cut(text: string): string {
  return text.length <= ANNOTATION_CHARS_MAX ? text : `${text.slice(0, ANNOTATION_CHARS_MAX - 1)}…`;
}

type Access =
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "unreadable"; readonly detail: string };

/** The token's file is read each time: whoever renews it does not have to restart anything. */
async function authorization({ basicAuth, bearerTokenFile }: AlertmanagerSettings): Promise<Access> {
  if (basicAuth !== undefined) {
    const pair = Buffer.from(`${basicAuth.username}:${basicAuth.password}`, "utf8").toString("base64");
    return { kind: "headers", headers: { Authorization: `Basic ${pair}` } };
  }
  if (bearerTokenFile === undefined) return { kind: "headers", headers: {} };
  try {
    const token = (await readFile(bearerTokenFile, "utf8")).trim();
    return { kind: "headers", headers: { Authorization: `Bearer ${token}` } };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return {
      kind: "unreadable",
      detail: `alertmanager.bearer_token_file cannot be read (${why}): see that it is there and may be read`,
    };
  }
}
