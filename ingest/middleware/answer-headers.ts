// Headers of every answer: nothing here is a page, a script or worth caching.
import type { ServerResponse } from "node:http";
import type { RequestHandler } from "express";

const ANSWER_HEADERS = { "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" } as const;

export function setAnswerHeaders(response: ServerResponse): void {
  for (const [name, value] of Object.entries(ANSWER_HEADERS)) response.setHeader(name, value);
}

/** All headers of an answer in JSON as `writeHead` takes them: set at once they cost half of one after the other. */
export const JSON_ANSWER_HEADERS: string[] = Object.entries({
  ...ANSWER_HEADERS,
  "Content-Type": "application/json; charset=utf-8",
}).flat();

export const answerHeaders: RequestHandler = (_request, response, next) => {
  setAnswerHeaders(response);
  next();
};
