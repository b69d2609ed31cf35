// The lowest native build of a release's devices, and when nobody can tell it.
import { expect, test } from "vitest";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import { lowestNativeBuildOf } from "../../../../agent/health/native-builds.ts";
import { formatStratum } from "../../../../agent/health/stratum.ts";
import { outcomeCounts } from "../../../support/verdicts.ts";

const android = (build: string): string => formatStratum(["android", "", "15", build]);

function lowest(
  ...strata: [text: string, counts: Parameters<typeof outcomeCounts>[0]][]
): string | undefined {
  return lowestNativeBuildOf({
    strata: new Map(
      strata.map(([text, counts]) => [text, { devices: outcomeCounts(counts), hours: NO_DEVICE_HOURS }]),
    ),
  });
}

test("is the lowest as versions go, of devices that tried the release, run it or use it", () => {
  expect(
    lowest(
      [android("1.10.0"), { attempted: 9 }],
      [android("1.9.0"), { running: 1 }],
      [android("1.11.0"), { active: 1 }],
    ),
  ).toBe("1.9.0");
  expect(lowest([android("1.10.0"), { attempted: 9 }], [android("1.2.0"), {}])).toBe("1.10.0");
});

test.each([android(""), "unknown", "other"])("is not known where one device is of stratum %s", (text) => {
  expect(lowest([android("1.10.0"), { attempted: 1_000 }], [text, { attempted: 1 }])).toBeUndefined();
});

test("is not known of a release that nobody has", () => {
  expect(lowest()).toBeUndefined();
});
