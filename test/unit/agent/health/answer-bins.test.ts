// Bins of the time to answer: their bounds are stored, and each is met at its edge.
import { expect, it } from "vitest";
import { ANSWER_BINS, ANSWER_BIN_MINUTES, answerBinOf } from "../../../../agent/health/answer-bins.ts";

it("keeps the stored bins: moving one would misread every count", () => {
  expect(ANSWER_BIN_MINUTES).toEqual([
    0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1_440, 2_880, 4_320, 7_200,
  ]);
  expect(ANSWER_BINS).toBe(24);
});

it.each([...ANSWER_BIN_MINUTES.entries()])("bin %d begins at %d minutes", (bin, minutes) => {
  expect(answerBinOf(minutes)).toBe(bin);
  expect(answerBinOf(minutes - 1)).toBe(Math.max(0, bin - 1));
});

it("an answer before the attempt falls into the first bin, a very late one into the last", () => {
  expect(answerBinOf(-1)).toBe(0);
  expect(answerBinOf(-71_582_788)).toBe(0);
  expect(answerBinOf(71_582_788)).toBe(23);
});
