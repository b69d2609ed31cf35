// What the page's router has answered is answered: no other route may come after it, or its 404 ends in the terminal of
// whoever runs Lastgood, with each look at the page.
import express from "express";
import supertest from "supertest";
import { expect, test } from "vitest";
import { pageRoutes } from "../../../../agent/admin/page-routes.ts";
import { sleep } from "../../../../runtime/clock.ts";

function setUp() {
  const passedOn: string[] = [];
  const app = express();
  app.use(pageRoutes());
  app.use((request, response) => {
    passedOn.push(request.path);
    if (!response.headersSent) response.sendStatus(404);
  });
  return { app, passedOn };
}

test.each(["/", "/page/page.js", "/runbooks/OtaAgentDown.md"])("%s is answered once", async (path) => {
  const { app, passedOn } = setUp();
  expect((await supertest(app).get(path)).status).toBe(200);
  // The callback of a file that was sent comes after the answer.
  await sleep(50);
  expect(passedOn).toEqual([]);
});

test("what it does not have is for the next route", async () => {
  const { app, passedOn } = setUp();
  expect((await supertest(app).get("/runbooks/OtaNothing.md")).status).toBe(404);
  expect(passedOn).toEqual(["/runbooks/OtaNothing.md"]);
});
