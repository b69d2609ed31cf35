// What of a window was known at an earlier time: nothing that was said later, everything in the end.
import { describe, expect, it } from "vitest";
import { ANSWER_BINS, answerBinOf } from "../../../../agent/health/answer-bins.ts";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import type { HealthWindow } from "../../../../agent/health/health-window.ts";
import { changesOf, cutWindow } from "../../../../agent/replay/cut-window.ts";
import { outcomeCounts } from "../../../support/verdicts.ts";

const HOUR_MINUTE = 60 * 490_000;
const SILENCE = 360;

/** Ten devices began; two failed and seven confirmed, each so many minutes later; one was never heard of again. */
function windowOf(
  fields: Partial<HealthWindow> = {},
  answers: readonly number[] = [2, 2, 2, 2, 3, 3, 3, 3, 4],
): HealthWindow {
  const answered = Array.from({ length: ANSWER_BINS }, () => 0);
  for (const minutes of answers) answered[answerBinOf(minutes)]! += 1;
  return {
    slotMinute: HOUR_MINUTE + 10,
    slotMinutes: 1,
    stratum: "all",
    devices: outcomeCounts({
      attempted: 10,
      announced: 10,
      confirmed: 7,
      failed: 2,
      failed_announced: 2,
      silent: 1,
    }),
    hours: NO_DEVICE_HOURS,
    answered,
    ...fields,
  };
}

const at = (window: HealthWindow, minutes: number): HealthWindow | undefined =>
  cutWindow(window, window.slotMinute + minutes, SILENCE);

describe("a window of a minute", () => {
  it("is not known before it is over", () => {
    expect(at(windowOf(), 0)).toBeUndefined();
    expect(at(windowOf(), -5)).toBeUndefined();
  });

  it("then holds who began, and nothing that they said later", () => {
    expect(at(windowOf(), 1)!.devices).toEqual(outcomeCounts({ attempted: 10, announced: 10 }));
  });

  it("failures answer first, then the others, each in the minute of its age", () => {
    expect(at(windowOf(), 2)!.devices).toMatchObject({ failed: 0, confirmed: 0 });
    expect(at(windowOf(), 3)!.devices).toMatchObject({ failed: 2, failed_announced: 2, confirmed: 2 });
    expect(at(windowOf(), 4)!.devices).toMatchObject({ failed: 2, confirmed: 6 });
    expect(at(windowOf(), 5)!.devices).toMatchObject({ failed: 2, confirmed: 7 });
  });

  it("a device is silent once the deadline is over, from the end of the minute on", () => {
    expect(at(windowOf(), SILENCE)!.devices.silent).toBe(0);
    expect(at(windowOf(), SILENCE + 1)!.devices.silent).toBe(1);
  });

  it("in the end is what is stored", () => {
    expect(at(windowOf(), 10_000)).toEqual(windowOf());
  });

  it("those who came back late were silent until they answered", () => {
    const late = windowOf(
      { devices: outcomeCounts({ attempted: 3, announced: 3, confirmed: 3, returned_late: 3 }) },
      [400, 400, 1_500],
    );
    expect(at(late, SILENCE)!.devices.silent).toBe(0);
    expect(at(late, SILENCE + 1)!.devices).toMatchObject({ silent: 3, confirmed: 0 });
    expect(at(late, 480)!.devices).toMatchObject({ silent: 1, confirmed: 2 });
    expect(at(late, 2_880)!.devices).toMatchObject({ silent: 0, confirmed: 3 });
  });

  it("one that failed after it had confirmed counts as both from its answer on", () => {
    const recovered = windowOf(
      { devices: outcomeCounts({ attempted: 2, announced: 2, confirmed: 2, failed: 1, recovered: 1 }) },
      [2, 4],
    );
    expect(at(recovered, 3)!.devices).toMatchObject({ failed: 1, recovered: 1, confirmed: 1 });
    expect(at(recovered, 5)!.devices).toMatchObject({ failed: 1, recovered: 1, confirmed: 2 });
  });

  it("whose answers no Lastgood of the time kept is taken as it is", () => {
    expect(at(windowOf({}, []), 1)!.devices).toMatchObject({ failed: 2, confirmed: 7 });
  });
});

describe("hours of use", () => {
  const hours = { ...NO_DEVICE_HOURS, active: 40, crashed: 3 };
  it("stand in the first minute of their hour, and are known when the hour is over", () => {
    const used = windowOf({ slotMinute: HOUR_MINUTE, hours });
    expect(cutWindow(used, HOUR_MINUTE + 59, SILENCE)!.hours).toEqual(NO_DEVICE_HOURS);
    expect(cutWindow(used, HOUR_MINUTE + 60, SILENCE)!.hours).toEqual(hours);
  });
});

describe("a window of an hour", () => {
  const whole = windowOf({ slotMinute: HOUR_MINUTE, slotMinutes: 60 });
  it("is known when it is over, with the answers that most had given by then", () => {
    expect(at(whole, 59)).toBeUndefined();
    expect(at(whole, 60)!.devices).toMatchObject({ attempted: 10, failed: 2, confirmed: 7, silent: 0 });
  });
});

it.each([1, 5, 60])(
  "a cut changes at the minutes that are named, and at no other (%i minutes)",
  (slotMinutes) => {
    const window = windowOf(
      { slotMinute: HOUR_MINUTE, slotMinutes, hours: { ...NO_DEVICE_HOURS, active: 1 } },
      [0, 2, 8, 8, 8, 17, 50, 100, 400],
    );
    const changes = new Set(changesOf(window, SILENCE));
    const textAt = (minute: number): string => JSON.stringify(cutWindow(window, minute, SILENCE)) ?? "";
    const minutes = Array.from({ length: 2_000 }, (_, minute) => HOUR_MINUTE + minute);
    const changed = minutes.filter((minute) => textAt(minute) !== textAt(minute - 1));
    expect(changed.length).toBeGreaterThan(3);
    expect(changed.filter((minute) => !changes.has(minute))).toEqual([]);
  },
);
