// A faithful double of an OTA server of type `http` (docs/ota-server-http.md), as an Express app: what a
// user's own server has to do, plus a route to publish, a record of calls, and faults on demand. Used by
// the contract suite and, as a process of its own (ota-server-main.ts), by the demo and the e2e tests.
import { setTimeout as sleepMs } from "node:timers/promises";
import express from "express";
import type { Express, Request, RequestHandler, Response } from "express";
import { pino } from "pino";
import { z } from "zod";
import type { ChannelState } from "../../agent/rollback/ota-server.ts";
import { SIGNATURE_HEADER, verifySignature } from "../../agent/rollback/signature.ts";
import type { SignatureCheck } from "../../agent/rollback/signature.ts";
import { appIdSchema, channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import { NOT_FOUND, Problem, problemHandler, sendProblem } from "../../runtime/problem.ts";
import type { ProblemKind } from "../../runtime/problem.ts";
import { createSimulatedChannels } from "./ota-server-channels.ts";
import type { RollbackResult, SimulatedChannels } from "./ota-server-channels.ts";
import { createFaultPlan, faultSchema } from "./ota-server-faults.ts";
import type { Fault, FaultInput, FaultyCall } from "./ota-server-faults.ts";

const BODY_BYTES_MAX = 65_536;
/** The newest calls that are kept; older ones are forgotten. */
const CALLS_MAX = 10_000;

const BAD_REQUEST: ProblemKind = { code: "bad_request", status: 400, title: "The request is not right" };
const BAD_SIGNATURE: ProblemKind = { code: "bad_signature", status: 401, title: "Not signed as it must be" };
const STALE: ProblemKind = { code: "stale", status: 409, title: "The channel has moved" };
const UNKNOWN_CHANNEL: ProblemKind = { code: "unknown_channel", status: 404, title: "No such channel" };
const UNKNOWN_TARGET: ProblemKind = { code: "unknown_target", status: 422, title: "No such release" };
const KEY_REUSED: ProblemKind = { code: "key_reused", status: 422, title: "This key named another request" };

/** One call by Lastgood: every rollback and pause, and the reads that carry a signature. */
export interface RecordedCall {
  readonly call: FaultyCall;
  readonly app: string;
  readonly channel: string;
  /** Epoch milliseconds on the server's clock: when it came, and when it was answered (null: never). */
  readonly receivedAtMs: number;
  answeredAtMs: number | null;
  /** Status of the answer; null while there is none, or when the connection was cut. */
  status: number | null;
  readonly signature: "valid" | (SignatureCheck & { kind: "invalid" })["reason"];
  readonly idempotencyKey: string | null;
  readonly userAgent: string | null;
  /** As parsed from JSON; null for a read and for a body that is not JSON. */
  readonly body: unknown;
  /** True when this very call moved the channel. */
  acted: boolean;
}

export interface SimulatedOtaServerOptions {
  readonly secret: string;
  readonly clock: Clock;
  /** Refuses reads without a signature; devices cannot read then. */
  readonly signedReads?: boolean;
}

export interface SimulatedOtaServer {
  readonly express: Express;
  publish(publication: Parameters<SimulatedChannels["publish"]>[0]): void;
  readChannel(key: ChannelKey): ChannelState | undefined;
  setFaults(faults: readonly FaultInput[]): void;
  /** Oldest first. */
  calls(): readonly RecordedCall[];
  /** Reads without a signature (devices): counted, not recorded. */
  deviceReads(): number;
}

interface Simulation extends SimulatedOtaServerOptions {
  readonly channels: SimulatedChannels;
  readonly faults: ReturnType<typeof createFaultPlan>;
  readonly calls: RecordedCall[];
  deviceReads: number;
}

export function createSimulatedOtaServer(options: SimulatedOtaServerOptions): SimulatedOtaServer {
  const simulation: Simulation = {
    ...options,
    channels: createSimulatedChannels(options),
    faults: createFaultPlan(),
    calls: [],
    deviceReads: 0,
  };
  return {
    express: createApp(simulation),
    publish: (publication) => simulation.channels.publish(publication),
    readChannel: (key) => simulation.channels.read(key),
    setFaults: (faults) => simulation.faults.set(faults),
    calls: () => simulation.calls,
    deviceReads: () => simulation.deviceReads,
  };
}

function createApp(simulation: Simulation): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  const rawBody = express.raw({ type: () => true, limit: BODY_BYTES_MAX });
  app.get("/apps/:app/channels/:channel", handleRead(simulation));
  app.post("/apps/:app/channels/:channel/rollback", rawBody, handleRollback(simulation));
  app.post("/apps/:app/channels/:channel/pause", rawBody, handlePause(simulation));
  app.post("/apps/:app/channels/:channel/publish", rawBody, handlePublish(simulation));
  app.post("/faults", rawBody, handleFaults(simulation));
  app.get("/calls", (_request, response) => {
    response.json({ calls: simulation.calls, device_reads: simulation.deviceReads });
  });
  app.use(() => {
    throw new Problem(NOT_FOUND, { detail: "The simulated OTA server has no such route." });
  });
  app.use(problemHandler({ logger: pino({ level: "silent" }) }));
  return app;
}

// ---- the contract -------------------------------------------------------------------------------------

function handleRead(simulation: Simulation): RequestHandler {
  return async (request, response) => {
    const key = channelOf(request);
    const record = recordRead(simulation, request);
    await answerWithFaults({ simulation, call: "read", record, response }, () => {
      if (record !== undefined || simulation.signedReads === true)
        assertSigned(record?.signature ?? "missing");
      const state = simulation.channels.read(key);
      if (state === undefined) throw unknownChannel(key);
      const releases = state.releases.map(({ version, releasedAt }) => ({
        version,
        released_at: releasedAt,
      }));
      return { version: state.version, releases, paused: state.paused };
    });
  };
}

function handleRollback(simulation: Simulation): RequestHandler {
  return async (request, response) => {
    const key = channelOf(request);
    const record = recordCall(simulation, request, "rollback");
    await answerWithFaults({ simulation, call: "rollback", record, response }, (fault) => {
      assertSigned(record.signature);
      const asked = parseBody(rollbackSchema, request);
      if (record.idempotencyKey !== asked.decision_id)
        throw new Problem(BAD_REQUEST, { detail: "Idempotency-Key must be the decision_id of the body." });
      const { result, acted } = simulation.channels.rollback(
        { ...key, decisionId: asked.decision_id, from: asked.from, to: asked.to, reason: asked.reason },
        fault?.kind === "another_version" ? fault.version : undefined,
      );
      record.acted = acted;
      return answerOf(result, key, asked);
    });
  };
}

function handlePause(simulation: Simulation): RequestHandler {
  return async (request, response) => {
    const key = channelOf(request);
    const record = recordCall(simulation, request, "pause");
    await answerWithFaults({ simulation, call: "pause", record, response }, () => {
      assertSigned(record.signature);
      const asked = parseBody(pauseSchema, request);
      if (record.idempotencyKey !== asked.decision_id)
        throw new Problem(BAD_REQUEST, { detail: "Idempotency-Key must be the decision_id of the body." });
      const { decision_id: decisionId, version } = asked;
      const { result, acted } = simulation.channels.pause({ ...key, decisionId, version });
      record.acted = acted;
      return answerOf(result, key, { from: version, to: version });
    });
  };
}

const pauseSchema = z.strictObject({
  decision_id: z.string().min(1),
  version: versionSchema,
  reason: z.string(),
});
const rollbackSchema = z.strictObject({
  decision_id: z.string().min(1),
  from: versionSchema,
  to: versionSchema,
  reason: z.string(),
});

function answerOf(result: RollbackResult, key: ChannelKey, asked: { from: string; to: string }): unknown {
  switch (result.kind) {
    case "done":
      return { version: result.version };
    case "stale":
      throw new Problem(STALE, {
        detail: `The channel is on ${result.version}, not on ${asked.from}.`,
        members: { version: result.version },
      });
    case "unknown_target":
      throw new Problem(UNKNOWN_TARGET, { detail: `The channel never had ${asked.to}.` });
    case "key_reused":
      throw new Problem(KEY_REUSED, { detail: "This Idempotency-Key came before with another request." });
    case "unknown_channel":
      throw unknownChannel(key);
    default:
      return result satisfies never;
  }
}

function unknownChannel({ app, channel }: ChannelKey): Problem {
  return new Problem(UNKNOWN_CHANNEL, { detail: `There is no channel ${channel} of ${app}.` });
}

function channelOf(request: Request): ChannelKey {
  const app = appIdSchema.safeParse(request.params["app"]);
  const channel = channelSchema.safeParse(request.params["channel"]);
  if (!app.success || !channel.success)
    throw new Problem(UNKNOWN_CHANNEL, { detail: "The path does not name an app and a channel." });
  return { app: app.data, channel: channel.data };
}

function parseBody<S extends z.ZodType>(schema: S, request: Request): z.infer<S> {
  const parsed = schema.safeParse(parseJson(rawBodyOf(request)));
  if (!parsed.success) throw new Problem(BAD_REQUEST, { detail: z.prettifyError(parsed.error) });
  return parsed.data;
}

function rawBodyOf(request: Request): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString("utf8"));
  } catch {
    return null;
  }
}

// ---- who called, and the record of it -------------------------------------------------------------------

function assertSigned(signature: RecordedCall["signature"]): void {
  if (signature !== "valid")
    throw new Problem(BAD_SIGNATURE, {
      detail: `The ${SIGNATURE_HEADER} is ${signature.replace("_", " ")}.`,
    });
}

function recordRead(simulation: Simulation, request: Request): RecordedCall | undefined {
  if (request.get(SIGNATURE_HEADER) !== undefined) return recordCall(simulation, request, "read");
  simulation.deviceReads += 1;
  return undefined;
}

function recordCall({ secret, clock, calls }: Simulation, request: Request, call: FaultyCall): RecordedCall {
  const body = rawBodyOf(request);
  const check = verifySignature({ secret, body, header: request.get(SIGNATURE_HEADER), nowMs: clock() });
  const record: RecordedCall = {
    call,
    ...channelOf(request),
    receivedAtMs: clock(),
    answeredAtMs: null,
    status: null,
    signature: check.kind === "valid" ? "valid" : check.reason,
    idempotencyKey: request.get("Idempotency-Key") ?? null,
    userAgent: request.get("User-Agent") ?? null,
    body: parseJson(body),
    acted: false,
  };
  calls.push(record);
  if (calls.length > CALLS_MAX) calls.shift();
  return record;
}

// ---- faults -----------------------------------------------------------------------------------------------

interface Exchange {
  readonly simulation: Simulation;
  readonly call: FaultyCall;
  readonly record: RecordedCall | undefined;
  readonly response: Response;
}

/** Meets the planned fault before acting or after it; without one, acts and answers. */
async function answerWithFaults(exchange: Exchange, act: (fault?: Fault) => unknown): Promise<void> {
  const { simulation, call, record, response } = exchange;
  response.once("finish", () => {
    if (record === undefined) return;
    record.status = response.statusCode;
    record.answeredAtMs = simulation.clock();
  });
  const fault = simulation.faults.next(call);
  if (fault !== undefined && failBeforeActing(fault, response)) return;
  await answer(
    fault,
    response,
    outcomeOf(() => act(fault)),
  );
}

type ActOutcome = { readonly json: unknown } | { readonly problem: Problem };

function outcomeOf(act: () => unknown): ActOutcome {
  try {
    return { json: act() };
  } catch (error) {
    if (error instanceof Problem) return { problem: error };
    throw error;
  }
}

/** True when the request ends here, with nothing done. */
function failBeforeActing(fault: Fault, response: Response): boolean {
  switch (fault.kind) {
    case "cut":
      response.destroy();
      return true;
    case "error":
      response.status(fault.status).json({ error: "a fault that was asked for" });
      return true;
    case "rate_limited":
      response
        .status(429)
        .set("Retry-After", String(fault.retry_after_s))
        .json({ error: "too many requests" });
      return true;
    case "redirect":
      response.redirect(307, fault.location);
      return true;
    case "late":
    case "lost_answer":
    case "garbage":
    case "answer":
    case "oversize":
    case "another_version":
      return false;
    default:
      return fault satisfies never;
  }
}

async function answer(fault: Fault | undefined, response: Response, outcome: ActOutcome): Promise<void> {
  if (fault?.kind === "late") await sleepMs(fault.ms, undefined, { ref: false });
  else if (fault?.kind === "lost_answer") return void response.destroy();
  else if (fault?.kind === "garbage")
    return void response.type("html").send("<html>a proxy's own words</html>");
  else if (fault?.kind === "answer") return void response.json(fault.json);
  else if (fault?.kind === "oversize") return void response.json({ padding: "x".repeat(fault.bytes) });
  if ("problem" in outcome) sendProblem(response, outcome.problem);
  else response.json(outcome.json);
}

// ---- what only the simulation has -------------------------------------------------------------------------

const publishSchema = z.strictObject({ version: versionSchema });

function handlePublish(simulation: Simulation): RequestHandler {
  return (request, response) => {
    const key = channelOf(request);
    const { version } = parseBody(publishSchema, request);
    simulation.channels.publish({ ...key, version });
    response.json({ version });
  };
}

const faultsSchema = z.strictObject({ faults: z.array(faultSchema).max(100) });

function handleFaults(simulation: Simulation): RequestHandler {
  return (request, response) => {
    const { faults } = parseBody(faultsSchema, request);
    simulation.faults.set(faults);
    response.json({ faults });
  };
}
