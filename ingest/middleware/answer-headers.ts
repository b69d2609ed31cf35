// Headers of every answer: nothing here is a page, a script or worth caching.
import type { ServerResponse } from "node:http";
import type { RequestHandler } from "express";

export function setAnswerHeaders(response: ServerResponse): void {
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Cache-Control", "no-store");
}

export const answerHeaders: RequestHandler = (_request, response, next) => {
  setAnswerHeaders(response);
  next();
};
