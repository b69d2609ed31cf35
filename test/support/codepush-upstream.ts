// A CodePush server as ingest sees it from the front: it notes what reaches it, and answers as a test tells it to. Leaves:
// its address on 127.0.0.1, what it got, and a stop.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface GotRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export interface CodePushUpstream {
  readonly url: string;
  readonly got: GotRequest[];
  /** From now on; the default is 200 `OK`. */
  answerWith(answer: (request: IncomingMessage, response: ServerResponse) => void): void;
  stop(): Promise<void>;
}

export async function startCodePushUpstream(): Promise<CodePushUpstream> {
  const got: GotRequest[] = [];
  let answer = (_request: IncomingMessage, response: ServerResponse): void => void response.end("OK");
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      got.push({ method, url, headers, body: Buffer.concat(chunks) });
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    got,
    answerWith: (next) => void (answer = next),
    stop: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
