// Passes update checks on to the CodePush server behind this ingest, because clients know one URL for everything. Enters:
// a request and the server's address. Leaves: its answer with status, headers and bytes as they came (never decoded), or
// 502, 503 or 504 as text: a client that gets those runs on, and asks again at its next start.
import * as http from "node:http";
import * as https from "node:https";
import type { Request, Response } from "express";
import type { Logger } from "../../../runtime/logger.ts";
import { answerText } from "./answer-text.ts";
import { endToEndHeaders, onwardHeaders } from "../../forwarding/relayed-headers.ts";

/** From the check to the end of the server's answer, in milliseconds. */
export const UPSTREAM_MS_MAX = 10_000;
/** Of an answer, which is some 500 bytes: it is held in memory, so that a broken one is told as such. */
export const UPSTREAM_BYTES_MAX = 1024 ** 2;
/** Checks that wait for the server at the same moment; beyond that it is away, or as good as. */
export const CHECKS_AT_ONCE_MAX = 1_000;

export interface UpdateCheckProxy {
  /** Answers; `path` is that of the server, with its query. */
  pass(check: { request: Request; response: Response; server: string; path: string }): Promise<void>;
  close(): void;
}

interface Upstream {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly bytes: Buffer;
}

type Asked =
  | { readonly kind: "answered"; readonly upstream: Upstream }
  | { readonly kind: "too_late" }
  | { readonly kind: "failed"; readonly reason: string };

export interface UpdateCheckProxyOptions {
  readonly logger: Logger;
  readonly timeoutMs?: number;
  readonly atOnceMax?: number;
}

export function createUpdateCheckProxy({
  logger,
  timeoutMs = UPSTREAM_MS_MAX,
  atOnceMax = CHECKS_AT_ONCE_MAX,
}: UpdateCheckProxyOptions): UpdateCheckProxy {
  const agents = {
    "http:": new http.Agent({ keepAlive: true }),
    "https:": new https.Agent({ keepAlive: true }),
  };
  const outage = createOutageLog(logger);
  let waiting = 0;
  return {
    async pass({ request, response, server, path }) {
      if (waiting >= atOnceMax) {
        answerText(response, { status: 503, text: "Too many update checks wait for the CodePush server." });
        return;
      }
      waiting += 1;
      const gone = new AbortController();
      response.once("close", () => gone.abort());
      const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(timeoutMs)]);
      const url = new URL(server + path);
      const options = {
        agent: agents[url.protocol as keyof typeof agents],
        method: request.method,
        // A check has no body; whatever came with it is not passed on.
        headers: onwardHeaders(request.rawHeaders, request.socket.remoteAddress, [
          "content-length",
          "expect",
        ]),
        signal,
      };
      const asked = await ask(url, options).finally(() => (waiting -= 1));
      if (gone.signal.aborted) return;
      outage.note(server, asked);
      passOn(response, asked);
    },
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

type AskOptions = http.RequestOptions & { readonly signal: AbortSignal };

/** A connection that was kept may be closed by the server just as it is used again: then once more, on a new one. */
async function ask(url: URL, options: AskOptions): Promise<Asked> {
  const first = await askOnce(url, options);
  const isStale = first.kind === "failed" && first.isReused && !options.signal.aborted;
  return isStale ? await askOnce(url, { ...options, agent: false }) : first;
}

type AskedOnce =
  | Exclude<Asked, { kind: "failed" }>
  | (Extract<Asked, { kind: "failed" }> & { isReused: boolean });

function askOnce(url: URL, options: AskOptions): Promise<AskedOnce> {
  const { request } = url.protocol === "https:" ? https : http;
  return new Promise((resolve) => {
    const outgoing = request(url, options);
    const fail = (error: NodeJS.ErrnoException): void => {
      if (options.signal.aborted) resolve({ kind: "too_late" });
      else resolve({ kind: "failed", reason: error.code ?? error.message, isReused: outgoing.reusedSocket });
    };
    outgoing.on("error", fail);
    outgoing.once("response", (incoming) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes <= UPSTREAM_BYTES_MAX) return;
        resolve({
          kind: "failed",
          reason: `an answer of more than ${UPSTREAM_BYTES_MAX} bytes`,
          isReused: false,
        });
        outgoing.destroy();
      });
      incoming.on("error", fail);
      incoming.once("end", () => {
        const { statusCode: status = 502, rawHeaders } = incoming;
        resolve({ kind: "answered", upstream: { status, rawHeaders, bytes: Buffer.concat(chunks, bytes) } });
      });
    });
    outgoing.end();
  });
}

function passOn(response: Response, asked: Asked): void {
  switch (asked.kind) {
    case "too_late":
      answerText(response, { status: 504, text: "The CodePush server did not answer in time." });
      return;
    case "failed":
      answerText(response, { status: 502, text: "The CodePush server cannot be reached." });
      return;
    case "answered": {
      const { status, rawHeaders, bytes } = asked.upstream;
      // What this ingest says of its own answers is not the server's word.
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      for (const [name, value] of endToEndHeaders(rawHeaders)) response.appendHeader(name, value);
      response.statusCode = status;
      response.end(bytes);
    }
  }
}

/** One line when a server goes, one when it is back: never one per check. */
function createOutageLog(logger: Logger): { note(server: string, asked: Asked): void } {
  const away = new Set<string>();
  return {
    note(server, asked) {
      if (asked.kind === "answered") {
        if (away.delete(server)) logger.info({ server }, "the CodePush server answers update checks again");
        return;
      }
      if (away.has(server)) return;
      away.add(server);
      const reason = asked.kind === "too_late" ? "no answer in time" : asked.reason;
      logger.warn(
        { server, reason },
        "update checks are not answered: look whether the CodePush server (sources.codepush.server) can be reached",
      );
    },
  };
}
