// Headers of every answer: nothing here is a page, a script or worth caching.
import type { RequestHandler } from "express";

export const answerHeaders: RequestHandler = (_request, response, next) => {
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Cache-Control", "no-store");
  next();
};
