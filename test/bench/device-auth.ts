// `npm run bench:device-auth`: what it costs ingest to have devices prove who they are. Enters: flags. Starts a
// redis-server of its own and one ingest app for each kind of proof, and sends them requests one after the
// other, all kinds in turns. Leaves: a table of the time from a request's headers to its answer, as ingest
// measures it, beside that of the same request without device_auth. Nothing here passes or fails.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request as httpRequest } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { Command } from "commander";
import type { DeviceAuthSettings, PublicKeyAlgorithm } from "../../ingest/contract/device-auth.ts";
import { deviceKeyOf, signAsDevice } from "../../ingest/contract/device-signature.ts";
import { createLogger } from "../../runtime/logger.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { TOKEN_NOW_MS, createIssuer, keySet, secretToken } from "../support/device-tokens.ts";
import { TILL_KEY, createTestIngest, sampleOf, sampleReport } from "../support/ingest-app.ts";
import { startTestRedis } from "../support/redis.ts";
import { parseWholeNumbers } from "./options.ts";

const SECRET = "a-provisioning-secret-of-32-chars-or-more";
const ALGORITHMS: readonly PublicKeyAlgorithm[] = ["EdDSA", "ES256", "RS256"];
const REPORTS_PER_REQUEST = [1, 100];
const SUM = 'http_server_request_duration_seconds_sum{route="/v1/reports",method="POST",status_class="2xx"}';

interface Contender {
  readonly name: string;
  readonly server: Server;
  readonly registry: Registry;
  readonly headersFor: (body: string) => Readonly<Record<string, string>>;
}

interface Measurement {
  readonly proof: string;
  readonly reports: number;
  /** The mean of the quickest round: the one that was disturbed least by what else the machine does. */
  readonly requestUs: number;
  readonly timesNone: number;
}

interface Flags {
  readonly requests: number;
  readonly rounds: number;
  readonly json?: true;
}

function readFlags(): Flags {
  const whole = (text: string): number => parseWholeNumbers(text)[0]!;
  return new Command("bench:device-auth")
    .usage("[flags]   (npm run bench:device-auth -- [flags])")
    .description("Time of a request to ingest, by how its device proves who it is.")
    .option("--requests <n>", "requests of a round", whole, 50)
    .option("--rounds <n>", "rounds of each kind", whole, 60)
    .option("--json", "print the measurements as JSON")
    .parse()
    .opts<Flags>();
}

async function contender(
  redis: Redis,
  name: string,
  headersFor: Contender["headersFor"],
  deviceAuth?: DeviceAuthSettings,
): Promise<Contender> {
  const settings = deviceAuth === undefined ? {} : { deviceAuth };
  const options = { redis, streamEntriesMax: 10_000_000, clock: () => TOKEN_NOW_MS };
  const { app, registry } = createTestIngest({ ...options, ...settings });
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { name, server, registry, headersFor };
}

async function contenders(redis: Redis, folder: string): Promise<Contender[]> {
  const common = { mode: "enforce", trustedKeys: [] } as const;
  const jwt = {
    ...common,
    type: "jwt",
    issuer: undefined,
    audience: undefined,
    header: "x-device-token",
  } as const;
  const withToken = (token: string) => () => ({ "x-device-token": token });
  const deviceKey = deviceKeyOf({ secret: SECRET, app: "com.acme.till", device: "till-1" });
  const sign = (body: string): Record<string, string> => ({
    "x-device-signature": signAsDevice({ deviceKey, body, atMs: TOKEN_NOW_MS }),
  });
  const keys = { kind: "secret", secret: SECRET, algorithms: ["HS256"] } as const;
  const made = [
    await contender(redis, "none", () => ({})),
    await contender(redis, "hmac", sign, { ...common, type: "hmac", secret: SECRET }),
    await contender(redis, "jwt, HS256", withToken(await secretToken(SECRET)), { ...jwt, keys }),
  ];
  for (const algorithm of ALGORITHMS) {
    const issuer = await createIssuer(algorithm, "one");
    const file = path.join(folder, `${algorithm}.json`);
    writeFileSync(file, keySet(issuer.jwk));
    const keys = { kind: "jwks_file", file, algorithms: [algorithm] } as const;
    made.push(await contender(redis, `jwt, ${algorithm}`, withToken(await issuer.token()), { ...jwt, keys }));
  }
  return made;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

async function post({ server, headersFor }: Contender, body: string): Promise<void> {
  const { port } = server.address() as AddressInfo;
  const headers = {
    authorization: `Bearer ${TILL_KEY}`,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...headersFor(body),
  };
  const sent = httpRequest({ port, host: "127.0.0.1", path: "/v1/reports", method: "POST", agent, headers });
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [NodeJS.ReadableStream & { statusCode: number }];
  answer.resume();
  await once(answer, "end");
  if (answer.statusCode !== 202) throw new Error(`answered ${answer.statusCode}, not 202`);
}

/** Seconds that ingest spent on as many requests. */
async function round(one: Contender, body: string, requests: number): Promise<number> {
  const before = (await sampleOf(one.registry, SUM)) ?? 0;
  for (let index = 0; index < requests; index += 1) await post(one, body);
  return (await sampleOf(one.registry, SUM))! - before;
}

async function measure(redis: Redis, all: readonly Contender[], flags: Flags): Promise<Measurement[]> {
  const measured: Measurement[] = [];
  for (const reports of REPORTS_PER_REQUEST) {
    const body = JSON.stringify(
      Array.from({ length: reports }, (_, index) => sampleReport({ at: TOKEN_NOW_MS - index })),
    );
    const seconds = new Map(all.map((one) => [one.name, [] as number[]]));
    // The first round warms up.
    for (let turn = 0; turn <= flags.rounds; turn += 1)
      for (const one of all) {
        const spent = await round(one, body, flags.requests);
        if (turn > 0) seconds.get(one.name)!.push(spent);
        await redis.flushall();
      }
    const noneUs = (Math.min(...seconds.get("none")!) / flags.requests) * 1e6;
    for (const { name } of all) {
      const requestUs = (Math.min(...seconds.get(name)!) / flags.requests) * 1e6;
      measured.push({ proof: name, reports, requestUs, timesNone: requestUs / noneUs });
    }
  }
  return measured;
}

function render(measured: readonly Measurement[]): string {
  const header = ["proof", "reports a request", "µs a request", "times none"];
  const rows = measured.map(({ proof, reports, requestUs, timesNone }) => [
    proof,
    String(reports),
    requestUs.toFixed(0),
    timesNone.toFixed(2),
  ]);
  return [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

const flags = readFlags();
const folder = mkdtempSync(path.join(tmpdir(), "lg-bench-"));
const server = await startTestRedis();
const redis = createRedis({
  url: server.url,
  role: "request",
  logger: createLogger({ name: "bench", level: "silent" }),
});
await waitUntilReady(redis, 5_000);
const all = await contenders(redis, folder);
const measured = await measure(redis, all, flags);
process.stdout.write(flags.json === true ? `${JSON.stringify(measured, null, 2)}\n` : render(measured));
agent.destroy();
for (const { server } of all) server.close();
await closeRedis(redis);
await server.stop();
rmSync(folder, { recursive: true });
