// What ingest is compared with, as processes of their own: the least that any server in Node does for a report (bare
// `node:http` that parses the JSON and answers 202), and the same with Express and its JSON parser. Nothing is checked
// and nothing is kept. Enters: `bare` or `express`. Leaves: a server that says over IPC where it listens.
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import express from "express";
import { announceReady } from "../../../runtime/lifecycle.ts";

const ANSWER = JSON.stringify({ accepted: 1, rejected: [] });
/** As ingest takes. */
const BODY_BYTES_MAX = "5mb";

function answer(response: ServerResponse): void {
  response.statusCode = 202;
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.end(ANSWER);
}

function bare(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => void chunks.push(chunk));
  request.on("end", () => {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    response.statusCode = typeof value === "object" ? 202 : 400;
    answer(response);
  });
}

function withExpress(): RequestListener {
  const app = express();
  app.use(express.json({ limit: BODY_BYTES_MAX }));
  app.post("/v1/reports", (_request, response) => answer(response));
  return app;
}

const server = createServer(process.argv[2] === "express" ? withExpress() : bare);
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  announceReady({ http: `http://127.0.0.1:${port}` });
});
const stop = (): void => process.exit(0);
process.once("SIGTERM", stop).once("disconnect", stop);
