// How the fleet's reports reach ingest: batches, repeats, answers that were lost.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { createGateway } from "../../simulation/gateway.ts";
import type { Gateway } from "../../simulation/gateway.ts";
import { createRandom } from "../../simulation/random.ts";
import type { WireReport } from "../../simulation/wire-report.ts";

type Handler = (reports: WireReport[], response: ServerResponse, request: IncomingMessage) => void;

let close = (): Promise<void> => Promise.resolve();
afterEach(() => close());

async function startReceiver(handler: Handler, port = 0): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => handler(readReports(request, Buffer.concat(chunks)), response, request));
  });
  await new Promise<void>((resolve) => void server.listen(port, "127.0.0.1", resolve));
  close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function readReports(request: IncomingMessage, body: Buffer): WireReport[] {
  const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString();
  if (request.headers["content-type"] === "application/x-ndjson")
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as WireReport);
  const parsed = JSON.parse(text) as WireReport | WireReport[];
  return Array.isArray(parsed) ? parsed : [parsed];
}

function accept(reports: readonly WireReport[], response: ServerResponse): void {
  response.writeHead(202).end(JSON.stringify({ accepted: reports.length, rejected: [] }));
}

function reportsOf(count: number): WireReport[] {
  return Array.from({ length: count }, (_, index) => ({
    app: "com.acme.till",
    channel: "production",
    device: `d${index}`,
    version: "1.5.0",
    event: "active" as const,
    platform: "linux",
    model: "NUC12",
    os_version: "6.6",
    native_version: "4.0.0",
  }));
}

function gatewayTo(url: string, accepted: WireReport[], requestMsMax = 2_000): Gateway {
  const random = createRandom("gateway");
  const onAccepted = (report: WireReport): void => void accepted.push(report);
  return createGateway({ url, key: "a-test-key", random, requestMsMax, onAccepted });
}

const devices = (reports: readonly WireReport[]): string[] => reports.map(({ device }) => device).toSorted();

describe("the fleet's gateway", () => {
  it("sends single reports, arrays and NDJSON, some gzipped, with the key, each report once", async () => {
    const received: WireReport[] = [];
    const seen = new Set<string>();
    const keys = new Set<string | undefined>();
    const url = await startReceiver((reports, response, request) => {
      received.push(...reports);
      keys.add(request.headers.authorization);
      const shape =
        request.headers["content-type"] === "application/x-ndjson"
          ? "ndjson"
          : reports.length > 1
            ? "array"
            : "single";
      seen.add(`${shape}${request.headers["content-encoding"] === "gzip" ? " gzip" : ""}`);
      accept(reports, response);
    });
    const accepted: WireReport[] = [];
    const gateway = gatewayTo(url, accepted);
    for (const report of chunksOf(reportsOf(15_000), 400)) gateway.submit(report);
    await gateway.drained();
    expect(seen).toEqual(new Set(["single", "array", "array gzip", "ndjson", "ndjson gzip"]));
    expect(keys).toEqual(new Set(["Bearer a-test-key"]));
    expect(devices(received)).toEqual(devices(reportsOf(15_000)));
    expect(devices(accepted)).toEqual(devices(received));
  });

  it("sends again on 503, on a cut connection and when no answer comes, until every report is acknowledged", async () => {
    let requests = 0;
    const url = await startReceiver((reports, response, request) => {
      requests += 1;
      if (requests % 4 === 1) response.writeHead(503, { "retry-after": "0" }).end("{}");
      else if (requests % 4 === 2) request.socket.destroy();
      else if (requests % 4 === 3 && requests < 12) return;
      else accept(reports, response);
    });
    const accepted: WireReport[] = [];
    const gateway = gatewayTo(url, accepted, 300);
    gateway.submit(reportsOf(2_000));
    await gateway.drained();
    expect(devices(accepted)).toEqual(devices(reportsOf(2_000)));
    expect(gateway.counts().retries).toBeGreaterThan(0);
    expect(gateway.counts()).toMatchObject({ accepted: 2_000, waiting: 0, refused: 0 });
  });

  it("waits for a receiver that is not there yet", async () => {
    const url = await startReceiver(accept);
    await close();
    const accepted: WireReport[] = [];
    const gateway = gatewayTo(url, accepted);
    gateway.submit(reportsOf(10));
    while (gateway.counts().retries === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(gateway.counts().waiting).toBe(10);
    await startReceiver(accept, Number(new URL(url).port));
    await gateway.drained();
    expect(accepted).toHaveLength(10);
  });

  it("does not count what was rejected or refused, and says why", async () => {
    const url = await startReceiver((reports, response) => {
      const rejected = [{ index: 0, code: "invalid_report", detail: "no such channel" }];
      response.writeHead(202).end(JSON.stringify({ accepted: reports.length - 1, rejected }));
    });
    const accepted: WireReport[] = [];
    const gateway = gatewayTo(url, accepted);
    gateway.submit(reportsOf(1));
    await gateway.drained();
    expect(accepted).toEqual([]);
    expect(gateway.counts()).toMatchObject({ refused: 1, lastRefusal: "invalid_report: no such channel" });
    await close();
    const refusing = await startReceiver((_, response) => void response.writeHead(401).end("who are you"));
    const refused = gatewayTo(refusing, accepted);
    refused.submit(reportsOf(1));
    await refused.drained();
    expect(refused.counts()).toMatchObject({ accepted: 0, refused: 1, lastRefusal: "401 who are you" });
  });
});

function chunksOf<T>(list: readonly T[], size: number): T[][] {
  const count = Math.ceil(list.length / size);
  return Array.from({ length: count }, (_, index) => list.slice(index * size, (index + 1) * size));
}
