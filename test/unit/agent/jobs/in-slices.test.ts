// Slices get smaller after each conflict, conflicts in a row are not fought for ever, and stopping stops.
import { expect, it } from "vitest";
import { RevisionMoved } from "../../../../agent/health/revision.ts";
import { inSlices } from "../../../../agent/jobs/in-slices.ts";

type Result = "more" | "done" | "conflict";

/** Leaves: how it ended, and how much each step was to do at once. */
async function run(step: (index: number) => Result, { stopAfter = Infinity } = {}) {
  const sizes: number[] = [];
  const ended = await inSlices({
    atOnceMax: 60,
    step: (atOnce) => {
      sizes.push(atOnce);
      return Promise.resolve(step(sizes.length - 1));
    },
    isStopping: () => sizes.length >= stopAfter,
  });
  return { ended, sizes };
}

it("halves after each conflict, down to one, and stays small", async () => {
  const results: Result[] = [...Array.from({ length: 7 }, (): Result => "conflict"), "more", "more", "done"];
  const { ended, sizes } = await run((index) => results[index]!);
  expect(ended).toBe("done");
  expect(sizes).toEqual([60, 30, 15, 8, 4, 2, 1, 1, 1, 1]);
});

it("gives up after 21 conflicts in a row, and not while anything gets done in between", async () => {
  expect(await run(() => "conflict")).toMatchObject({ ended: "given_up", sizes: { length: 21 } });
  const twentyThenOne = (index: number): Result => (index % 21 < 20 ? "conflict" : "more");
  const long = await run((index) => (index === 100 ? "done" : twentyThenOne(index)));
  expect(long).toMatchObject({ ended: "done", sizes: { length: 101 } });
});

it("takes a revision that has moved for a conflict, and throws what else goes wrong", async () => {
  const moved = await run((index) => {
    if (index === 0) throw new RevisionMoved(3);
    return "done";
  });
  expect(moved).toEqual({ ended: "done", sizes: [60, 30] });
  const broken = run(() => {
    throw new Error("no Redis");
  });
  await expect(broken).rejects.toThrow("no Redis");
});

it("leaves the rest when it is told to stop", async () => {
  expect(await run(() => "more", { stopAfter: 3 })).toMatchObject({
    ended: "given_up",
    sizes: { length: 3 },
  });
});
