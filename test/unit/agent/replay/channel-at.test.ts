// What a channel was like at an earlier time: which release it offered, how many devices ran what, in which order releases came.
import { describe, expect, it } from "vitest";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import { channelViewAt, devicesThen } from "../../../../agent/replay/channel-at.ts";
import { actsBefore, releasesInOrder } from "../../../../agent/replay/channel-facts.ts";
import type { ChannelFacts, PastDecision, ReleaseFacts } from "../../../../agent/replay/channel-facts.ts";
import { TILL, outcomeCounts, pastRollback, releaseOf, version } from "../../../support/verdicts.ts";

const known = (text: string, sinceMs: number) => ({ version: version(text), sinceMs });
const hop = (from: string, to: string) => pastRollback(from, to, 0);

describe("what the channel offers", () => {
  const releases = [known("1.3.0", 100), known("1.4.0", 200), known("1.5.0", 300)];
  const offered = (nowMs: number, ...hops: ReturnType<typeof hop>[]) => {
    const view = channelViewAt(releases, hops, nowMs);
    return view.kind === "known" ? [view.version, ...view.releases.map((each) => each.version)] : [];
  };

  it("is the newest release that was heard of, and the others are listed after it", () => {
    expect(offered(50)).toEqual([null]);
    expect(offered(200)).toEqual(["1.4.0", "1.4.0", "1.3.0"]);
    expect(offered(999)).toEqual(["1.5.0", "1.5.0", "1.4.0", "1.3.0"]);
  });

  it("is what it went back to, until a newer release comes", () => {
    expect(offered(200, hop("1.4.0", "1.3.0"))[0]).toBe("1.3.0");
    expect(offered(300, hop("1.4.0", "1.3.0"))[0]).toBe("1.5.0");
    expect(offered(300, hop("1.5.0", "1.4.0"), hop("1.4.0", "1.3.0"))[0]).toBe("1.3.0");
  });

  it("does not go round in circles", () => {
    expect(offered(200, hop("1.4.0", "1.3.0"), hop("1.3.0", "1.4.0"))[0]).toBe("1.4.0");
  });
});

describe("devices, as they were", () => {
  it("whoever confirmed a release left the newest one before it; who only used it was there all along", () => {
    const [old, bad] = devicesThen([
      { now: outcomeCounts({ active: 100, running: 40 }), byThen: outcomeCounts({}), isUsed: true },
      {
        now: outcomeCounts({ confirmed: 60, active: 30, running: 60 }),
        byThen: outcomeCounts({ confirmed: 20 }),
        isUsed: true,
      },
    ]);
    expect(old).toEqual({ running: 80, active: 100 });
    expect(bad).toEqual({ running: 20, active: 10 });
  });

  it("nobody runs what nobody was known to use", () => {
    expect(
      devicesThen([{ now: outcomeCounts({ active: 100 }), byThen: outcomeCounts({}), isUsed: false }]),
    ).toEqual([{ running: 0, active: 0 }]);
    expect(devicesThen([{ now: outcomeCounts({}), byThen: outcomeCounts({}), isUsed: true }])).toEqual([
      { running: 0, active: 0 },
    ]);
  });

  it("more may have come than are known to have been there", () => {
    const [old, next] = devicesThen([
      { now: outcomeCounts({ confirmed: 5 }), byThen: outcomeCounts({ confirmed: 5 }), isUsed: true },
      { now: outcomeCounts({ confirmed: 9 }), byThen: outcomeCounts({ confirmed: 9 }), isUsed: false },
    ]);
    expect([old!.running, next!.running]).toEqual([0, 9]);
  });
});

function factsOf(
  releases: readonly (readonly [string, number])[],
  decisions: readonly PastDecision[] = [],
): ChannelFacts {
  return {
    key: TILL,
    minimumVersion: undefined,
    others: [],
    decisions,
    releases: releases.map(([text, firstReportAtMs]): ReleaseFacts => ({
      windows: [],
      health: {
        release: releaseOf(text),
        devices: outcomeCounts({}),
        hours: NO_DEVICE_HOURS,
        firstReportAtMs,
        lastReportAtMs: firstReportAtMs,
        lastFailureAtMs: 0,
        silenceDeadlineMs: 0,
      },
    })),
  };
}

function decided(fields: Partial<PastDecision>): PastDecision {
  return {
    id: "rb_1",
    atMs: 500,
    version: version("1.4.0"),
    action: "rollback",
    mode: "automatic",
    target: version("1.3.0"),
    devices: 10,
    outcome: "applied",
    ...fields,
  };
}

describe("the order of releases", () => {
  const order = (facts: ChannelFacts): string[] => releasesInOrder(facts).map((each) => each.version);

  it("is that of their numbers: a straggler that is heard of late is no newer release", () => {
    expect(
      order(
        factsOf([
          ["1.4.0", 100],
          ["1.2.0", 900],
          ["1.3.0", 50],
        ]),
      ),
    ).toEqual(["1.2.0", "1.3.0", "1.4.0"]);
  });

  it("is that in which they were first heard of where they have none", () => {
    expect(
      order(
        factsOf([
          ["beta", 200],
          ["alpha", 300],
          ["gamma", 100],
        ]),
      ),
    ).toEqual(["gamma", "beta", "alpha"]);
  });

  it("has versions that only a decision tells of, before the one that was left for them", () => {
    expect(
      order(
        factsOf([["build-b", 200]], [decided({ version: version("build-b"), target: version("build-a") })]),
      ),
    ).toEqual(["build-a", "build-b"]);
  });
});

describe("what had been done before", () => {
  it("counts as done, but for what came to nothing, was only watched, or came later", () => {
    const past = (fields: Partial<PastDecision>) => {
      const { acted, pastRollbacks } = actsBefore([decided(fields)], { beforeMs: 600, action: "rollback" });
      return [[...acted], pastRollbacks.map(({ from, to, atMs }) => [from, to, atMs])];
    };
    const done = [["1.4.0"], [["1.4.0", "1.3.0", 500]]];
    expect(past({})).toEqual(done);
    expect(past({ outcome: null })).toEqual(done);
    expect(past({ outcome: "stale" })).toEqual([[], []]);
    expect(past({ mode: "shadow" })).toEqual([[], []]);
    expect(past({ atMs: 600 })).toEqual([[], []]);
    expect(past({ outcome: "refused" })).toEqual([["1.4.0"], []]);
    expect(past({ action: "pause", target: null })).toEqual([[], []]);
    expect(past({ mode: "manual" })).toEqual([[], [["1.4.0", "1.3.0", 500]]]);
    const { condemned } = actsBefore([decided({ outcome: "stale" })], { beforeMs: 600, action: "rollback" });
    expect([...condemned]).toEqual(["1.4.0"]);
  });
});
