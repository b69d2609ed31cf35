// The one request that everything told to others goes through: how much of an answer is read, and what is said of it.
import { afterAll, beforeAll, expect, it } from "vitest";
import { ANSWER_BYTES_MAX, callJson, describeAnswer } from "../../agent/paging/post-json.ts";
import { startJsonDouble } from "../support/json-double.ts";
import type { JsonDouble } from "../support/json-double.ts";
import { freePort } from "../support/redis.ts";

let double: JsonDouble;
beforeAll(async () => void (double = await startJsonDouble()));
afterAll(() => double.close());

const call = (url = double.url, timeoutMs = 5_000) =>
  callJson({ method: "POST", url: new URL(url), body: {}, timeoutMs });

it.each([
  // Two characters are the quotes.
  [ANSWER_BYTES_MAX - 2, ANSWER_BYTES_MAX],
  [ANSWER_BYTES_MAX - 1, ANSWER_BYTES_MAX],
  [50 * ANSWER_BYTES_MAX, ANSWER_BYTES_MAX],
  [0, 2],
])("of an answer of %i characters it reads %i bytes", async (chars, bytes) => {
  double.answer(() => ({ body: "x".repeat(chars) }));
  const answer = await call();
  expect(answer.kind === "answered" && answer.text.length).toBe(bytes);
});

it("follows no redirect, and says so", async () => {
  double.answer(() => ({ status: 308 }));
  const before = double.requests.length;
  const answer = await call();
  expect(answer).toMatchObject({ kind: "answered", status: 308 });
  expect(double.requests.length).toBe(before + 1);
});

it("tells what was surely not sent from what may have been", async () => {
  double.answer(() => "silence");
  expect(await call(double.url, 100)).toMatchObject({ kind: "unavailable", sent: "unknown" });
  const nobody = `http://127.0.0.1:${await freePort()}`;
  expect(await call(nobody)).toMatchObject({ kind: "unavailable", sent: "not_sent" });
  expect(await call("http://nowhere.invalid")).toMatchObject({ kind: "unavailable", sent: "not_sent" });
});

it("quotes an answer on one line, and not for long", () => {
  expect(describeAnswer({ status: 500, text: "" })).toBe("it answered 500");
  expect(describeAnswer({ status: 400, text: "bad\n\u001B[31m  label" })).toBe(
    "it answered 400: bad [31m label",
  );
  expect(describeAnswer({ status: 400, text: "x".repeat(301) })).toBe(`it answered 400: ${"x".repeat(300)}…`);
});
