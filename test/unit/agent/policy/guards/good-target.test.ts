// Which release a rollback goes to, and when there is none.
import { describe, expect, it } from "vitest";
import { chooseTarget } from "../../../../../agent/policy/guards/good-target.ts";
import type { TargetChoice } from "../../../../../agent/policy/guards/good-target.ts";
import { failingVerdict, releaseOf, sampleSituation, version } from "../../../../support/verdicts.ts";

interface Facts {
  readonly accused?: string;
  /** Newest first. */
  readonly releases: readonly string[];
  readonly condemned?: readonly string[];
  readonly failing?: readonly string[];
  readonly minimum?: string;
  readonly nativeBuild?: string;
  readonly had?: readonly string[];
}

function choose({
  accused = "1.4.0",
  releases,
  condemned = [],
  failing = [],
  minimum,
  nativeBuild,
  had,
}: Facts): TargetChoice {
  return chooseTarget(
    sampleSituation({
      verdict: failingVerdict({ release: releaseOf(accused) }),
      channel: {
        kind: "known",
        version: version(accused),
        releases: releases.map((text) => ({ version: version(text) })),
        ...(had === undefined ? {} : { had: had.map(version) }),
      },
      lowestNativeBuild: nativeBuild,
      condemned: new Set(condemned),
      failing: new Set(failing),
      minimumVersion: minimum === undefined ? undefined : version(minimum),
    }),
  );
}

describe("the target", () => {
  it("is the newest release before the accused one", () => {
    expect(choose({ releases: ["1.4.0", "1.3.0", "1.2.0"] })).toEqual({ kind: "target", version: "1.3.0" });
  });

  it("is never content that was condemned under another name", () => {
    const releases = [
      { version: version("v15") },
      { version: version("v14"), sameAs: [version("v12")] },
      { version: version("v13"), sameAs: [version("v11")] },
    ];
    const target = (condemned: readonly string[]): TargetChoice =>
      chooseTarget(
        sampleSituation({
          verdict: failingVerdict({ release: releaseOf("v15") }),
          channel: { kind: "known", version: version("v15"), releases },
          condemned: new Set(condemned),
        }),
      );
    expect(target([])).toEqual({ kind: "target", version: "v14" });
    expect(target(["v12"])).toEqual({ kind: "target", version: "v13" });
    expect(target(["v12", "v11"])).toMatchObject({ kind: "refuse", reason: "no_good_target" });
  });

  it("is never a release that came after the accused one, even where its number is lower", () => {
    expect(choose({ releases: ["1.5.0", "1.3.9", "1.4.0", "1.3.0"] })).toMatchObject({ version: "1.3.0" });
  });

  it("goes by the order of release, not by the number", () => {
    expect(choose({ accused: "1.3.1", releases: ["1.3.1", "1.4.0", "1.3.0"] })).toMatchObject({
      version: "1.4.0",
    });
  });

  it("is not the accused release again when the server lists it twice", () => {
    expect(choose({ releases: ["1.4.0", "1.4.0", "1.3.0"] })).toMatchObject({ version: "1.3.0" });
  });

  it("skips what was condemned and what is failing", () => {
    const releases = ["1.4.0", "1.3.0", "1.2.0", "1.1.0"];
    expect(choose({ releases, condemned: ["1.3.0"] })).toMatchObject({ version: "1.2.0" });
    expect(choose({ releases, failing: ["1.3.0"] })).toMatchObject({ version: "1.2.0" });
    expect(choose({ releases, condemned: ["1.3.0"], failing: ["1.2.0"] })).toMatchObject({
      version: "1.1.0",
    });
  });
});

describe("no good target", () => {
  it("when the accused is the first release", () => {
    expect(choose({ releases: ["1.4.0"] })).toEqual({
      kind: "refuse",
      guard: "good_target",
      reason: "no_good_target",
      sentence: "The OTA server lists no release before 1.4.0 that the channel could go back to.",
    });
  });

  it("when the server does not list the accused release, so that nobody knows what came before", () => {
    expect(choose({ releases: ["1.3.0", "1.2.0"] })).toMatchObject({ reason: "no_good_target" });
    expect(choose({ releases: [] })).toMatchObject({ reason: "no_good_target" });
  });

  it("when each earlier release is condemned or failing", () => {
    expect(
      choose({ releases: ["1.4.0", "1.3.0", "1.2.0"], condemned: ["1.3.0"], failing: ["1.2.0"] }),
    ).toEqual({
      kind: "refuse",
      guard: "good_target",
      reason: "no_good_target",
      sentence: "Each of the 2 releases before 1.4.0 is condemned or failing itself.",
    });
  });

  it("when the channel cannot be seen", () => {
    const situation = sampleSituation({ channel: { kind: "unavailable", detail: "away" } });
    expect(chooseTarget(situation)).toMatchObject({ reason: "no_good_target" });
  });
});

describe("the minimum version", () => {
  it.each([
    ["1.3.0", "1.3.0"],
    ["1.3.0", "v1.3.0"],
    ["1.3.0", "1.3.0-rc.1"],
    ["2024.10", "2024.9"],
    ["build-10", "build-9"],
  ])("%s may be gone back to when %s is the minimum", (target, minimum) => {
    expect(choose({ releases: ["1.4.0", target], minimum })).toEqual({ kind: "target", version: target });
  });

  it.each([
    ["1.3.0", "1.3.1"],
    ["1.3.0-rc.1", "1.3.0"],
    ["1.9.0", "1.10.0"],
    ["2024.9", "2024.10"],
    ["build-9", "build-10"],
  ])("%s may not when %s is", (target, minimum) => {
    expect(choose({ releases: ["1.4.0", target], minimum })).toEqual({
      kind: "refuse",
      guard: "good_target",
      reason: "target_below_minimum_version",
      sentence: `Every good release before 1.4.0 (the newest is ${target}) is below the channel's minimum version ${minimum}.`,
    });
  });

  it("skips a newer release that is below it, for an older one that is not", () => {
    const releases = ["1.4.0", "1.3.0", "1.3.5", "1.2.0"];
    expect(choose({ releases, minimum: "1.3.1" })).toEqual({ kind: "target", version: "1.3.5" });
    expect(choose({ releases, minimum: "1.3.1", condemned: ["1.3.5"] })).toMatchObject({
      reason: "target_below_minimum_version",
    });
  });

  it("holds too when skipping a bad release would lead below it", () => {
    expect(
      choose({ releases: ["1.4.0", "1.3.0", "1.2.0"], condemned: ["1.3.0"], minimum: "1.3.0" }),
    ).toMatchObject({ reason: "target_below_minimum_version" });
  });
});

describe("what the channel had, where the server lists more", () => {
  const releases = ["1.5.0-beta.1", "1.4.0", "1.4.0-beta.9", "1.3.0", "1.2.0"];

  it("a release of another channel is no target", () => {
    expect(choose({ releases, had: ["1.4.0", "1.3.0"] })).toEqual({ kind: "target", version: "1.3.0" });
    expect(choose({ releases, had: ["1.4.0"] })).toMatchObject({ reason: "no_good_target" });
  });

  it("what was deleted at the server is none either", () => {
    expect(choose({ releases, had: ["1.4.0", "1.3.5", "1.2.0"] })).toMatchObject({ version: "1.2.0" });
  });

  it("goes by when the channel had it, not by when it was uploaded", () => {
    const uploaded = ["1.3.1", "1.4.0", "1.3.0"];
    expect(choose({ releases: uploaded, had: ["1.4.0", "1.3.1", "1.3.0"] })).toMatchObject({
      version: "1.3.1",
    });
  });
});

describe("the lowest native build", () => {
  const releases = ["1.4.0", "1.3.0", "1.2.0"];

  it.each(["1.3.0", "1.3", "1.2.9", "v1.3.0"])("1.3.0 may be gone back to on a build %s", (nativeBuild) => {
    expect(choose({ releases, nativeBuild })).toEqual({ kind: "target", version: "1.3.0" });
  });

  it("may not on one above it: no device would get it", () => {
    expect(choose({ releases, nativeBuild: "1.3.1" })).toEqual({
      kind: "refuse",
      guard: "good_target",
      reason: "target_below_native_build",
      sentence:
        "Every good release before 1.4.0 (the newest is 1.3.0) is below 1.3.1, the lowest native build of the devices that took 1.4.0 up, and the OTA server gives no device a release below its own: none would get it. Publish a repaired release.",
    });
  });

  it("passes over a release that is below it, for an earlier one that is not", () => {
    expect(choose({ releases: ["1.4.0", "1.2.9", "1.3.1"], nativeBuild: "1.3.0" })).toMatchObject({
      version: "1.3.1",
    });
  });

  it("the minimum version is asked for first, and both hold", () => {
    expect(choose({ releases, nativeBuild: "9.0.0", minimum: "9.0.0" })).toMatchObject({
      reason: "target_below_minimum_version",
    });
    const both = { releases: ["1.4.0", "1.3.0", "1.3.5"], nativeBuild: "1.3.1", minimum: "1.2.0" };
    expect(choose(both)).toMatchObject({ version: "1.3.5" });
    expect(choose({ releases, nativeBuild: "1.2.5", minimum: "1.2.0", condemned: ["1.3.0"] })).toMatchObject({
      reason: "target_below_native_build",
    });
  });

  it("is not looked at when it is not known", () => {
    expect(choose({ releases: ["1.4.0", "0.0.1"] })).toMatchObject({ version: "0.0.1" });
  });
});
