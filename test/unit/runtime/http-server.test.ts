// What never reaches Express still gets a problem+json: over a raw socket of 127.0.0.1.
import { connect } from "node:net";
import express from "express";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startHttpServer } from "../../../runtime/http-server.ts";
import type { RunningServer } from "../../../runtime/http-server.ts";

let server: RunningServer;
beforeAll(async () => {
  const app = express();
  app.get("/", (_request, response) => void response.send("fine"));
  server = await startHttpServer(app, { host: "127.0.0.1", port: 0 });
});
afterAll(() => server.stop(1_000));

/** Everything that the server says until it closes the connection. */
function say(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => socket.write(text));
    let heard = "";
    socket.on("data", (chunk) => void (heard += chunk.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(heard));
  });
}

describe("a request that is no HTTP as it has to be", () => {
  it.each([
    ["garbage", "hello\r\n\r\n", 400, "bad_request", "Bad Request"],
    [
      "a wrong length",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
      400,
      "bad_request",
      "Bad Request",
    ],
    [
      "headers without end",
      `GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`,
      431,
      "headers_too_large",
      "Request Header Fields Too Large",
    ],
  ])("%s: a problem of its own, and the connection is closed", async (_name, text, status, code, words) => {
    const heard = await say(text);
    const [head, body] = heard.split("\r\n\r\n") as [string, string];
    const [statusLine, ...headers] = head.split("\r\n");
    expect(statusLine).toBe(`HTTP/1.1 ${status} ${words}`);
    expect(headers).toEqual(
      expect.arrayContaining([
        "Content-Type: application/problem+json",
        "Connection: close",
        `Content-Length: ${Buffer.byteLength(body)}`,
      ]),
    );
    expect(JSON.parse(body)).toEqual({
      type: `urn:lastgood:problem:${code}`,
      code,
      status,
      title: expect.stringMatching(/\w/),
      detail: expect.stringMatching(/\w/),
    });
  });

  it("the next connection is served", async () => {
    expect(await say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toContain("200 OK");
  });
});
