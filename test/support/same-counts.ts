// Compares what Redis holds with what it should hold, count by count. Like `toEqual`, but it says where among a
// million counts the wrong ones are, and how many there were. Enters: two trees. Leaves: differences.
import { expect } from "vitest";

/** What is told of two trees that differ in everything. */
const DIFFERENCES_TOLD_MAX = 20;

export interface Comparison {
  /** Leaves of the trees. */
  readonly compared: number;
  /** In words; empty = the trees are equal. */
  readonly differences: readonly string[];
}

export function compareTrees(stored: unknown, expected: unknown): Comparison {
  const differences: string[] = [];
  let compared = 0;
  const walk = (left: unknown, right: unknown, place: string): void => {
    if (isTree(left) && isTree(right)) {
      for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
        walk(left[key], right[key], place === "" ? key : `${place} / ${key}`);
      return;
    }
    compared += 1;
    if (left === right || differences.length >= DIFFERENCES_TOLD_MAX) return;
    differences.push(`${place}: ${JSON.stringify(left)}, expected ${JSON.stringify(right)}`);
  };
  walk(stored, expected, "");
  return { compared, differences };
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Leaves: how many counts are the same. */
export function expectSame(stored: unknown, expected: unknown, when: string): number {
  const { compared, differences } = compareTrees(stored, expected);
  expect({ when, differences }).toEqual({ when, differences: [] });
  expect(compared).toBeGreaterThan(0);
  return compared;
}
