// A server that takes JSON and keeps it, for what Lastgood sends to others (a webhook receiver, Grafana, a chat).
// Enters: requests. Leaves: what was sent; it answers 200 `{}` unless told otherwise.
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface JsonRequestSeen {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly authorization: string | undefined;
  /** Undefined where there was none. */
  readonly body: unknown;
}

export interface JsonReply {
  readonly status?: number;
  readonly body?: unknown;
}

/** `silence`: it takes the request and never answers. */
export type JsonAnswerer = (request: JsonRequestSeen) => JsonReply | "silence";

export interface JsonDouble {
  readonly url: string;
  /** All that came, in order. */
  readonly requests: readonly JsonRequestSeen[];
  /** From now on. */
  answer(answerer: JsonAnswerer): void;
  close(): Promise<void>;
}

export async function startJsonDouble({ port = 0 }: { port?: number } = {}): Promise<JsonDouble> {
  const requests: JsonRequestSeen[] = [];
  let answerer: JsonAnswerer = () => ({});
  const server = createServer((request, response) => {
    void readBody(request).then((text) => {
      const seen: JsonRequestSeen = {
        method: request.method ?? "",
        path: request.url ?? "",
        authorization: request.headers.authorization,
        body: text === "" ? undefined : JSON.parse(text),
      };
      requests.push(seen);
      const reply = answerer(seen);
      if (reply === "silence") return;
      response.writeHead(reply.status ?? 200, { "Content-Type": "application/json" });
      response.end(JSON.stringify(reply.body ?? {}));
    });
  });
  await new Promise<void>((resolve) => void server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (next) => void (answerer = next),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
