// The lines that the fleet's process writes for the demo, cut in any place on the way.
import { expect, it } from "vitest";
import { createLineReader } from "../../simulation/fleet-messages.ts";

it("reads messages however the stream cuts them, and passes other lines on", () => {
  const messages: unknown[] = [];
  const others: string[] = [];
  const read = createLineReader({
    onMessage: (one) => messages.push(one),
    onOther: (one) => others.push(one),
  });
  for (const chunk of ['{"a"', ':1}\n{"a":2}\n\nnot ', "json\n", '{"a":3']) read(chunk);
  expect(messages).toEqual([{ a: 1 }, { a: 2 }]);
  expect(others).toEqual(["not json"]);
  read("}\n");
  expect(messages).toHaveLength(3);
});
