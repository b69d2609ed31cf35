// Text for a terminal: nothing that devices sent gets through as a command, and lines keep their width.
import { expect, test } from "vitest";
import {
  LINE_CHARS_MAX,
  cut,
  formatShare,
  formatTime,
  plain,
  wrapWords,
} from "../../../../agent/cli/plain-text.ts";

test("control characters, and those that turn text around, are shown as ?", () => {
  expect(plain("a\u001b[31mb\u009bc\u202ed\u2028e\u0000f")).toBe("a?[31mb?c?d?e?f");
  expect(plain("Größe 日本 😀")).toBe("Größe 日本 😀");
});

test("a cut text is as long as it may be, and never cuts a character in two", () => {
  expect(cut("abcd", 4)).toBe("abcd");
  expect(cut("abcde", 4)).toBe("abc…");
  expect(cut("😀😀😀", 2)).toBe("😀…");
});

test("shares: two digits below 1%, none of nothing", () => {
  expect(
    [
      [1, 4],
      [4, 4],
      [1, 150],
      [0, 7],
      [0, 0],
    ].map(([part, whole]) => formatShare(part!, whole!)),
  ).toEqual(["25.0%", "100.0%", "0.67%", "0.0%", "-"]);
});

test("times are cut to the second", () => {
  expect(formatTime("2026-01-31T12:00:01.999Z")).toBe("2026-01-31 12:00:01");
});

test("words are wrapped so that no line is too long, unless one word is", () => {
  const words = Array.from({ length: 30 }, (_, index) => `outcome_${index}`);
  const lines = wrapWords(words, 4);
  expect(lines.join(" ")).toBe(words.join(", "));
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(LINE_CHARS_MAX - 4);
  const exact = "x".repeat(LINE_CHARS_MAX - 4 - 3);
  expect(wrapWords([exact, "y"], 4)).toEqual([`${exact}, y`]);
  expect(wrapWords([`${exact}x`, "y"], 4)).toEqual([`${exact}x,`, "y"]);
  expect(wrapWords([], 4)).toEqual([]);
});
