// A listener with TLS by files, over real sockets of 127.0.0.1: what it serves, what it refuses to start with, and a new
// certificate while connections are open.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectPlainly } from "node:net";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import express from "express";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startHttpServer } from "../../../runtime/http-server.ts";
import type { RunningServer } from "../../../runtime/http-server.ts";
import { LISTENER_TIMES } from "../../../runtime/listener.ts";
import { createLogger } from "../../../runtime/logger.ts";
import { createRegistry } from "../../../runtime/metrics.ts";
import type { Registry } from "../../../runtime/metrics.ts";
import { readTlsPair } from "../../../runtime/tls-files.ts";
import { rotateTls } from "../../../runtime/tls-rotation.ts";
import { makeCertificate } from "../../support/certificate.ts";
import type { TestCertificate } from "../../support/certificate.ts";
import { waitUntil } from "../../support/wait-until.ts";

const logger = createLogger({ name: "test", level: "silent" });
let folder: string;
let registry: Registry;
const running: RunningServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-tls-"));
  registry = createRegistry({ process: "test", version: "0.0.0" });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop(1_000)));
  rmSync(folder, { recursive: true });
});

const filesOf = (minVersion: "TLSv1.2" | "TLSv1.3" = "TLSv1.2") => ({
  certFile: join(folder, "tls.crt"),
  keyFile: join(folder, "tls.key"),
  minVersion,
});

function write({ cert, key }: TestCertificate): void {
  writeFileSync(join(folder, "tls.crt"), cert);
  writeFileSync(join(folder, "tls.key"), key);
}

async function serve(minVersion?: "TLSv1.2" | "TLSv1.3", times = LISTENER_TIMES): Promise<RunningServer> {
  const app = express();
  app.get("/", (request, response) => void response.json({ secure: request.secure }));
  const listen = { host: "127.0.0.1", port: 0 };
  const tls = filesOf(minVersion);
  const server = await startHttpServer(app, listen, {
    name: "ingest",
    registry,
    logger,
    tls,
    times,
    tlsPollMs: 20,
  });
  running.push(server);
  return server;
}

interface Got {
  readonly text: string;
  readonly commonName: string;
}

function fetchFrom(url: string, ca: string, agent = new Agent()): Promise<Got> {
  return new Promise((resolve, reject) => {
    get(url, { ca, agent }, (response) => {
      let text = "";
      const { subject } = (response.socket as TLSSocket).getPeerCertificate();
      response.on("data", (chunk: Buffer) => void (text += chunk.toString()));
      response.on("end", () => resolve({ text, commonName: String(subject.CN) }));
    }).on("error", reject);
  });
}

async function sample(name: string): Promise<number> {
  const line = (await registry.metrics()).split("\n").find((each) => each.startsWith(`${name}{`));
  return Number(line?.split(" ").at(-1));
}

describe("what is served", () => {
  test("HTTPS, and the URL says so; plain HTTP on the same port gets nothing", async () => {
    const first = makeCertificate("first");
    write(first);
    const { url } = await serve();
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await fetchFrom(url, first.cert)).toEqual({ text: '{"secure":true}', commonName: "first" });
    await expect(fetchFrom(url, makeCertificate("other").cert)).rejects.toThrow(/self-signed|certificate/);
    await expect(fetch(url.replace("https", "http"))).rejects.toThrow(/fetch failed/);
  });

  test.each([
    ["TLSv1.2", "TLSv1.2", "agreed"],
    ["TLSv1.3", "TLSv1.2", "refused"],
    ["TLSv1.3", "TLSv1.3", "agreed"],
  ] as const)("with min_version %s a client of %s is %s", async (minVersion, clientMax, outcome) => {
    const { cert, key } = makeCertificate("first");
    write({ cert, key });
    const port = Number(new URL((await serve(minVersion)).url).port);
    const met = await new Promise<string>((resolve) => {
      const socket = connect({ port, host: "127.0.0.1", ca: cert, maxVersion: clientMax }, () => {
        resolve("agreed");
        socket.destroy();
      });
      socket.on("error", () => resolve("refused"));
    });
    expect(met).toBe(outcome);
  });
});

test("who connects and never agrees upon TLS is cut", async () => {
  write(makeCertificate("first"));
  const { url } = await serve("TLSv1.2", { ...LISTENER_TIMES, handshakeMs: 200 });
  const heard = await new Promise<string>((resolve) => {
    let said = "";
    const socket = connectPlainly(Number(new URL(url).port), "127.0.0.1");
    socket.on("data", (chunk) => void (said += chunk.toString())).on("error", () => {});
    socket.on("close", () => resolve(said));
  });
  expect(heard).toBe("");
});

test("nor does such a connection keep the server from stopping", async () => {
  write(makeCertificate("first"));
  const server = await serve();
  const socket = connectPlainly(Number(new URL(server.url).port), "127.0.0.1");
  const closed = new Promise<string>((resolve) => void socket.on("close", () => resolve("closed")));
  socket.on("error", () => {});
  await new Promise<void>((resolve) => void socket.on("connect", resolve));
  await server.stop(100);
  expect(await closed).toBe("closed");
});

describe("a new certificate", () => {
  test("is served to new connections; one that is open goes on with its own", async () => {
    const [first, second] = [makeCertificate("first"), makeCertificate("second")];
    write(first);
    const { url } = await serve();
    const keepAlive = new Agent({ keepAlive: true, maxSockets: 1 });
    await fetchFrom(url, first.cert, keepAlive);
    const expiryOfFirst = await sample("ota_tls_certificate_expiry_timestamp_seconds");
    expect(expiryOfFirst).toBeGreaterThan(Date.now() / 1_000);
    write(second);
    const both = first.cert + second.cert;
    await waitUntil(
      () => fetchFrom(url, both),
      ({ commonName }) => commonName === "second",
    );
    expect(await fetchFrom(url, first.cert, keepAlive)).toMatchObject({ commonName: "first" });
    keepAlive.destroy();
  });

  test("that is bad is not: the one before it goes on, and a gauge says so until it is mended", async () => {
    const first = makeCertificate("first");
    write(first);
    const { url } = await serve();
    expect(await sample("ota_tls_reload_success")).toBe(1);
    writeFileSync(join(folder, "tls.key"), makeCertificate("other").key);
    await waitUntil(
      () => sample("ota_tls_reload_success"),
      (value) => value === 0,
    );
    expect(await fetchFrom(url, first.cert)).toMatchObject({ commonName: "first" });
    write(makeCertificate("third"));
    await waitUntil(
      () => sample("ota_tls_reload_success"),
      (value) => value === 1,
    );
    await expect(fetchFrom(url, first.cert)).rejects.toThrow(/self-signed|certificate/);
  });

  test("is said in the log once: bad at the second look, an expired one too, and nothing of a key", () => {
    const said: string[] = [];
    const note = (details: object, text: string) => void said.push(`${text} ${JSON.stringify(details)}`);
    const pair = readTlsPair((write(makeCertificate("first")), filesOf()));
    if (pair.kind === "bad") throw new Error(pair.reason);
    const rotation = rotateTls({
      server: { setSecureContext: () => void said.push("set") },
      files: filesOf(),
      first: pair,
      listener: "agent",
      logger: { error: note, info: note } as unknown as typeof logger,
      onServed: () => {},
      onLook: () => {},
      pollMs: 1_000_000,
    });
    const looks = (count: number): string[] => {
      for (let look = 0; look < count; look += 1) rotation.lookNow();
      return said.splice(0);
    };
    expect(looks(3)).toEqual([]);
    write({ ...makeCertificate("late"), ...makeCertificate("late", { endsAtMs: Date.now() - 1_000 }) });
    expect(looks(1)).toEqual([]);
    expect(looks(3)).toEqual([
      expect.stringMatching(/^agent\.tls\.cert_file: the new certificate has expired/),
    ]);
    writeFileSync(
      join(folder, "tls.key"),
      "-----BEGIN PRIVATE KEY-----\nMARKER\n-----END PRIVATE KEY-----\n",
    );
    const [line, ...rest] = looks(4);
    expect(rest).toEqual([]);
    expect(line).toMatch(
      /^agent\.tls\.key_file: .* holds no private key in PEM form; the certificate before/,
    );
    expect(line).not.toContain("MARKER");
    write(makeCertificate("second"));
    expect(looks(3)).toEqual(["set", expect.stringMatching(/^agent\.tls: a new certificate is served/)]);
    rotation.stop();
  });
});

describe("what it does not start with", () => {
  test.each([
    [
      "no certificate",
      () => writeFileSync(join(folder, "tls.key"), "x"),
      /cert_file: .*there is no such file/,
    ],
    ["no key", () => writeFileSync(join(folder, "tls.crt"), "x"), /key_file: .*there is no such file/],
    ["no PEM", () => write({ cert: "hello", key: "hello" }), /cert_file: .*holds no certificate in PEM form/],
    [
      "a key of another certificate",
      () => write({ cert: makeCertificate("a").cert, key: makeCertificate("b").key }),
      /key_file: .* is not the key of the certificate/,
    ],
  ])("%s: says which setting, and what is wrong", async (_name, prepare, message) => {
    prepare();
    await expect(serve()).rejects.toThrow(message);
    await expect(serve()).rejects.toThrow(/^ingest\.tls\./);
  });
});
