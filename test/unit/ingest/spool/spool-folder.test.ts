// Each process has a folder of the spool for itself, and a start takes over what dead processes have left, on a real disk.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { takeSpoolFolder } from "../../../../ingest/spool/spool-folder.ts";

/** Larger than any process id of Linux. */
const DEAD_PID = 2 ** 22 + 1;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "lg-spool-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function leave(folder: string, segment: string, pid: number): void {
  mkdirSync(path.join(dir, folder), { recursive: true });
  writeFileSync(path.join(dir, folder, segment), `${folder}/${segment}`);
  writeFileSync(path.join(dir, folder, "lock"), `${pid}\n`);
}

test("two at the same time get one each, and a third the one that was released", async () => {
  const [one, other] = [await takeSpoolFolder(dir), await takeSpoolFolder(dir)];
  expect([one.folder, other.folder]).toEqual([path.join(dir, "0"), path.join(dir, "1")]);
  one.release();
  const third = await takeSpoolFolder(dir);
  expect(third.folder).toBe(one.folder);
  for (const folder of [other, third]) folder.release();
  expect(existsSync(path.join(dir, "0", "lock"))).toBe(false);
});

test("segments of dead processes are moved behind its own; those of a living one stay, and so does what was put aside", async () => {
  leave("0", "000000000007.spool", DEAD_PID);
  leave("2", "000000000001.spool", DEAD_PID);
  leave("2", "000000000002.spool.aside", DEAD_PID);
  const living = await takeSpoolFolder(path.join(dir));
  expect(readdirSync(living.folder).toSorted()).toEqual(["000000000007.spool", "000000000008.spool", "lock"]);
  expect(readFileSync(path.join(living.folder, "000000000008.spool"), "utf8")).toBe("2/000000000001.spool");
  expect(readdirSync(path.join(dir, "2"))).toEqual(["000000000002.spool.aside"]);
  const second = await takeSpoolFolder(dir);
  expect(readdirSync(second.folder)).toEqual(["lock"]);
  expect(readdirSync(living.folder)).toHaveLength(3);
  living.release();
  second.release();
});

test("a folder that can't be made rejects with the system's word", async () => {
  writeFileSync(path.join(dir, "file"), "");
  await expect(takeSpoolFolder(path.join(dir, "file"))).rejects.toThrow("ENOTDIR");
});
