// One listening server, guarded: TLS where files are named, slow clients cut, open connections bounded. Enters: what
// answers requests, and the guards. Leaves: a server that does not listen yet, its scheme, and what ends with it.
// Node's own limits that hold as well: 16 KiB of headers (431), no request smuggling (strict parser).
import cluster from "node:cluster";
import { createServer as createHttpServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
import { listenerMetrics } from "./listener-metrics.ts";
import type { Logger } from "./logger.ts";
import type { Registry } from "./metrics.ts";
import { readTlsPair } from "./tls-files.ts";
import type { TlsFiles } from "./tls-files.ts";
import { rotateTls } from "./tls-rotation.ts";

/** From a connection's first byte (or its opening, when none comes) to the end of the headers, in milliseconds. */
export const HEADERS_MS_MAX = 10_000;
/** From the first byte of a request to the end of its body, in milliseconds. */
export const REQUEST_MS_MAX = 30_000;
/** A connection without a request is closed after so long, in milliseconds: longer than load balancers keep theirs. */
export const KEEP_ALIVE_MS = 65_000;
/** Until TLS is agreed upon, in milliseconds. */
export const HANDSHAKE_MS_MAX = 10_000;
/** How often slow clients are looked for, in milliseconds: the limits above are kept this exactly. */
export const SLOW_CHECK_MS = 1_000;
/** Of headers, in bytes. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** Open connections of a listener that no setting speaks of (operations, agent). */
export const CONNECTIONS_MAX = 1_000;

export interface ListenerTimes {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly handshakeMs: number;
  readonly checkMs: number;
}

export const LISTENER_TIMES: ListenerTimes = {
  headersMs: HEADERS_MS_MAX,
  requestMs: REQUEST_MS_MAX,
  handshakeMs: HANDSHAKE_MS_MAX,
  checkMs: SLOW_CHECK_MS,
};

export interface ListenerGuards {
  /** As the configuration and metrics call it. */
  readonly name: "ingest" | "operations" | "agent";
  readonly registry: Registry;
  readonly logger: Logger;
  readonly tls?: TlsFiles | undefined;
  readonly connectionsMax?: number | undefined;
  readonly times?: ListenerTimes;
  /** How often certificate files are looked at, in milliseconds. */
  readonly tlsPollMs?: number;
}

export interface Listener {
  readonly server: Server;
  readonly scheme: "http" | "https";
  /** Ends what goes on beside the server. */
  readonly close: () => void;
  /** Cuts every connection, also those that have not agreed upon TLS: of these the server itself knows nothing. */
  readonly cutAll: () => void;
}

/** Throws where the certificate files are bad: nothing is served without TLS that was asked for. */
export function createListener(app: RequestListener, guards: ListenerGuards | undefined): Listener {
  const times = guards?.times ?? LISTENER_TIMES;
  const options = {
    headersTimeout: times.headersMs,
    requestTimeout: times.requestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: times.checkMs,
    maxHeaderSize: HEADER_BYTES_MAX,
  };
  if (guards?.tls === undefined) {
    const server = createHttpServer(options, app);
    boundConnections(server, guards);
    return { server, scheme: "http", close: () => {}, cutAll: () => server.closeAllConnections() };
  }
  const { name, tls: files, logger, registry, tlsPollMs } = guards;
  const first = readTlsPair(files);
  if (first.kind === "bad") throw new Error(`${name}.tls.${first.setting}: ${first.reason}`);
  const { certificateExpiry, certificateReload } = listenerMetrics(registry);
  const onServed = ({ expiresAtMs }: { readonly expiresAtMs: number }): void =>
    certificateExpiry.set({ listener: name }, expiresAtMs / 1_000);
  const onLook = (result: "served" | "bad"): void =>
    certificateReload.set({ listener: name }, result === "served" ? 1 : 0);
  onServed(first);
  onLook("served");
  if (first.expiresAtMs <= Date.now())
    logger.error(
      `${name}.tls.cert_file: the certificate ended at ${new Date(first.expiresAtMs).toISOString()}`,
    );
  const server = createHttpsServer(
    {
      ...options,
      cert: first.cert,
      key: first.key,
      minVersion: files.minVersion,
      handshakeTimeout: times.handshakeMs,
    },
    app,
  );
  boundConnections(server, guards);
  const cutAll = trackConnections(server);
  const rotation = rotateTls({
    server,
    files,
    first,
    listener: name,
    logger,
    onServed,
    onLook,
    ...(tlsPollMs === undefined ? {} : { pollMs: tlsPollMs }),
  });
  return { server, scheme: "https", close: rotation.stop, cutAll };
}

/** A client that fails to agree upon TLS gets no words: they could not be sent, and waiting to send them holds the connection. */
function trackConnections(server: Server): () => void {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.removeAllListeners("tlsClientError");
  server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
  return () => sockets.forEach((socket) => socket.destroy());
}

/** Said once an hour at most, in milliseconds: the metric has the rest. */
const DROPPED_SAID_MS = 3_600_000;

function boundConnections(server: Server, guards: ListenerGuards | undefined): void {
  if (guards === undefined) return;
  const { name, registry, logger, connectionsMax = CONNECTIONS_MAX } = guards;
  const { connectionsDropped } = listenerMetrics(registry);
  connectionsDropped.inc({ listener: name }, 0);
  let saidAtMs = -Infinity;
  const onDropped = (): void => {
    connectionsDropped.inc({ listener: name });
    if (performance.now() - saidAtMs < DROPPED_SAID_MS) return;
    saidAtMs = performance.now();
    logger.warn(`${name}: ${connectionsMax} connections are open, and a further one was closed at once`);
  };
  if (cluster.isWorker) return dropBeyond(server, connectionsMax, onDropped);
  server.maxConnections = connectionsMax;
  server.on("drop", onDropped);
}

/**
 * What a worker of a cluster refuses because of `maxConnections` its primary hands to the next worker: when all are full it
 * goes round and round, at the cost of a core, and nobody is told (until Node 22.12 brought `dropMaxConnection`).
 */
function dropBeyond(server: Server, connectionsMax: number, onDropped: () => void): void {
  let open = 0;
  server.on("connection", (socket: Socket) => {
    open += 1;
    socket.once("close", () => (open -= 1));
    if (open <= connectionsMax) return;
    socket.destroy();
    onDropped();
  });
}
