// The simulated OTA server as a process, on loopback unless it is told otherwise. Enters: flags. Leaves: one JSON line with its
// URL on stdout when it listens. It stops on SIGTERM or SIGINT, and when whoever started it goes away: its
// IPC channel closes, or its stdin where that is a pipe (`/dev/null` and terminals are not watched).
import { fstatSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { z } from "zod";
import { appIdSchema, channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { startHttpServer } from "../../runtime/http-server.ts";
import { runProcess } from "../../runtime/lifecycle.ts";
import type { Running } from "../../runtime/lifecycle.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createSimulatedOtaServer } from "./ota-server.ts";
import type { SimulatedOtaServer } from "./ota-server.ts";

const USAGE =
  "usage: ota-server-main --app ID --channel NAME --versions OLDEST,…,CURRENT --secret TEXT|--secret-file FILE [--host 127.0.0.1] [--port 0] [--signed-reads]";
const DAY_MS = 86_400_000;

const flagsSchema = z.object({
  host: z.string().min(1),
  port: z.coerce.number().int().min(0).max(65_535),
  app: appIdSchema,
  channel: channelSchema,
  versions: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(versionSchema)),
  secret: z.string().min(8),
  "signed-reads": z.boolean(),
});
type Flags = z.infer<typeof flagsSchema>;

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "0" },
      app: { type: "string" },
      channel: { type: "string" },
      versions: { type: "string" },
      secret: { type: "string" },
      "secret-file": { type: "string" },
      "signed-reads": { type: "boolean", default: false },
    },
  });
  const file = values["secret-file"];
  const secret = file === undefined ? values.secret : readFileSync(file, "utf8").trim();
  const parsed = flagsSchema.safeParse({ ...values, secret });
  if (!parsed.success) throw new Error(`${z.prettifyError(parsed.error)}\n${USAGE}`);
  return parsed.data;
}

/** The versions come out a day apart, the current one now: as a channel with a past looks. */
function seed(server: SimulatedOtaServer, { app, channel, versions }: Flags): void {
  const nowMs = systemClock();
  versions.forEach((version, index) => {
    server.publish({ app, channel, version, releasedAtMs: nowMs - (versions.length - 1 - index) * DAY_MS });
  });
}

async function start(): Promise<Running> {
  const flags = readFlags();
  const server = createSimulatedOtaServer({
    secret: flags.secret,
    clock: systemClock,
    signedReads: flags["signed-reads"],
  });
  seed(server, flags);
  const running = await startHttpServer(server.express, { host: flags.host, port: flags.port });
  stopWithStdin();
  process.stdout.write(`${JSON.stringify({ url: running.url })}\n`);
  return running;
}

function stopWithStdin(): void {
  const stdin = fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.on("close", () => process.kill(process.pid, "SIGTERM")).resume();
}

await runProcess({
  // Stdout belongs to the one line with the URL.
  logger: createLogger({ name: "simulated-ota-server", level: "silent" }),
  start: () =>
    start().catch((error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      throw error;
    }),
});
