// Bodies of other systems as JSON: what is read, and what is refused as what it is.
import { expect, test } from "vitest";
import { jsonOfBody } from "../../../../ingest/sources/json-body.ts";
import { JSON_DEPTH_MAX } from "../../../../runtime/json.ts";

const listsOf = (depth: number): Buffer => Buffer.from(`${"[".repeat(depth)}${"]".repeat(depth)}`);

test("a byte order mark is none of the text, and damaged UTF-8 spoils one text only", () => {
  expect(jsonOfBody(Buffer.from('\uFEFF{"a":1}'))).toEqual({ a: 1 });
  const damaged = Buffer.concat([Buffer.from('["'), Buffer.from([0xff]), Buffer.from('","b"]')]);
  expect(jsonOfBody(damaged)).toEqual(["\uFFFD", "b"]);
});

test.each([
  ["no JSON", Buffer.from("{"), undefined],
  ["nothing", Buffer.alloc(0), undefined],
  ["deeper than any JSON may be", listsOf(JSON_DEPTH_MAX + 1), undefined],
  ["deeper than this system's may be", listsOf(JSON_DEPTH_MAX + 7), JSON_DEPTH_MAX + 6],
])("%s is refused as malformed", (_name, bytes, depthMax) => {
  expect(() => jsonOfBody(bytes, depthMax)).toThrow(
    expect.objectContaining({ kind: expect.objectContaining({ code: "malformed_json" }) }),
  );
});

test("a system's own limit holds in place of the general one", () => {
  expect(jsonOfBody(listsOf(JSON_DEPTH_MAX + 6), JSON_DEPTH_MAX + 6)).toBeInstanceOf(Array);
});
