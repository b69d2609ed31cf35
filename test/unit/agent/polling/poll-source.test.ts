// One poll of an OTA server: nothing is left out, whatever fails between reading a page and keeping it, and nobody is
// called silent for a time in which the server could not be read.
import { describe, expect, test } from "vitest";
import {
  PAGES_PER_POLL_MAX,
  POLL_GAP_MS_LEAST,
  POLL_LOST_MS,
  POLL_PAUSE_MS_MAX,
  POLL_PAUSE_MS_MIN,
  gapMsOf,
  isDue,
  pollSource,
  polledFromMs,
} from "../../../../agent/polling/poll-source.ts";
import type { PollDeps } from "../../../../agent/polling/poll-source.ts";
import { NEVER_POLLED } from "../../../../agent/polling/poll-store.ts";
import type { PollRecord } from "../../../../agent/polling/poll-store.ts";
import type { StatusPage, StatusPoller } from "../../../../agent/polling/status-poller.ts";
import { deviceReportSchema } from "../../../../ingest/contract/device-report.ts";
import type { DeviceReport } from "../../../../ingest/contract/device-report.ts";
import { appIdSchema } from "../../../../ingest/contract/release-key.ts";

const EVERY_MS = 10_000;

function report(device: string): DeviceReport {
  return deviceReportSchema.parse({
    app: "com.acme.till",
    channel: "production",
    device,
    version: "1.4.0",
    event: "confirmed",
  });
}

type Answer = Awaited<ReturnType<StatusPoller["poll"]>>;

function page(cursor: string, more: boolean, ...devices: string[]): StatusPage {
  return { kind: "page", reports: devices.map(report), cursor, more };
}

/** A server that gives these answers one after the other, and stays with the last one. */
function setUp(answers: readonly Answer[]) {
  const cursors: (string | undefined)[] = [];
  const kept: string[] = [];
  const written: PollRecord[] = [];
  let nowMs = 1_000_000;
  let keepKind = "written";
  const source = {
    app: appIdSchema.parse("com.acme.till"),
    id: "com.acme.till test",
    everyMs: EVERY_MS,
    poller: {
      type: "test",
      poll(cursor: string | undefined): Promise<Answer> {
        cursors.push(cursor);
        return Promise.resolve(answers[Math.min(cursors.length, answers.length) - 1]!);
      },
    },
  };
  const deps: PollDeps = {
    keep(reports) {
      if (keepKind === "written") kept.push(...reports.map(({ device }) => device));
      return Promise.resolve({ kind: keepKind });
    },
    write: (record) => Promise.resolve(void written.push(record)),
    isStopping: () => false,
    clock: () => nowMs,
  };
  return {
    cursors,
    kept,
    written,
    poll: (before: PollRecord = written.at(-1) ?? NEVER_POLLED) => pollSource(source, before, deps),
    pass: (ms: number) => void (nowMs += ms),
    refuseToKeep: (kind: string) => void (keepKind = kind),
    now: () => nowMs,
  };
}

describe("pollSource", () => {
  test("reads page after page, and keeps each before its cursor", async () => {
    const at = setUp([page("a", true, "d1"), page("b", true), page("c", false, "d2", "d3")]);
    expect(await at.poll()).toMatchObject({ result: "complete", kept: 3, invalid: 0 });
    expect(at.cursors).toEqual([undefined, "a", "b"]);
    expect(at.kept).toEqual(["d1", "d2", "d3"]);
    expect(at.written.map(({ cursor }) => cursor)).toEqual(["a", "b", "c"]);
  });

  test("what could not be kept is read again from where it was", async () => {
    const at = setUp([page("a", true, "d1"), page("b", false, "d2")]);
    at.refuseToKeep("redis_unavailable");
    expect(await at.poll()).toMatchObject({ result: "not_kept", kept: 0 });
    expect(at.written).toMatchObject([
      { cursor: null, failures: 1, completeMs: null, failing: { sinceMs: at.now() } },
    ]);
    at.refuseToKeep("written");
    at.pass(POLL_PAUSE_MS_MIN);
    await at.poll();
    expect(at.cursors).toEqual([undefined, undefined]);
    expect(at.written.at(-1)).toMatchObject({ failures: 0, failing: null });
  });

  test("a page that leads to itself is no end and no progress: it is paused after", async () => {
    const at = setUp([page("a", true, "d1"), page("a", true, "d1")]);
    expect(await at.poll()).toMatchObject({ result: "unavailable", kept: 1 });
    expect(at.written.at(-1)).toMatchObject({ cursor: "a", failures: 1 });
  });

  test("a server that fails half-way costs nothing that was read before", async () => {
    const at = setUp([page("a", true, "d1"), { kind: "unavailable", detail: "500" }]);
    expect(await at.poll()).toMatchObject({ result: "unavailable", kept: 1, detail: "500" });
    expect(at.written.at(-1)).toMatchObject({ cursor: "a", failures: 1, completeMs: null });
  });

  test("leaves out names that no device can have, and says how many", async () => {
    const odd = { ...report("d1"), device: "x".repeat(129) };
    const at = setUp([{ kind: "page", reports: [odd, report("d2")], cursor: "a", more: false }]);
    expect(await at.poll()).toMatchObject({ result: "complete", kept: 1, invalid: 1 });
    expect(at.kept).toEqual(["d2"]);
  });

  test(`stops after ${PAGES_PER_POLL_MAX} pages, and says that there is more`, async () => {
    const at = setUp(Array.from({ length: PAGES_PER_POLL_MAX }, (_, index) => page(`p${index}`, true)));
    expect(await at.poll()).toMatchObject({ result: "more" });
    expect(at.cursors).toHaveLength(PAGES_PER_POLL_MAX);
    expect(isDue(at.written.at(-1)!, EVERY_MS, at.now())).toBe(true);
  });
});

describe("when it is asked again", () => {
  test("pauses double from failure to failure, up to the longest", async () => {
    const at = setUp([{ kind: "unavailable", detail: "500" }]);
    const pauses: number[] = [];
    for (let failure = 0; failure < 12; failure += 1) {
      await at.poll();
      pauses.push(at.written.at(-1)!.nextMs - at.now());
      expect(at.written.at(-1)!.failing).toEqual({ sinceMs: 1_000_000, detail: "500" });
      at.pass(1_000);
    }
    expect(pauses.slice(0, 3)).toEqual([POLL_PAUSE_MS_MIN, 2 * POLL_PAUSE_MS_MIN, 4 * POLL_PAUSE_MS_MIN]);
    expect(pauses.at(-1)).toBe(POLL_PAUSE_MS_MAX);
  });

  test.each([
    [30_000, 30_000],
    [3_600_000, POLL_PAUSE_MS_MAX],
    [10, POLL_PAUSE_MS_MIN],
  ])("a server that asks for %i ms is left alone for %i", async (retryAfterMs, pauseMs) => {
    const at = setUp([{ kind: "unavailable", detail: "429", retryAfterMs }]);
    await at.poll();
    const record = at.written.at(-1)!;
    expect(record.nextMs - at.now()).toBe(pauseMs);
    expect([
      isDue(record, EVERY_MS, at.now() + pauseMs - 1),
      isDue(record, EVERY_MS, at.now() + pauseMs),
    ]).toEqual([false, true]);
  });

  test("a clock that was set back holds nothing up", () => {
    const record = { ...NEVER_POLLED, nextMs: 10_000_000 };
    expect(isDue(record, EVERY_MS, 10_000_000 - POLL_PAUSE_MS_MAX - 1)).toBe(true);
    expect(isDue(record, EVERY_MS, 10_000_000 - POLL_PAUSE_MS_MAX)).toBe(false);
  });
});

describe("since when devices could be heard", () => {
  test("goes on through an outage, for what was told meanwhile is read afterwards; nobody is silent until it is", async () => {
    const at = setUp([page("a", false)]);
    const beganMs = at.now();
    await at.poll();
    at.pass(gapMsOf(EVERY_MS));
    expect(polledFromMs(at.written.at(-1)!, EVERY_MS, at.now())).toBe(beganMs);
    at.pass(1);
    expect(polledFromMs(at.written.at(-1)!, EVERY_MS, at.now())).toBe(at.now());
    at.pass(3_600_000);
    await at.poll();
    expect(polledFromMs(at.written.at(-1)!, EVERY_MS, at.now())).toBe(beganMs);
  });

  test("begins anew where what was told is too old by the time that it is read", async () => {
    const at = setUp([page("a", false)]);
    const beganMs = at.now();
    await at.poll();
    at.pass(POLL_LOST_MS);
    await at.poll();
    expect(polledFromMs(at.written.at(-1)!, EVERY_MS, at.now())).toBe(beganMs);
    at.pass(POLL_LOST_MS + 1);
    await at.poll();
    expect(polledFromMs(at.written.at(-1)!, EVERY_MS, at.now())).toBe(at.now());
  });

  test("nobody was heard before the first poll reached the end", async () => {
    expect(polledFromMs(NEVER_POLLED, EVERY_MS, 5_000)).toBe(5_000);
    const at = setUp([page("a", true), { kind: "refused", detail: "401" }]);
    await at.poll();
    expect(polledFromMs(at.written.at(-1)!, EVERY_MS, at.now())).toBe(at.now());
  });

  test("the gap follows the interval, and has a least", () => {
    expect(gapMsOf(1_000)).toBe(POLL_GAP_MS_LEAST);
    expect(gapMsOf(60_000)).toBe(180_000);
  });
});
