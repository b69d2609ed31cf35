// Every reason that a verdict can have, with the kind it belongs to and what the sentence says: comparisons, kinds of
// device, the environment, changed telemetry, plain rules.
import { describe, expect, it } from "vitest";
import { VERDICT_KIND_OF, VERDICT_REASONS } from "../../../../agent/judge/verdict.ts";
import type { Verdict, VerdictReason } from "../../../../agent/judge/verdict.ts";
import type { RuleToJudge } from "../../../../agent/judge/rule-to-judge.ts";
import {
  CRASH_COMPARED,
  CRASH_LIMIT,
  DAY_START,
  HOUR,
  T2,
  UPDATE_COMPARED,
  UPDATE_LIMIT,
  createSide,
  judgeSides,
} from "../../../support/judged-release.ts";
import type { Side } from "../../../support/judged-release.ts";

const MINUTE = DAY_START + 12 * HOUR;
const NOW = MINUTE + HOUR;

interface Updated {
  readonly devices: number;
  readonly failed: number;
}

function updated(version: string, { devices, failed }: Updated): Side {
  const side = createSide(version);
  side.update({ minute: MINUTE }, devices, failed);
  return side;
}

function compare(
  candidate: Updated,
  baseline: Updated | undefined,
  ...rules: readonly RuleToJudge[]
): Verdict {
  return judgeSides({
    candidate: updated("1.5.0", candidate),
    baselines: baseline === undefined ? [] : [updated("1.4.0", baseline)],
    rules,
    minute: NOW,
  });
}

/** Devices of a version are used for hours, some of them crash. */
function used(
  version: string,
  hours: number,
  { devices, crashed }: { devices: number; crashed: number },
): Side {
  const side = createSide(version);
  side.update({ minute: DAY_START }, devices);
  for (let hour = 0; hour < hours; hour += 1)
    side.useIn({ hourMinute: DAY_START + HOUR * (hour + 1) }, devices, crashed);
  return side;
}

function compareUse(candidate: Side, baseline: Side | undefined, ...rules: readonly RuleToJudge[]): Verdict {
  return judgeSides({
    candidate,
    baselines: baseline === undefined ? [] : [baseline],
    rules,
    minute: DAY_START + 14 * HOUR,
  });
}

const PLAIN: RuleToJudge = {
  form: "plain",
  signal: "update_failure",
  limit: 0.05,
  windowMs: 3_600_000,
  forMs: 0,
  minDevices: 50,
};

function oneBadModel(): Verdict {
  const candidate = updated("1.5.0", { devices: 2_000, failed: 20 });
  candidate.update({ minute: MINUTE, stratum: T2 }, 60, 20);
  return judgeSides({ candidate, rules: [UPDATE_LIMIT], minute: NOW });
}

const CASES: Readonly<Record<VerdictReason, () => Verdict>> = {
  limit_exceeded: () => compare({ devices: 100, failed: 20 }, undefined, UPDATE_LIMIT),
  worse_than_baseline: () =>
    compare({ devices: 200, failed: 30 }, { devices: 900, failed: 18 }, UPDATE_COMPARED),
  segment_failing: oneBadModel,
  plain_limit_exceeded: () => compare({ devices: 50, failed: 3 }, undefined, PLAIN),
  within_limits: () =>
    compare({ devices: 300, failed: 1 }, { devices: 3_000, failed: 90 }, UPDATE_LIMIT, UPDATE_COMPARED),
  not_enough_evidence: () => compare({ devices: 20, failed: 1 }, undefined, UPDATE_LIMIT),
  attempts_not_announced: () =>
    judgeSides(
      { candidate: updated("1.5.0", { devices: 20, failed: 0 }), rules: [UPDATE_LIMIT], minute: NOW },
      { unsettled: { failed: 2, download_failed: 0 } },
    ),
  environment: () => compare({ devices: 100, failed: 30 }, { devices: 900, failed: 270 }, UPDATE_LIMIT),
  plain_limit_kept: () => compare({ devices: 50, failed: 1 }, undefined, PLAIN),
  no_attempts: () => judgeSides({ candidate: createSide("1.5.0"), rules: [UPDATE_LIMIT], minute: NOW }),
  no_baseline: () => compare({ devices: 100, failed: 30 }, undefined, UPDATE_COMPARED),
  usage_not_reported: () => {
    const candidate = createSide("1.5.0");
    candidate.update({ minute: DAY_START }, 100);
    return compareUse(candidate, undefined, CRASH_LIMIT);
  },
  sample_ratio_mismatch: () =>
    compareUse(seldomHeard(), used("1.4.0", 12, { devices: 600, crashed: 3 }), CRASH_COMPARED),
  no_rules: () => compare({ devices: 100, failed: 100 }, undefined),
};

/** Devices that report their use every fourth hour, and crash as often as others. */
function seldomHeard(): Side {
  const side = createSide("1.5.0");
  side.update({ minute: DAY_START }, 400);
  for (let hour = 1; hour <= 12; hour += 1) side.useIn({ hourMinute: DAY_START + HOUR * hour }, 100, 2);
  return side;
}

describe("kinds and reasons", () => {
  it.each(VERDICT_REASONS.map((reason) => [reason, VERDICT_KIND_OF[reason]] as const))(
    "%s is %s",
    (reason, kind) => {
      const verdict = CASES[reason]();
      expect({ reason: verdict.reason, kind: verdict.kind }).toEqual({ reason, kind });
      expect(verdict.sentence).not.toMatch(/NaN|undefined|null|Infinity/);
    },
  );
});

describe("sentences", () => {
  it.each([
    [
      "worse_than_baseline",
      /^30 of 200 devices failed to install or boot 1\.5\.0 \(15\.0%, at least 8\.\d%\); the baseline 18 of 900 \(2\.0%\), at least \d(\.\d)?x as often; 1\.5x as often is allowed; evidence 10\^\d+\.\d against 10\^2\.3 needed\.$/,
    ],
    [
      "segment_failing",
      /^40 of 2,060 devices failed .* Standing out: model=T2 \(20 of 60, 2\.9% of the fleet; 10\^\d+\.\d against 10\^\d\.\d\)\.$/,
    ],
    ["plain_limit_exceeded", /^3 of 50 devices .*; limit 5%; a plain rule, which weighs no evidence\.$/],
    [
      "environment",
      /^30 of 100 devices .* needed\. The same happens on 1\.4\.0 at the same time: it is the environment \(a backend, a network\), not the release\. Nothing is rolled back for it; somebody must look\.$/,
    ],
    [
      "no_baseline",
      /^No other live version on the channel to compare with at the same time \(update_failure\): only limits and silence judge\.$/,
    ],
    [
      "usage_not_reported",
      /^Fewer than half of the devices on 1\.5\.0 report their use \(event active\).* \(crash\)\.$/,
    ],
    [
      "sample_ratio_mismatch",
      /^Devices on 1\.5\.0 report their use less than half as often as those of the baseline/,
    ],
  ] as const)("%s", (reason, sentence) => {
    expect(CASES[reason]().sentence).toMatch(sentence);
  });

  it("a limit that judges alone says that nothing is compared", () => {
    const verdict = compare({ devices: 100, failed: 3 }, undefined, UPDATE_LIMIT, UPDATE_COMPARED);
    expect(verdict.kind).toBe("inconclusive");
    expect(verdict.sentence).toContain("No other live version on the channel to compare with");
  });

  it("crashes are told by hours of use", () => {
    const verdict = compareUse(
      used("1.5.0", 10, { devices: 100, crashed: 4 }),
      used("1.4.0", 10, { devices: 600, crashed: 3 }),
      CRASH_COMPARED,
    );
    expect(verdict.kind).toBe("failing");
    expect(verdict.sentence).toMatch(
      /^40 devices crashed on 1\.5\.0 in 1,000 hours of use \(4\.0%, at least 2\.\d%\); the baseline 30 of 6,000 hours of use \(0\.50%\), at least \dx? ?.*2x as often is allowed/,
    );
  });

  it("points are told as points", () => {
    const points: RuleToJudge = {
      form: "worse_than_baseline",
      signal: "update_failure",
      allowance: { ratio: 1, points: 0.01 },
    };
    expect(compare({ devices: 300, failed: 45 }, { devices: 900, failed: 18 }, points).sentence).toContain(
      "; 1 point more is allowed;",
    );
  });
});

describe("kinds of device", () => {
  it("one bad model is named with its share, and the rest of the fleet is not blamed", () => {
    const { signals, shareOfFleet } = oneBadModel();
    expect(signals[0]!.segments.map(({ segment }) => segment)).toEqual(["model=T2"]);
    expect(shareOfFleet).toBeCloseTo(60 / 2_060, 10);
    expect(signals[0]!.evidenceLog10!).toBeLessThan(signals[0]!.thresholdLog10);
  });

  it("a failure of all devices is the fleet's, whatever stands out", () => {
    const candidate = updated("1.5.0", { devices: 500, failed: 200 });
    candidate.update({ minute: MINUTE, stratum: T2 }, 500, 250);
    const verdict = judgeSides({ candidate, rules: [UPDATE_LIMIT], minute: NOW });
    expect(verdict).toMatchObject({ reason: "limit_exceeded", shareOfFleet: 1 });
    expect(verdict.sentence).not.toContain("Standing out");
  });

  it("a failure of the fleet that comes from one model alone is confined to it", () => {
    const candidate = updated("1.5.0", { devices: 500, failed: 5 });
    candidate.update({ minute: MINUTE, stratum: T2 }, 100, 90);
    const verdict = judgeSides({ candidate, rules: [UPDATE_LIMIT], minute: NOW });
    expect(verdict.reason).toBe("limit_exceeded");
    expect(verdict.shareOfFleet).toBeCloseTo(1 / 6, 10);
    expect(verdict.sentence).toContain("Standing out: model=T2 (90 of 100, 16.7% of the fleet;");
  });
});

describe("the environment", () => {
  it("a limit that the baseline keeps accuses", () => {
    expect(compare({ devices: 100, failed: 30 }, { devices: 900, failed: 9 }, UPDATE_LIMIT).reason).toBe(
      "limit_exceeded",
    );
  });

  it("a baseline too small to tell explains nothing: at 5%, 3 failures of 60 devices would be expected", () => {
    const beside = (devices: number): VerdictReason =>
      compare({ devices: 100, failed: 30 }, { devices, failed: Math.round(devices * 0.3) }, UPDATE_LIMIT)
        .reason;
    expect(beside(60)).toBe("environment");
    expect(beside(59)).toBe("limit_exceeded");
  });

  it("a baseline at another time explains nothing", () => {
    const baseline = createSide("1.4.0");
    baseline.update({ minute: MINUTE - 3 * HOUR }, 900, 270);
    const candidate = updated("1.5.0", { devices: 100, failed: 30 });
    expect(judgeSides({ candidate, baselines: [baseline], rules: [UPDATE_LIMIT], minute: NOW }).reason).toBe(
      "limit_exceeded",
    );
  });

  it("crashes that come on every version at once are no release's fault, and somebody hears of it", () => {
    const [candidate, baseline] = [
      used("1.5.0", 12, { devices: 100, crashed: 0 }),
      used("1.4.0", 12, { devices: 900, crashed: 3 }),
    ];
    candidate.useIn({ hourMinute: DAY_START + 13 * HOUR }, 100, 6);
    baseline.useIn({ hourMinute: DAY_START + 13 * HOUR }, 900, 54);
    expect(compareUse(candidate, baseline, CRASH_COMPARED).reason).toBe("environment");
    const worse = used("1.5.0", 12, { devices: 100, crashed: 0 });
    worse.useIn({ hourMinute: DAY_START + 13 * HOUR }, 100, 60);
    expect(compareUse(worse, baseline, CRASH_COMPARED).reason).toBe("worse_than_baseline");
  });
});

describe("an hour that is not over", () => {
  const hour = DAY_START + 13 * HOUR;
  /** Crashes are told at once, the heartbeats of the release's devices late in the hour, those of the baseline early. */
  function early(heartbeats: number, crashed: number, takenUp = true) {
    const candidate = takenUp ? used("1.5.0", 12, { devices: 100, crashed: 1 }) : createSide("1.5.0");
    if (!takenUp)
      for (let before = 1; before <= 12; before += 1)
        candidate.useIn({ hourMinute: DAY_START + before * HOUR }, 100, 1);
    const baseline = used("1.4.0", 12, { devices: 800, crashed: 7 });
    candidate.useIn({ hourMinute: hour }, heartbeats + crashed, crashed);
    baseline.useIn({ hourMinute: hour }, 800, 7);
    return { candidate, baselines: [baseline], rules: [CRASH_COMPARED] };
  }

  it.each([true, false])(
    "does not accuse because only devices that crashed were heard of (took it up: %s)",
    (takenUp) => {
      const verdict = judgeSides({ ...early(0, 4, takenUp), minute: hour + 20 });
      expect(verdict.kind).not.toBe("failing");
      expect(
        judgeSides({ ...early(96, 4, takenUp), minute: hour + 20 }).signals[0]!.evidenceLog10,
      ).toBeCloseTo(verdict.signals[0]!.evidenceLog10!, 10);
    },
  );

  it("is what was told of it once it is over and its reports are in", () => {
    const evidenceAt = (minute: number): number =>
      judgeSides({ ...early(30, 10), minute }).signals[0]!.evidenceLog10!;
    expect(evidenceAt(hour + HOUR + 9)).toBe(evidenceAt(hour + 20));
    expect(evidenceAt(hour + HOUR + 10)).toBeGreaterThan(evidenceAt(hour + HOUR + 9));
  });

  it("accuses all the same when enough devices crash in it", () => {
    expect(judgeSides({ ...early(0, 40), minute: hour + 20 }).kind).toBe("failing");
  });
});

describe("changed telemetry", () => {
  it("hides no other failure", () => {
    const candidate = seldomHeard();
    candidate.update({ minute: MINUTE }, 100, 60);
    const verdict = compareUse(
      candidate,
      used("1.4.0", 12, { devices: 600, crashed: 3 }),
      CRASH_COMPARED,
      UPDATE_LIMIT,
    );
    expect(verdict.reason).toBe("limit_exceeded");
    expect(verdict.signals[0]!.unmeasured).toBe("sample_ratio_mismatch");
  });

  it("is not what a rollout to everybody within the hour looks like", () => {
    const [candidate, baseline] = [createSide("1.5.0"), used("1.4.0", 11, { devices: 600, crashed: 3 })];
    candidate.update({ minute: MINUTE }, 550);
    for (let hour = 12; hour <= 13; hour += 1) {
      candidate.useIn({ hourMinute: DAY_START + hour * HOUR }, hour === 12 ? 300 : 550, 3);
      baseline.useIn({ hourMinute: DAY_START + hour * HOUR }, 50, 1);
    }
    const verdict = judgeSides(
      { candidate, baselines: [baseline], rules: [CRASH_COMPARED], minute: DAY_START + 14 * HOUR },
      {
        baseline: { versions: [baseline.key.version], histories: [baseline.history()], running: 50 },
      },
    );
    expect(verdict.signals[0]!.unmeasured).toBeNull();
  });
});
