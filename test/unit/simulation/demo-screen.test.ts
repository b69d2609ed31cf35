// What the demo draws while it runs, on a terminal and into a pipe.
import { describe, expect, it, vi } from "vitest";
import {
  bar,
  createPalette,
  createScreen,
  formatEvidence,
  renderBlock,
  renderLine,
} from "../../simulation/demo-screen.ts";
import type { World } from "../../simulation/demo-story.ts";

const world: World = {
  phase: "waiting for the fleet to take up 1.6.0, or a rollback",
  fleet: {
    kind: "progress",
    at: 0,
    offered: "1.6.0",
    fleet: {
      running: { "1.4.0": 180, "1.10.0": 5_000, "1.5.0": 14_820 },
      everRan: {},
      updating: 0,
      silent: 0,
      gaveUp: 0,
      isSettled: false,
      pending: 12,
    },
    reports: {
      accepted: 48_210,
      waiting: 312,
      requests: 500,
      retries: 3,
      refused: 0,
      lastRefusal: undefined,
    },
    books: {},
  },
  releases: [
    {
      version: "1.6.0",
      devices: {},
      verdict: {
        kind: "inconclusive",
        reason: "not_enough_evidence",
        sentence: "",
        signals: [
          {
            signal: "update_failure",
            failures: 301,
            trials: 4_102,
            limit: 0.05,
            evidence_log10: 1.62,
            threshold_log10: 2,
          },
        ],
      },
      condemned: false,
      decision_id: null,
    },
  ],
  decisions: [],
  rollbacks: [],
  channelVersion: "1.6.0",
};
const plain = createPalette(false);

describe("the block on a terminal", () => {
  const lines = renderBlock({ world, devices: 20_000, palette: plain });

  it("fits into 80 columns and has no escape codes without colour", () => {
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.join("")).not.toContain("\u001B");
  });

  it("shows versions in release order, failures, evidence and reports", () => {
    const text = lines.join("\n");
    expect(text.indexOf("1.5.0 ")).toBeLessThan(text.indexOf("1.10.0"));
    expect(text).toContain("failed 301 of 4,102 attempts of 1.6.0: 7.3 %");
    expect(text).toMatch(/evidence █+.*42 of 100/);
    expect(text).toContain("48,210 reports acknowledged, 312 under way, 3 requests sent again");
  });

  it("is drawn before anything is known", () => {
    const empty: World = { ...world, fleet: undefined, releases: [], channelVersion: undefined };
    expect(renderBlock({ world: empty, devices: 20_000, palette: plain }).join("\n")).toContain(
      "no reports yet",
    );
  });
});

describe("bar", () => {
  it("is as wide as asked for any ratio", () => {
    for (const ratio of [-1, 0, 0.001, 0.3333, 0.999, 1, 7]) expect(bar(ratio, 20)).toHaveLength(20);
    expect(bar(0, 4)).toBe("····");
    expect(bar(0.5, 4)).toBe("██··");
    expect(bar(1, 4)).toBe("████");
  });
});

describe("formatEvidence", () => {
  it.each([
    [-9, "< 0.01"],
    [-1, "0.10"],
    [0, "1"],
    [2, "100"],
    [5.5, "316,228"],
    [12.34, "10^12.3"],
  ])("writes %d as %s", (log10, text) => expect(formatEvidence(log10)).toBe(text));
});

describe("createScreen", () => {
  const collect = (isTTY: boolean) => {
    const written: string[] = [];
    const stream = { isTTY, write: (text: string) => void written.push(text) };
    return { written, screen: createScreen({ stream, world, devices: 20_000, palette: plain }) };
  };

  it("writes a line every two seconds where there is no terminal, and no escape codes", () => {
    vi.useFakeTimers();
    try {
      const { written, screen } = collect(false);
      vi.advanceTimersByTime(6_000);
      screen.note({ atMs: 1_234, text: "1.6.0 is published" });
      screen.close();
      vi.advanceTimersByTime(6_000);
      expect(written).toEqual([
        ...Array.from({ length: 3 }, () => `${renderLine(world, 20_000)}\n`),
        "   1.2 s  1.6.0 is published\n",
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("redraws in place on a terminal and gives the cursor back", () => {
    vi.useFakeTimers();
    try {
      const { written, screen } = collect(true);
      vi.advanceTimersByTime(400);
      screen.close();
      const height = renderBlock({ world, devices: 20_000, palette: plain }).length;
      expect(written.filter((text) => text === `\u001B[${height}A\u001B[0J`)).toHaveLength(2);
      expect(written.at(-1)).toBe("\u001B[?25h");
    } finally {
      vi.useRealTimers();
    }
  });
});
