// A hot-updater server on a port as people deploy it: with their own authentication in front of it. The handler behind is
// the double's or the real server's; what goes wrong on the way is done here, to both alike. Leaves: its address, the
// calls that came, and faults on demand.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import type { Express, Response as ExpressResponse } from "express";
import { createHotUpdaterOtaServer } from "../../agent/rollback/servers/hot-updater.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import { appIdSchema, channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import type { Channel, ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { HotUpdaterHandler, HotUpdaterRecord } from "../doubles/hot-updater.ts";

export const HOT_UPDATER_BASE_PATH = "/hot-updater";
export const HOT_UPDATER_TOKEN = "Bearer example-token-of-the-deployer";
export const HOT_UPDATER_KEY: ChannelKey = {
  app: appIdSchema.parse("com.acme.till"),
  channel: channelSchema.parse("production-ios"),
};

/** Bundle ids, as versions: one for each hour. */
export function bundleId(hour: number): Version {
  const time = (Date.parse("2026-09-01T00:00:00Z") + hour * 3_600_000).toString(16).padStart(12, "0");
  return versionSchema.parse(
    `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(hour).padStart(12, "0")}`,
  );
}

export function bundleRecord(id: string, fields: Partial<HotUpdaterRecord> = {}): HotUpdaterRecord {
  return {
    id,
    platform: "ios",
    channel: "production",
    enabled: true,
    shouldForceUpdate: false,
    fileHash: `hash-of-${id}`,
    storageUri: `test://bundles/${id}`,
    gitCommitHash: null,
    message: null,
    targetAppVersion: "1.x",
    fingerprintHash: null,
    ...fields,
  };
}

export type HotUpdaterFault =
  | { readonly kind: "error"; readonly status: number; readonly body?: unknown }
  | { readonly kind: "rate_limited"; readonly retryAfterSeconds: number }
  | { readonly kind: "late"; readonly ms: number }
  | { readonly kind: "lost_answer" }
  | { readonly kind: "garbage" }
  | { readonly kind: "oversize"; readonly bytes: number }
  | { readonly kind: "redirect"; readonly location: string }
  /** Somebody does something right after the server did what was asked. */
  | { readonly kind: "meanwhile"; readonly act: () => Promise<void> };

export interface HotUpdaterCall {
  readonly method: string;
  /** Path and query below the base path. */
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  status?: number;
}

export interface HotUpdaterFront {
  /** The base path included. */
  readonly url: string;
  /** Management calls that passed the authentication. */
  readonly calls: HotUpdaterCall[];
  /** The next call of this method meets it; further ones meet those given later. */
  fault(method: "GET" | "PATCH", fault: HotUpdaterFault): void;
  /** Past the authentication: what the server itself answers. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  put(...records: readonly HotUpdaterRecord[]): Promise<void>;
  patch(id: string, fields: Partial<HotUpdaterRecord>): Promise<void>;
  /** What a device is answered: `UPDATE <id>`, `ROLLBACK <id>` or `nothing`. */
  check(device: AskingDevice): Promise<string>;
  readonly stop: () => Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface AskingDevice {
  readonly bundleId: string;
  readonly appVersion?: string;
  readonly fingerprintHash?: string;
  readonly minBundleId?: string;
  readonly cohort?: string;
}

export async function startHotUpdaterFront(handler: HotUpdaterHandler): Promise<HotUpdaterFront> {
  const calls: HotUpdaterCall[] = [];
  const faults: { readonly method: string; readonly fault: HotUpdaterFault }[] = [];
  const app = createFront(handler, { calls, faults });
  const server = createServer(app);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  let stopped: Promise<void> | undefined;
  const ask: HotUpdaterFront["ask"] = async (method, path, body, headers = {}) => {
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await handler(new Request(`http://front.test${HOT_UPDATER_BASE_PATH}${path}`, init));
    return { status: response.status, body: await response.json() };
  };
  const must = async (asked: Promise<Answer>): Promise<void> => {
    const { status, body } = await asked;
    if (status >= 300) throw new Error(`the server answered ${status}: ${JSON.stringify(body)}`);
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${HOT_UPDATER_BASE_PATH}`,
    calls,
    fault: (method, fault) => void faults.push({ method, fault }),
    ask,
    put: (...records) => must(ask("POST", "/api/bundles", records)),
    patch: (id, fields) => must(ask("PATCH", `/api/bundles/${id}`, fields)),
    async check({ bundleId: current, appVersion = "1.4.0", fingerprintHash, minBundleId, cohort }) {
      const way =
        fingerprintHash === undefined
          ? `/app-version/ios/${appVersion}`
          : `/fingerprint/ios/${fingerprintHash}`;
      const tail = [minBundleId ?? bundleId(0), current, ...(cohort === undefined ? [] : [cohort])].join("/");
      const { body } = await ask("GET", `${way}/production/${tail}`, undefined, {
        "Hot-Updater-SDK-Version": "0.36.3",
      });
      const { status, id } = body as { readonly status: string; readonly id?: string };
      return status === "UP_TO_DATE" ? "nothing" : `${status} ${id}`;
    },
    stop: () =>
      (stopped ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      })),
  };
}

interface FrontState {
  readonly calls: HotUpdaterCall[];
  readonly faults: { readonly method: string; readonly fault: HotUpdaterFault }[];
}

function createFront(handler: HotUpdaterHandler, { calls, faults }: FrontState): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(express.text({ type: "*/*" }));
  app.use(async (request, response) => {
    const path = request.originalUrl.slice(HOT_UPDATER_BASE_PATH.length);
    const isManagement = path.startsWith("/api/");
    if (isManagement && request.get("authorization") !== HOT_UPDATER_TOKEN)
      return void response.status(401).json({ error: "Unauthorized" });
    const text = typeof request.body === "string" ? request.body : "";
    const call: HotUpdaterCall = {
      method: request.method,
      path,
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
    if (isManagement) calls.push(call);
    const at = faults.findIndex(({ method }) => method === request.method);
    const fault = at < 0 ? undefined : faults.splice(at, 1)[0]!.fault;
    const act = async (): Promise<{ status: number; text: string }> => {
      const asked = new Request(`http://front.test${request.originalUrl}`, {
        method: request.method,
        headers: { "Hot-Updater-SDK-Version": request.get("hot-updater-sdk-version") ?? "" },
        ...(text === "" ? {} : { body: text }),
      });
      const answer = await handler(asked);
      call.status = answer.status;
      return { status: answer.status, text: await answer.text() };
    };
    await tell(response, fault, act);
  });
  return app;
}

async function tell(
  response: ExpressResponse,
  fault: HotUpdaterFault | undefined,
  act: () => Promise<{ status: number; text: string }>,
): Promise<void> {
  switch (fault?.kind) {
    case "error":
      return void response.status(fault.status).json(fault.body ?? { error: "Internal server error" });
    case "rate_limited":
      return void response
        .status(429)
        .set("Retry-After", String(fault.retryAfterSeconds))
        .json({ error: "Too many requests" });
    case "redirect":
      return response.redirect(307, fault.location);
    case "lost_answer":
      await act();
      return void response.destroy();
    case "garbage":
      return void response
        .status((await act()).status)
        .type("html")
        .send("<html>a proxy's own words</html>");
    case "oversize":
      return void response.status((await act()).status).json({ padding: "x".repeat(fault.bytes) });
    case "late": {
      const told = await act();
      setTimeout(() => void response.status(told.status).type("json").send(told.text), fault.ms).unref();
      return;
    }
    case "meanwhile":
    case undefined: {
      const told = await act();
      if (fault !== undefined) await fault.act();
      return void response.status(told.status).type("json").send(told.text);
    }
  }
}

export interface AdapterOptions {
  readonly authorization?: string;
  readonly timeoutMs?: number;
}

export function hotUpdaterServer(
  url: string,
  { authorization = HOT_UPDATER_TOKEN, timeoutMs = 2_000 }: AdapterOptions = {},
): OtaServer {
  return createHotUpdaterOtaServer({
    url,
    headers: { Authorization: authorization },
    channels: new Map([
      ["production-ios" as Channel, { channel: "production", platform: "ios" } as const],
      ["production-android" as Channel, { channel: "production", platform: "android" } as const],
    ]),
    timeoutMs,
    clock: systemClock,
    productVersion: "0.0.0",
  });
}
