// The middleware of docs/recipes/expo.md against a local server: what it sends, and that it never holds a request up.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
// @ts-expect-error A recipe in plain JavaScript has no types.
import { lastgoodManifestRequests } from "../../../../docs/recipes/expo-middleware.mjs";

it("forwards the expo and eas headers only, with the key, and goes on at once", async () => {
  let tell: (got: unknown) => void = () => undefined;
  const got = new Promise<unknown>((resolve) => (tell = resolve));
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (part) => (text += String(part)));
    request.on("end", () => {
      tell({ url: request.url, key: request.headers.authorization, headers: JSON.parse(text).headers });
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const forward = lastgoodManifestRequests({ ingestUrl: `http://127.0.0.1:${port}/`, ingestKey: "key" });
  let nexts = 0;
  forward(
    { headers: { "eas-client-id": "d1", "expo-platform": "ios", cookie: "secret" } },
    {},
    () => (nexts += 1),
  );
  expect(nexts).toBe(1);
  expect(await got).toEqual({
    url: "/expo/manifest-requests",
    key: "Bearer key",
    headers: { "eas-client-id": "d1", "expo-platform": "ios" },
  });
  server.close();
});
