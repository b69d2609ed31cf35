// Errors that leave over HTTP: RFC 9457 `application/problem+json` with a stable `code`. A Problem is
// thrown where a request fails and written by one error handler, so that no stack trace or HTML page
// reaches a client. Each room lists its codes in a catalogue of its own: code -> status and title.
import type { ServerResponse } from "node:http";
import type { ErrorRequestHandler } from "express";
import type { Logger } from "./logger.ts";

export interface ProblemKind {
  readonly code: string;
  readonly status: number;
  readonly title: string;
}

export interface ProblemDetails {
  readonly detail: string;
  /** Seconds after which it makes sense to try again: becomes `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** RFC 9457 extension members. */
  readonly members?: Readonly<Record<string, unknown>>;
}

export class Problem extends Error {
  readonly kind: ProblemKind;
  readonly details: ProblemDetails;

  constructor(kind: ProblemKind, details: ProblemDetails) {
    super(`${kind.code}: ${details.detail}`);
    this.name = "Problem";
    this.kind = kind;
    this.details = details;
  }
}

export const INTERNAL_ERROR: ProblemKind = {
  code: "internal_error",
  status: 500,
  title: "Something failed on our side",
};
export const BAD_REQUEST: ProblemKind = {
  code: "bad_request",
  status: 400,
  title: "The request is not HTTP as it has to be",
};
export const HEADERS_TOO_LARGE: ProblemKind = {
  code: "headers_too_large",
  status: 431,
  title: "The headers are too large",
};
export const REQUEST_TIMEOUT: ProblemKind = {
  code: "request_timeout",
  status: 408,
  title: "The request took too long",
};
export const NOT_FOUND: ProblemKind = { code: "not_found", status: 404, title: "There is nothing here" };
export const METHOD_NOT_ALLOWED: ProblemKind = {
  code: "method_not_allowed",
  status: 405,
  title: "This method is not allowed here",
};

/** Of Node's own kind of answer, so that it serves requests that never see Express as well. */
export function sendProblem(response: ServerResponse, { kind, details }: Problem): void {
  if (details.retryAfterSeconds !== undefined)
    response.setHeader("Retry-After", String(details.retryAfterSeconds));
  response.statusCode = kind.status;
  response.setHeader("Content-Type", "application/problem+json; charset=utf-8");
  response.end(
    JSON.stringify({
      type: `urn:lastgood:problem:${kind.code}`,
      code: kind.code,
      title: kind.title,
      status: kind.status,
      detail: details.detail,
      ...details.members,
    }),
  );
}

export interface ProblemAnswerOptions {
  readonly logger: Logger;
  /** Turns errors of libraries (the body parser's, say) into Problems; undefined = not one of mine. */
  readonly translate?: (error: unknown) => Problem | undefined;
}

/** Writes a Problem as it is, and anything else as `internal_error` with a log line. No header may have been sent. */
export function createProblemAnswer({
  logger,
  translate,
}: ProblemAnswerOptions): (error: unknown, response: ServerResponse) => void {
  return (error, response) => {
    const problem = error instanceof Problem ? error : translate?.(error);
    if (problem === undefined) logger.error({ err: error }, "a request failed in a way nobody foresaw");
    sendProblem(
      response,
      problem ??
        new Problem(INTERNAL_ERROR, { detail: "The request could not be handled; the log has the cause." }),
    );
  };
}

/** The last middleware: {@link createProblemAnswer}, unless an answer has begun. */
export function problemHandler(options: ProblemAnswerOptions): ErrorRequestHandler {
  const answerWith = createProblemAnswer(options);
  return (error, _request, response, next) => {
    if (response.headersSent) next(error);
    else answerWith(error, response);
  };
}
