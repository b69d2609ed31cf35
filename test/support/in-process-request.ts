// A request to ingest (or an Express app) without a socket: thousands a second, through every middleware that a real one passes.
// Enters: method, path, headers, body. Leaves: the answer, or that it failed to end.
import { IncomingMessage, ServerResponse } from "node:http";
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";

export interface InProcessRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface InProcessAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export function answerOf(app: RequestListener, sent: InProcessRequest): Promise<InProcessAnswer> {
  const socket = Object.assign(new PassThrough(), { remoteAddress: "127.0.0.1" }) as unknown as Socket;
  const request = new IncomingMessage(socket);
  request.method = sent.method;
  request.url = sent.path;
  request.headers = { "content-length": String(sent.body.length), ...sent.headers };
  request.rawHeaders = Object.entries(request.headers).flatMap(([name, value]) => [name, String(value)]);
  request.push(sent.body);
  request.push(null);
  const response = new ServerResponse(request);
  const written: Buffer[] = [];
  const sink = new PassThrough();
  sink.on("data", (chunk: Buffer) => void written.push(chunk));
  response.assignSocket(sink as unknown as Socket);
  return new Promise((resolve) => {
    response.on("finish", () => {
      // The server of a real one says so; what measures requests waits for it.
      response.emit("close");
      // What was written last is read in the next turn.
      setImmediate(() => {
        const whole = Buffer.concat(written).toString("utf8");
        const text = whole.slice(whole.indexOf("\r\n\r\n") + 4);
        resolve({ status: response.statusCode, headers: response.getHeaders(), text });
      });
    });
    app(request, response);
  });
}
