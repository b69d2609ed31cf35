// Envelopes as SDKs make them, and how a test posts one to a listening ingest. The session starts on the hour, five hours ago:
// ingest takes such times as they are.
export const HOUR_MS = 3_600_000;
export const START_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;
export const at = (timeMs: number): string => new Date(timeMs).toISOString();

export function session(fields: object = {}): object {
  return {
    sid: "1f0c2a9e5b7d4c6f8a1b2c3d4e5f6071",
    init: true,
    started: at(START_MS),
    timestamp: at(START_MS + 60_000),
    status: "ok",
    errors: 0,
    did: "till-1",
    attrs: { release: "com.acme.till@1.4.0", environment: "production" },
    ...fields,
  };
}

export function envelopeOf(header: object, ...items: (readonly [type: string, payload: unknown])[]): string {
  const lines = items.flatMap(([type, payload]) => [JSON.stringify({ type }), JSON.stringify(payload)]);
  return [JSON.stringify(header), ...lines, ""].join("\n");
}

export interface Posted {
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Record<string, string>;
  readonly method?: string;
}

export async function postEnvelope(url: string, body: string | Buffer, posted: Posted = {}) {
  const {
    path = "/api/42/envelope/",
    query = "?sentry_key=pub&sentry_version=7",
    headers = {},
    method = "POST",
  } = posted;
  const response = await fetch(url + path + query, {
    method,
    headers,
    ...(method === "POST" ? { body: new Uint8Array(Buffer.from(body)) } : {}),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}
