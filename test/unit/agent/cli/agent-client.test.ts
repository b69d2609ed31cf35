// Where commands look for the agent, and what they say when TLS does not agree with it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askAgent } from "../../../../agent/cli/agent-client.ts";
import type { CliContext } from "../../../../agent/cli/cli-context.ts";
import { exampleConfigFile } from "../../../../agent/config/load.ts";
import { makeCertificate } from "../../../support/certificate.ts";

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), "lg-client-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const context: CliContext = {
  env: {},
  workingDir: "/",
  out: () => {},
  err: () => {},
  setExitCode: () => {},
};

/** What a command says when nobody answers at the address of a file with this `agent` section. */
async function saidOf(agent: string): Promise<string> {
  const config = path.join(folder, "lastgood.yaml");
  const text = readFileSync(exampleConfigFile(), "utf8").replace(/^agent:\n {2}listen: .*\n/m, agent);
  writeFileSync(config, text);
  const answer = await askAgent("/v1/status", { config }, context);
  return answer.kind === "failed" ? answer.message : "answered";
}

describe("the address of the configuration", () => {
  test("is plain HTTP without tls, and https with it; the key need not be readable", async () => {
    expect(await saidOf('agent:\n  listen: "127.0.0.1:1"\n')).toContain("http://127.0.0.1:1 does not answer");
    const tls = "tls: { cert_file: nowhere.crt, key_file: nowhere.key }";
    expect(await saidOf(`agent:\n  listen: "127.0.0.1:1"\n  ${tls}\n`)).toContain("https://127.0.0.1:1 does");
  });

  test("of IPv6 stands in brackets", async () => {
    expect(await saidOf('agent:\n  listen: "[::1]:1"\n')).toContain("http://[::1]:1 does not answer");
  });
});

test("an authority that is not known: the remedy is named, and it is not asked whether the agent runs", async () => {
  const server = createServer(makeCertificate("stranger"), (_request, response) => void response.end());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const agent = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer = await askAgent("/v1/status", { agent }, context);
  server.close();
  expect(answer).toMatchObject({ kind: "failed", message: expect.stringMatching(/NODE_EXTRA_CA_CERTS/) });
  expect(answer).toMatchObject({ message: expect.not.stringMatching(/is it running/) });
});
