// The middleware of docs/recipes/expo.md, in an Express app as the recipe puts it: what it sends is what ingest reads, and
// whatever becomes of that, the update server's own answer is neither changed nor late.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { afterEach, expect, test } from "vitest";
// @ts-expect-error A recipe in plain JavaScript has no types.
import { lastgoodManifestRequests } from "../../../../docs/recipes/expo-middleware.mjs";
import { readManifestRequest } from "../../../../ingest/sources/expo/manifest-event.ts";
import { appWithSources } from "../../../support/source-app.ts";
import { startJsonDouble } from "../../../support/json-double.ts";
import { waitUntil } from "../../../support/wait-until.ts";

const CURRENT = "0198c5a2-0000-4000-8000-000000000001";
const FAILED = "0198c5a2-0000-4000-8000-000000000002";
const DEVICE = "0a1b2c3d-0000-4000-8000-00000000000d";
const HEADERS = {
  "EAS-Client-ID": DEVICE,
  "Expo-Current-Update-ID": CURRENT,
  "Expo-Recent-Failed-Update-IDs": `"${FAILED}"`,
  "Expo-Platform": "ios",
  "expo-channel-name": "production",
  Cookie: "session=secret",
  Authorization: "Bearer of-the-update-server",
};

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function start(ingestUrl?: string) {
  const ingest = await startJsonDouble();
  const errors: Error[] = [];
  const app = express();
  const forward = lastgoodManifestRequests({
    ingestUrl: ingestUrl ?? `${ingest.url}/`,
    ingestKey: "example-ingest-key",
    timeoutMs: 200,
    onError: (error: Error) => errors.push(error),
  }) as express.RequestHandler;
  app.use("/manifest", forward, (_request, response) => void response.send("the manifest"));
  const server = createServer(app);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    () => ingest.close(),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/manifest`;
  const ask = async (headers: Record<string, string>): Promise<string> =>
    (await fetch(url, { headers })).text();
  return { ingest, errors, ask };
}

test("what a client said is sent, so that ingest knows what failed and what runs", async () => {
  const { ingest, errors, ask } = await start();
  ingest.answer(() => ({ status: 202 }));
  expect(await ask(HEADERS)).toBe("the manifest");
  await waitUntil(
    () => ingest.requests.length,
    (count) => count === 1,
  );
  const [sent] = ingest.requests;
  expect(sent).toMatchObject({
    method: "POST",
    path: "/expo/manifest-requests",
    authorization: "Bearer example-ingest-key",
  });
  expect(JSON.stringify(sent!.body)).not.toMatch(/secret|of-the-update-server/);
  const app = appWithSources({ expo: { channels: {} } }, ["production"]);
  expect(readManifestRequest(sent!.body, app)).toMatchObject({
    kind: "drafts",
    drafts: [
      { device: DEVICE, version: FAILED, event: "reverted", platform: "ios" },
      { device: DEVICE, version: CURRENT, event: "confirmed" },
    ],
  });
  expect(errors).toEqual([]);
});

test("a request that names no device is not sent", async () => {
  const { ingest, ask } = await start();
  expect(await ask({ "Expo-Platform": "ios" })).toBe("the manifest");
  await ask(HEADERS);
  await waitUntil(
    () => ingest.requests.length,
    (count) => count > 0,
  );
  expect(ingest.requests.map(({ body }) => JSON.stringify(body).includes(DEVICE))).toEqual([true]);
});

test.each([
  ["an answer that never comes", () => "silence" as const, undefined, /timeout/i],
  ["a refusal", () => ({ status: 401 }), undefined, /answered 401/],
  ["nobody there", () => ({}), "http://127.0.0.1:1", /fetch failed/],
])("%s is an error to tell, and nothing to the client", async (_what, answer, ingestUrl, words) => {
  const { ingest, errors, ask } = await start(ingestUrl);
  ingest.answer(answer);
  expect(await ask(HEADERS)).toBe("the manifest");
  await waitUntil(
    () => errors.length,
    (count) => count === 1,
  );
  expect(errors[0]!.message).toMatch(words);
});
