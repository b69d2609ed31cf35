// Units that people write: what is taken, what it becomes, what is refused, at the edges.
import { describe, expect, test } from "vitest";
import {
  byteSize,
  duration,
  formatDuration,
  isLoopback,
  listenAddress,
  ratio,
} from "../../../runtime/units.ts";

describe("duration", () => {
  test.each([
    ["0s", 0],
    ["250ms", 250],
    ["1.5s", 1_500],
    ["10m", 600_000],
    ["6h", 21_600_000],
    ["7d", 604_800_000],
    [" 90s ", 90_000],
  ])("%s is %d ms", (text, ms) => {
    expect(duration.parse(text)).toBe(ms);
  });

  test.each(["", "90", "-1s", "1 s", "1w", "s", "1.s", "1e3s", 90, null])("%o is refused", (value) => {
    expect(duration.safeParse(value).error?.issues[0]?.message).toMatch(
      /^not a duration: write a number and/,
    );
  });
});

describe("ratio", () => {
  test.each([
    ["0%", 0],
    ["5%", 0.05],
    ["0.1 %", 0.001],
    ["100%", 1],
    [0, 0],
    [0.05, 0.05],
    [1, 1],
  ])("%o is %d", (value, expected) => {
    expect(ratio.parse(value)).toBe(expected);
  });

  test.each(["5", "-1%", "100.1%", "%", -0.01, 1.01, Number.NaN, true])("%o is refused", (value) => {
    expect(ratio.safeParse(value).success).toBe(false);
  });
});

describe("byteSize", () => {
  test.each([
    [0, 0],
    [1_000, 1_000],
    ["1B", 1],
    ["1.5KiB", 1_536],
    ["5MiB", 5_242_880],
    ["2 GiB", 2_147_483_648],
  ])("%o is %d bytes", (value, expected) => {
    expect(byteSize.parse(value)).toBe(expected);
  });

  test.each([-1, 1.5, "5MB", "5", "MiB", "-1B"])("%o is refused", (value) => {
    expect(byteSize.safeParse(value).success).toBe(false);
  });
});

describe("listenAddress", () => {
  test.each([
    ["127.0.0.1:8080", { host: "127.0.0.1", port: 8080 }],
    ["localhost:0", { host: "localhost", port: 0 }],
    ["[::1]:65535", { host: "::1", port: 65_535 }],
    [":9", { host: "0.0.0.0", port: 9 }],
  ])("%s", (text, expected) => {
    expect(listenAddress.parse(text)).toEqual(expected);
  });

  test.each(["8080", "127.0.0.1", "127.0.0.1:65536", "::1:80", "[::1]", "host:port", 8080])(
    "%o is refused",
    (value) => {
      expect(listenAddress.safeParse(value).error?.issues[0]?.message).toMatch(
        /^not an address: write host:port/,
      );
    },
  );
});

describe("isLoopback", () => {
  test.each(["127.0.0.1", "127.9.9.9", "localhost", "::1"])("%s stays on this machine", (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  test.each(["0.0.0.0", "::", "127.0.0.1.example.com", "127.example.com", "example.com"])(
    "%s does not",
    (host) => {
      expect(isLoopback(host)).toBe(false);
    },
  );
});

describe("formatDuration", () => {
  test.each([
    [0, "0 ms"],
    [999, "999 ms"],
    [1_000, "1.0 s"],
    [59_900, "59.9 s"],
    [60_000, "1 min 0 s"],
    [3_599_000, "59 min 59 s"],
    [3_600_000, "1 h 0 min"],
  ])("%d ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
