// Clients that hold a connection and send too little, over real sockets: each is cut by the limit that is named for it.
// The limits are made short here; that the real ones are what the documentation says is a test of its own.
import { connect } from "node:net";
import type { Socket } from "node:net";
import express from "express";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startHttpServer } from "../../../runtime/http-server.ts";
import type { RunningServer } from "../../../runtime/http-server.ts";
import { LISTENER_TIMES } from "../../../runtime/listener.ts";
import { createLogger } from "../../../runtime/logger.ts";
import { createRegistry } from "../../../runtime/metrics.ts";
import { waitUntil } from "../../support/wait-until.ts";

const CONNECTIONS_MAX = 5;
const registry = createRegistry({ process: "test", version: "0.0.0" });
let server: RunningServer;
const sockets: Socket[] = [];

beforeAll(async () => {
  const app = express();
  app.use(express.text({ type: () => true }));
  app.post("/", (_request, response) => void response.send("read"));
  server = await startHttpServer(
    app,
    { host: "127.0.0.1", port: 0 },
    {
      name: "ingest",
      registry,
      logger: createLogger({ name: "test", level: "silent" }),
      connectionsMax: CONNECTIONS_MAX,
      times: { headersMs: 300, requestMs: 600, handshakeMs: 300, checkMs: 50 },
    },
  );
});
afterEach(() => sockets.splice(0).forEach((socket) => socket.destroy()));
afterAll(() => server.stop(1_000));

interface Held {
  readonly socket: Socket;
  /** All that the server said, once it has closed the connection. */
  readonly closed: Promise<string>;
}

function hold(): Promise<Held> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    sockets.push(socket);
    const closed = new Promise<string>((done) => void socket.on("close", () => done(heard)));
    socket.on("data", (chunk) => void (heard += chunk.toString())).on("error", () => {});
    socket.on("connect", () => resolve({ socket, closed }));
  });
}

/** A byte now and then, until the connection is gone. */
function drip(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 20);
  socket.on("close", () => clearInterval(timer));
}

const HEAD = "POST / HTTP/1.1\r\nHost: a\r\n";

describe("a slow client is cut, whatever it still sends", () => {
  test("in its headers: 408 with a code of its own", async () => {
    const { socket, closed } = await hold();
    socket.write(HEAD);
    drip(socket, "X-Slow: 1\r\n");
    expect(await closed).toMatch(/^HTTP\/1\.1 408 [^]*"code":"request_timeout"/);
  });

  test("in its body", async () => {
    const { socket, closed } = await hold();
    socket.write(`${HEAD}Content-Length: 100000\r\n\r\n`);
    drip(socket, "x");
    expect(await closed).toMatch(/^HTTP\/1\.1 408 [^]*"code":"request_timeout"/);
  });

  test("in a body of chunks that never ends", async () => {
    const { socket, closed } = await hold();
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    drip(socket, "1\r\nx\r\n");
    expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("that opens a connection and says nothing", async () => {
    const { closed } = await hold();
    expect(await closed).toMatch(/^(HTTP\/1\.1 408 [^]*)?$/);
  });
});

test("a client that is not slow is answered on the same server", async () => {
  expect(await (await fetch(server.url, { method: "POST", body: "hello" })).text()).toBe("read");
});

test(`connection ${CONNECTIONS_MAX + 1} is closed at once and counted; when one ends, the next is served`, async () => {
  const dropped = async (): Promise<string | undefined> =>
    /^ota_connections_dropped_total\{listener="ingest"\} (\d+)$/m.exec(await registry.metrics())?.[1];
  await Promise.all(Array.from({ length: CONNECTIONS_MAX + 1 }, hold));
  await waitUntil(dropped, (count) => Number(count) >= 1);
  sockets.forEach((socket) => socket.destroy());
  const post = () => fetch(server.url, { method: "POST", body: "hello" }).catch(() => undefined);
  const answer = await waitUntil(post, (answered) => answered !== undefined);
  expect(answer?.status).toBe(200);
});

test("the real limits are those of docs/security.md", () => {
  expect(LISTENER_TIMES).toEqual({
    headersMs: 10_000,
    requestMs: 30_000,
    handshakeMs: 10_000,
    checkMs: 1_000,
  });
});
