// Reads the body of a request into memory within a limit, inflates gzip within the same limit, and knows
// which of the accepted media types it is. Other systems' devices name any media type, or none, and more encodings:
// for them there is `readAnyBody`. Enters: a request whose body nobody has read. Leaves: the inflated bytes, those
// that were sent, and their form on `response.locals`, or a Problem.
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestHandler, Response } from "express";
import { PROBLEMS, problem } from "../problems.ts";
import type { Problem } from "../../runtime/problem.ts";

export type BodyForm = "json" | "ndjson";

export interface AnyBody {
  readonly bytes: Buffer;
  /** As they came over the wire, before gzip was undone: what a device signs. */
  readonly sent: Buffer;
}

export interface ReadBody extends AnyBody {
  readonly form: BodyForm;
}

export interface BodyLimits {
  /** Bytes of a body, as sent and again as inflated. */
  readonly bodyBytesMax: number;
}

const FORM_OF_MEDIA_TYPE: Readonly<Record<string, BodyForm>> = {
  "application/json": "json",
  "application/x-ndjson": "ndjson",
};

/** A body of native reports. Rejects with the Problem to answer with. */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { bodyBytesMax }: BodyLimits,
): Promise<ReadBody> {
  const form = formOf(request);
  const inflate = inflaterOf(request, response, GZIP_ONLY);
  const sent = await collect(request, bodyBytesMax);
  const bytes = inflate === undefined ? sent : await inflateWithin(sent, inflate, bodyBytesMax);
  if (bytes.length === 0) throw problem("empty_body", "Send a report, an array of reports, or NDJSON.");
  return { form, bytes, sent };
}

/** Whatever the media type, encoded in any way that this Node can undo; an empty body is a body too. */
export function readAnyBody({ bodyBytesMax }: BodyLimits): RequestHandler {
  return async (request, response, next) => {
    const inflate = inflaterOf(request, response, EVERY_ENCODING);
    const sent = await collect(request, bodyBytesMax);
    const bytes = await inflateWithin(sent, inflate, bodyBytesMax);
    response.locals["body"] = { bytes, sent } satisfies AnyBody;
    next();
  };
}

/** The body that {@link readAnyBody} read; it must stand before whoever calls this. */
export function anyBodyOf(response: Response): AnyBody {
  return response.locals["body"] as AnyBody;
}

function formOf(request: IncomingMessage): BodyForm {
  const header = request.headers["content-type"] ?? "";
  // As nearly everybody writes it; whatever else it may say is taken apart below.
  if (header === "application/json") return "json";
  const [mediaType = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice("charset=".length);
  const form = Object.hasOwn(FORM_OF_MEDIA_TYPE, mediaType) ? FORM_OF_MEDIA_TYPE[mediaType] : undefined;
  if (form === undefined || !["utf-8", "utf8", undefined].includes(charset?.replaceAll('"', "")))
    throw problem(
      "unsupported_media_type",
      "Set Content-Type to application/json for a report or an array, or to application/x-ndjson for one report a line, in UTF-8.",
    );
  return form;
}

type Inflate = (sent: Buffer, limit: { maxOutputLength: number }) => Promise<Buffer>;
type Encodings = ReadonlyMap<string, Inflate>;

const gunzip: Inflate = promisify(zlib.gunzip);
const GZIP_ONLY: Encodings = new Map([
  ["gzip", gunzip],
  ["x-gzip", gunzip],
]);
const EVERY_ENCODING: Encodings = new Map([
  ...GZIP_ONLY,
  ["deflate", promisify(zlib.inflate)],
  ["br", promisify(zlib.brotliDecompress)],
  // Node 22.15 and later.
  ...("zstdDecompress" in zlib
    ? [["zstd", promisify(zlib.zstdDecompress as typeof zlib.gunzip) as Inflate] as const]
    : []),
]);

/** Undefined for a body that is as it is. */
function inflaterOf(
  request: IncomingMessage,
  response: ServerResponse,
  encodings: Encodings,
): Inflate | undefined {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding === "identity" || encoding === "") return undefined;
  const inflate = encodings.get(encoding);
  if (inflate !== undefined) return inflate;
  const names = [...encodings.keys()].filter((name) => name !== "x-gzip");
  response.setHeader("Accept-Encoding", [...names, "identity"].join(", "));
  throw problem(
    "unsupported_encoding",
    `Send the body as it is, or with Content-Encoding: ${names.join(" or ")}.`,
  );
}

function tooLarge(bodyBytesMax: number): Problem {
  return problem(
    "body_too_large",
    `A body may have ${bodyBytesMax} bytes, sent as well as inflated; split the reports over several requests.`,
  );
}

/**
 * The bytes as sent. A body that grows too large is answered at once; what still comes of it is thrown
 * away as it arrives (the server's request timeout ends that), because closing the connection under a
 * client that still sends would often cost it the answer.
 */
async function collect(request: IncomingMessage, bodyBytesMax: number): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax) throw tooLarge(bodyBytesMax);
  const chunks: Buffer[] = [];
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= bodyBytesMax) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      request.off("data", take).resume();
      reject(tooLarge(bodyBytesMax));
    };
    // A request always closes, also after its end: only one that closes early was aborted.
    const abort = (): void => {
      if (!request.readableEnded) reject(problem("request_aborted", PROBLEMS.request_aborted.title));
    };
    request.on("data", take).once("end", resolve).once("error", abort).once("close", abort);
  });
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
}

/** Inflating stops as soon as the output passes the limit, so a bomb costs no more than an honest body. */
async function inflateWithin(
  sent: Buffer,
  inflate: Inflate | undefined,
  bodyBytesMax: number,
): Promise<Buffer> {
  if (inflate === undefined || sent.length === 0) return sent;
  try {
    return await inflate(sent, { maxOutputLength: bodyBytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(bodyBytesMax);
    throw problem("malformed_gzip", `The body could not be inflated: ${(error as Error).message}.`);
  }
}
