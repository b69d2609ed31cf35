// Answers a CodePush client as its server does: with plain text, also where something went wrong.
import type { ErrorRequestHandler, Response } from "express";
import { Problem } from "../../../runtime/problem.ts";
import { countRefusedRequest } from "../../metrics.ts";
import type { IngestMetrics } from "../../metrics.ts";
import type { ProblemCode } from "../../problems.ts";

export interface TextAnswer {
  readonly status: number;
  readonly text: string;
}

export function answerText(response: Response, { status, text }: TextAnswer): void {
  response.status(status).type("text/plain").send(text);
}

/** After the routes: their Problems as text, counted like those of other routes. What nobody foresaw goes on. */
export function textProblems(metrics: IngestMetrics): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (!(error instanceof Problem) || response.headersSent) {
      next(error);
      return;
    }
    const { kind, details } = error;
    countRefusedRequest(metrics, kind.code as ProblemCode);
    answerText(response, { status: kind.status, text: `${kind.title}. ${details.detail}` });
  };
}
