// The process of the simulated fleet: asks the update server what the channel offers, lets the devices
// of that moment check in, and sends their reports to ingest until each is acknowledged. Enters: the
// command line and commands on stdin. Leaves: progress and the final books as JSON lines on stdout.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { sleep } from "../../runtime/clock.ts";
import { createBooks } from "./books.ts";
import { HEALTHY_RATES } from "./device.ts";
import type { ReleaseRates } from "./device.ts";
import { createFleet } from "./fleet.ts";
import { createLineReader } from "./fleet-messages.ts";
import type { FleetCommand, FleetMessage } from "./fleet-messages.ts";
import { createGateway } from "./gateway.ts";
import { parseRatio, parseSeconds, parseWholeNumber } from "./options.ts";
import { createRandom } from "./random.ts";

/** Time between two polls of the update server; one poll stands for the devices that check in meanwhile. */
const TICK_MS = 100;
const PROGRESS_MS = 500;
const POLL_MS_MAX = 5_000;

interface FleetArguments {
  readonly seed: number;
  readonly devices: number;
  readonly otaUrl: string;
  readonly ingestUrl: string;
  readonly ingestKey: string;
  readonly app: string;
  readonly channel: string;
  readonly initial: string;
  readonly laggard: string;
  readonly laggards: number;
  readonly rolloutSeconds: number;
  readonly fails: ReadonlyMap<string, number>;
}

function readArguments(): FleetArguments {
  const program = new Command("fleet-main")
    .description("Simulates a fleet of devices that update from an OTA server and report to ingest.")
    .requiredOption("--ota-url <url>", "base URL of the OTA server (the type: http contract)")
    .requiredOption("--ingest-url <url>", "base URL of Lastgood's ingest")
    .option("--ingest-key <key>", "ingest key of the app")
    .option("--ingest-key-file <file>", "file with the ingest key of the app")
    .option("--app <id>", "app", "com.acme.till")
    .option("--channel <name>", "channel", "production")
    .option("--seed <n>", "seed of everything random", parseWholeNumber, 1)
    .option("--devices <n>", "number of devices", parseWholeNumber, 20_000)
    .option("--initial <version>", "what most devices run at the start", "1.4.0")
    .option("--laggard <version>", "what the other devices run at the start", "1.3.0")
    .option("--laggards <share>", "share of the other devices", parseRatio, 0.02)
    .option("--rollout-seconds <s>", "time for the whole fleet to take up a release", parseSeconds, 25)
    .option("--fails <version=share>", "failure rate of a release, repeatable", collectRate, new Map());
  const { ingestKeyFile, ...options } = program.parse().opts<FleetArguments & { ingestKeyFile?: string }>();
  const ingestKey =
    ingestKeyFile === undefined ? options.ingestKey : readFileSync(ingestKeyFile, "utf8").trim();
  if (ingestKey === undefined) program.error("name --ingest-key or --ingest-key-file");
  return { ...options, ingestKey };
}

function collectRate(value: string, rates: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const [version, share] = value.split("=");
  if (version === undefined || share === undefined)
    throw new InvalidArgumentError("write version=share, such as 1.6.0=8%");
  return new Map([...rates, [version, parseRatio(share)]]);
}

async function main(): Promise<void> {
  const options = readArguments();
  const books = createBooks();
  const gateway = createGateway({
    url: options.ingestUrl,
    key: options.ingestKey,
    random: createRandom(options.seed, "gateway"),
    onAccepted: (report) => books.enter(report),
  });
  const fleet = createFleet({
    ...options,
    initialVersion: options.initial,
    laggardVersion: options.laggard,
    laggardRatio: options.laggards,
    rolloutMs: options.rolloutSeconds * 1_000,
    startAtMs: Date.now(),
    ratesOf: (version) => ratesOf(options, version),
  });
  let offered: string | undefined;
  const stopping = new AbortController();
  listenForCommands(() => {
    stopping.abort();
    fleet.stopCheckIns();
  });
  const snapshot = () => ({
    at: Date.now(),
    offered: offered ?? null,
    fleet: fleet.state(),
    reports: gateway.counts(),
    books: books.all(),
  });
  const timer = setInterval(() => void say({ kind: "progress", ...snapshot() }), PROGRESS_MS);
  while (!stopping.signal.aborted || fleet.state().pending > 0) {
    const tick = sleep(TICK_MS);
    offered = await askChannel(options);
    gateway.submit(fleet.advance(Date.now(), offered));
    await tick;
  }
  await gateway.drained();
  clearInterval(timer);
  await say({ kind: "final", ...snapshot() });
  process.exit(0);
}

function ratesOf(options: FleetArguments, version: string): ReleaseRates {
  return { ...HEALTHY_RATES, failureRatio: options.fails.get(version) ?? HEALTHY_RATES.failureRatio };
}

/** What the channel offers, or undefined when the server does not say: then nobody updates this time. */
async function askChannel({ otaUrl, app, channel }: FleetArguments): Promise<string | undefined> {
  try {
    const response = await fetch(`${otaUrl}/apps/${app}/channels/${channel}`, {
      signal: AbortSignal.timeout(POLL_MS_MAX),
    });
    if (!response.ok) return undefined;
    return ((await response.json()) as { version: string }).version;
  } catch {
    return undefined;
  }
}

/** A parent that goes away closes our stdin: then there is nobody left to report to. */
function listenForCommands(stop: () => void): void {
  process.on("SIGTERM", () => process.exit(143));
  const read = createLineReader({
    onMessage: (message) => ((message as FleetCommand).cmd === "stop" ? stop() : undefined),
  });
  process.stdin.setEncoding("utf8").on("data", read);
  process.stdin.on("end", () => process.exit(1));
}

async function say(message: FleetMessage): Promise<void> {
  if (!process.stdout.write(`${JSON.stringify(message)}\n`)) await once(process.stdout, "drain");
}

await main();
