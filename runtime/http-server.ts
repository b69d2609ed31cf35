// Starts an Express app on an address and stops it in the right order; and the three operations routes
// that every process has: /healthz (the process lives), /readyz (it can do its work), /metrics.
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import type { Router } from "express";
import { createListener } from "./listener.ts";
import type { ListenerGuards } from "./listener.ts";
import { metricsHandler } from "./metrics.ts";
import type { MetricsSource } from "./metrics.ts";
import { BAD_REQUEST, HEADERS_TOO_LARGE, REQUEST_TIMEOUT } from "./problem.ts";
import type { ProblemKind } from "./problem.ts";
import { hostAndPort } from "./units.ts";
import type { ListenAddress } from "./units.ts";

export interface RunningServer {
  /** Base URL with the port that was really taken, no slash at the end. */
  readonly url: string;
  /** Stops accepting, lets requests in flight finish, cuts what is left after `deadlineMs`. */
  stop(deadlineMs: number): Promise<void>;
}

/** Without guards (a double of a test, say) there is neither TLS nor a bound on connections. */
export async function startHttpServer(
  app: RequestListener,
  listen: ListenAddress,
  guards?: ListenerGuards,
): Promise<RunningServer> {
  const { server, scheme, close, cutAll } = createListener(app, guards);
  server.on("clientError", answerClientError);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => reject(explainListenError(error, listen)));
      server.listen(listen.port, listen.host, resolve);
    });
  } catch (error) {
    close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://${hostAndPort({ host: listen.host, port })}`,
    stop: (deadlineMs) => {
      close();
      return stopServer(server, { deadlineMs, cutAll });
    },
  };
}

function explainListenError(error: NodeJS.ErrnoException, { host, port }: ListenAddress): Error {
  const what = `cannot listen on ${host}:${port}`;
  if (error.code === "EADDRINUSE")
    return new Error(
      `${what}: another program has that port; stop it or change the address in the configuration`,
    );
  if (error.code === "EACCES") return new Error(`${what}: this user may not; take a port above 1023`);
  return new Error(`${what}: ${error.message}`);
}

/** How often a stopping server closes connections whose last request has been answered, in milliseconds. */
const CLOSE_IDLE_MS = 50;

async function stopServer(
  server: Server,
  { deadlineMs, cutAll }: { readonly deadlineMs: number; readonly cutAll: () => void },
): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  server.closeIdleConnections();
  // A keep-alive connection that was busy just now becomes idle after its answer, and would stay open.
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_MS);
  const timer = setTimeout(cutAll, deadlineMs);
  await closed.finally(() => {
    clearInterval(idle);
    clearTimeout(timer);
  });
}

/** Undefined when fine, else what is wrong in a few words; `note`: something to know, with which the work goes on. */
export type Readiness = string | { readonly note: string } | undefined;
/** The checks of /readyz by name. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<Readiness> | Readiness>>;

export function operationsRouter({
  registry,
  checks,
}: {
  registry: MetricsSource;
  checks: ReadinessChecks;
}): Router {
  const router = express.Router();
  router.get("/healthz", (_request, response) => void response.json({ status: "ok", pid: process.pid }));
  router.get("/readyz", async (_request, response) => {
    const entries = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, (await check()) ?? "ok"] as const),
    );
    const isReady = entries.every(([, state]) => state === "ok" || typeof state === "object");
    const told = entries.map(([name, state]) => [name, typeof state === "object" ? state.note : state]);
    response
      .status(isReady ? 200 : 503)
      .json({ status: isReady ? "ready" : "not_ready", checks: Object.fromEntries(told) });
  });
  router.get("/metrics", metricsHandler(registry));
  return router;
}

/** By Node's code for what went wrong; anything else is BAD_REQUEST. */
const CLIENT_ERRORS: Readonly<Record<string, ProblemKind>> = {
  HPE_HEADER_OVERFLOW: HEADERS_TOO_LARGE,
  ERR_HTTP_REQUEST_TIMEOUT: REQUEST_TIMEOUT,
};

/** What is no HTTP, or comes too slowly, never reaches Express; it gets its problem+json here. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const { code, status, title } = CLIENT_ERRORS[error.code ?? ""] ?? BAD_REQUEST;
  const detail = "Nothing of it was read; check the client, or what stands between.";
  const body = JSON.stringify({ type: `urn:lastgood:problem:${code}`, code, title, status, detail });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n` +
      `Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
