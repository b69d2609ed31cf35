// Errors over HTTP: a Problem leaves as it is, anything else as internal_error with nothing of its inside.
import express from "express";
import type { Express } from "express";
import { pino } from "pino";
import supertest from "supertest";
import { describe, expect, it } from "vitest";
import { INTERNAL_ERROR, NOT_FOUND, Problem, problemHandler } from "../../../runtime/problem.ts";

const FULL = { code: "backlog_full", status: 503, title: "Too much waits" };

function appThat(fails: () => unknown, translate?: (error: unknown) => Problem | undefined) {
  const logged: { err: { message: string }; level: number }[] = [];
  const logger = pino({ level: "info" }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const app: Express = express();
  app.get("/", (_request, response) => {
    const result = fails();
    if (result === "half sent") {
      response.write("half");
      throw new Error("too late");
    }
    return result;
  });
  app.use(problemHandler({ logger, ...(translate === undefined ? {} : { translate }) }));
  return { app, logged };
}

describe("a Problem", () => {
  it("leaves with its code, title, status, detail and members, and is not logged", async () => {
    const { app, logged } = appThat(() => {
      throw new Problem(FULL, { detail: "Wait.", retryAfterSeconds: 2, members: { shard: 3 } });
    });
    const response = await supertest(app).get("/");
    expect(response.status).toBe(503);
    expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(response.headers["retry-after"]).toBe("2");
    expect(JSON.parse(response.text)).toEqual({
      type: "urn:lastgood:problem:backlog_full",
      code: "backlog_full",
      title: "Too much waits",
      status: 503,
      detail: "Wait.",
      shard: 3,
    });
    expect(logged).toEqual([]);
  });

  it("may come from a promise, and has no Retry-After unless it says so", async () => {
    const { app } = appThat(() => Promise.reject(new Problem(NOT_FOUND, { detail: "No." })));
    const response = await supertest(app).get("/");
    expect(response.status).toBe(404);
    expect(response.headers["retry-after"]).toBeUndefined();
  });

  it("is an Error whose message has code and detail, for logs", () => {
    expect(new Problem(FULL, { detail: "Wait." })).toMatchObject({
      name: "Problem",
      message: "backlog_full: Wait.",
    });
  });
});

describe("anything else", () => {
  it.each([new Error("secret of the inside"), "a string", undefined, { status: 418 }])(
    "%s: internal_error, and its text stays in the log",
    async (thrown) => {
      const { app, logged } = appThat(() => Promise.reject(thrown ?? new Error("secret of the inside")));
      const response = await supertest(app).get("/");
      expect(response.status).toBe(500);
      expect(JSON.parse(response.text)).toMatchObject({ code: INTERNAL_ERROR.code, status: 500 });
      expect(response.text).not.toContain("secret");
      expect(logged.length).toBe(1);
    },
  );

  it("is what `translate` makes of it, or internal_error where it makes nothing", async () => {
    const translate = (error: unknown): Problem | undefined =>
      error instanceof RangeError ? new Problem(NOT_FOUND, { detail: "Out of range." }) : undefined;
    const known = appThat(() => Promise.reject(new RangeError("x")), translate);
    expect((await supertest(known.app).get("/")).status).toBe(404);
    expect(known.logged).toEqual([]);
    const unknown = appThat(() => Promise.reject(new TypeError("x")), translate);
    expect((await supertest(unknown.app).get("/")).status).toBe(500);
  });

  it("after the answer has begun cuts the connection, and does not write a second answer into it", async () => {
    const { app } = appThat(() => "half sent");
    await expect(supertest(app).get("/")).rejects.toThrow(/aborted|hang up|terminated/);
  });
});
