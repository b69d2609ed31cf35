// A log file is turned over at its size, at the edge, and once only.
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { openLogFile } from "../../../runtime/log-file.ts";

function newFile(): string {
  return path.join(mkdtempSync(path.join(tmpdir(), "lg-log-")), "log", "a.log");
}

test("lines go to the file until it has its size, then to a new one; the old one is kept once", () => {
  const file = newFile();
  const log = openLogFile(file, 10);
  log.writeLine("12345678"); // 9 bytes with the line break: still below
  log.writeLine("b"); // 11 bytes: above from here on
  expect([readFileSync(file, "utf8"), existsSync(`${file}.1`)]).toEqual(["12345678\nb\n", false]);
  log.writeLine("cccccccccc");
  log.writeLine("d");
  log.close();
  expect(readFileSync(`${file}.1`, "utf8")).toBe("cccccccccc\n");
  expect(readFileSync(file, "utf8")).toBe("d\n");
});

test("a file of an earlier run goes on, or is turned over when it is full already", () => {
  const file = newFile();
  openLogFile(file, 5).close();
  writeFileSync(file, "1234");
  openLogFile(file, 5).close();
  expect(existsSync(`${file}.1`)).toBe(false);
  writeFileSync(file, "12345");
  openLogFile(file, 5).close();
  expect([readFileSync(`${file}.1`, "utf8"), readFileSync(file, "utf8")]).toEqual(["12345", ""]);
});
