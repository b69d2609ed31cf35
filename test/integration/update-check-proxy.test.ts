// Passing update checks on, where the server behind is slow: limits of time and number, and a client that goes away.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createUpdateCheckProxy } from "../../ingest/sources/codepush/update-check-proxy.ts";
import type { UpdateCheckProxy } from "../../ingest/sources/codepush/update-check-proxy.ts";
import type { Logger } from "../../runtime/logger.ts";
import { startCodePushUpstream } from "../support/codepush-upstream.ts";
import type { CodePushUpstream } from "../support/codepush-upstream.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 1_000;

let upstream: CodePushUpstream;
let proxy: UpdateCheckProxy;
let front: Server;
let url: string;
let lines: string[];

beforeEach(async () => {
  upstream = await startCodePushUpstream();
  lines = [];
  const note = (_fields: object, message?: string): void => void lines.push(message ?? "");
  const logger = { info: note, warn: note } as unknown as Logger;
  proxy = createUpdateCheckProxy({ logger, timeoutMs: TIMEOUT_MS, atOnceMax: 2 });
  const app = express();
  app.get("/updateCheck", (request, response) =>
    proxy.pass({ request, response, server: upstream.url, path: request.originalUrl }),
  );
  front = createServer(app);
  await new Promise<void>((resolve) => void front.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(front.address() as AddressInfo).port}/updateCheck`;
});

afterEach(async () => {
  proxy.close();
  front.closeAllConnections();
  await new Promise<void>((resolve) => void front.close(() => resolve()));
  await upstream.stop();
});

const check = async (): Promise<[status: number, text: string]> => {
  const response = await fetch(url);
  return [response.status, await response.text()];
};

test("504 when the server does not begin, or does not end, in time; one line when it goes, one when it is back", async () => {
  upstream.answerWith(() => {});
  expect(await check()).toEqual([504, "The CodePush server did not answer in time."]);
  upstream.answerWith((_request, response) => void response.write("x"));
  expect((await check())[0]).toBe(504);
  upstream.answerWith((_request, response) => void response.end("fine"));
  expect(await check()).toEqual([200, "fine"]);
  expect(await check()).toEqual([200, "fine"]);
  expect(lines).toEqual([
    expect.stringContaining("update checks are not answered"),
    "the CodePush server answers update checks again",
  ]);
});

test("503 beyond the checks that may wait at the same moment, and none of them lost for later", async () => {
  upstream.answerWith(() => {});
  const waiting = [check(), check()];
  await waitUntil(
    () => upstream.got.length,
    (got) => got === 2,
  );
  expect((await check())[0]).toBe(503);
  expect((await Promise.all(waiting)).map(([status]) => status)).toEqual([504, 504]);
  upstream.answerWith((_request, response) => void response.end("fine"));
  expect(await check()).toEqual([200, "fine"]);
});

test("a client that goes away takes its check along, and is no fault of the server", async () => {
  let isGone = false;
  upstream.answerWith((request) => void request.socket.once("close", () => (isGone = true)));
  const aborted = new AbortController();
  const asked = fetch(url, { signal: aborted.signal }).catch(() => "aborted");
  await waitUntil(
    () => upstream.got.length,
    (got) => got === 1,
  );
  aborted.abort();
  expect(await asked).toBe("aborted");
  await waitUntil(
    () => isGone,
    (gone) => gone,
    TIMEOUT_MS / 2,
  );
  expect(lines).toEqual([]);
});
