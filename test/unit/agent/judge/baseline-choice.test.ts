// Which of two versions came before the other: by number, and where there is none by when it was first seen.
import { expect, it } from "vitest";
import { cameBefore } from "../../../../agent/judge/baseline-choice.ts";
import { version } from "../../../support/verdicts.ts";

it.each([
  ["1.4.0", "1.5.0", true],
  ["1.9.0", "1.10.0", true],
  ["1.5.0", "1.4.0", false],
  ["1.5.0", "1.5.0", false],
  ["v7", "8", true],
  ["1.5.0-rc.1", "1.5.0", true],
  ["2024.9", "2024.10", true],
])("%s before %s: %s, whenever they were seen", (left, right, expected) => {
  const answers = [
    [1, 2],
    [2, 1],
  ].map(([first, second]) =>
    cameBefore({ version: version(left), sinceMs: first! }, { version: version(right), sinceMs: second! }),
  );
  expect(answers).toEqual([expected, expected]);
});

it.each([
  ["9f8d111d8", "0ab3c4d5e"],
  ["blue", "1.0.0"],
  ["stable", "beta"],
])("%s and %s: whichever was seen first", (left, right) => {
  const [first, second] = [version(left), version(right)];
  expect(cameBefore({ version: first, sinceMs: 1 }, { version: second, sinceMs: 2 })).toBe(true);
  expect(cameBefore({ version: first, sinceMs: 2 }, { version: second, sinceMs: 1 })).toBe(false);
});
