// The times at which a replay looks: where windows end, no finer, each once, from the beginning to the end.
import { describe, expect, it } from "vitest";
import { REPLAY_STEPS_MAX, replaySteps } from "../../../../agent/replay/replay-steps.ts";

const NOW = 60 * 490_000 + 30;
const DAY = 24 * 60;

describe("without windows", () => {
  it("steps are as fine as windows of that age would be", () => {
    const { spans, minutes } = replaySteps({ slots: [], sinceMinute: NOW - 7 * DAY, untilMinute: NOW });
    expect(spans).toEqual([
      { sinceMinute: NOW - 7 * DAY, untilMinute: NOW - 30 - 2 * DAY, minutes: 60 },
      { sinceMinute: NOW - 30 - 2 * DAY, untilMinute: NOW - 150, minutes: 5 },
      { sinceMinute: NOW - 150, untilMinute: NOW, minutes: 1 },
    ]);
    expect(minutes[0]).toBe(NOW - 7 * DAY);
    expect(minutes.at(-1)).toBe(NOW);
    expect(minutes).toEqual([...new Set(minutes)].toSorted((left, right) => left - right));
  });

  it("90 days are not too many", () => {
    const { minutes, spans } = replaySteps({ slots: [], sinceMinute: NOW - 90 * DAY, untilMinute: NOW });
    expect(minutes.length).toBeLessThanOrEqual(REPLAY_STEPS_MAX);
    expect(spans.at(-1)!.minutes).toBe(1);
  });

  it("a period of one minute has one step", () => {
    expect(replaySteps({ slots: [], sinceMinute: NOW, untilMinute: NOW }).minutes).toEqual([NOW]);
  });
});

describe("with windows", () => {
  it("an hour whose windows were not rolled up yet is as fine as they are, and the reverse", () => {
    const [old, young] = [NOW - 30 - 5 * DAY, NOW - 30];
    const slots = [
      { slotMinute: old + 5, slotMinutes: 1 },
      { slotMinute: old, slotMinutes: 60 },
      { slotMinute: young, slotMinutes: 60 },
    ];
    const { spans } = replaySteps({ slots, sinceMinute: old, untilMinute: NOW });
    expect(spans[0]).toEqual({ sinceMinute: old, untilMinute: old + 60, minutes: 1 });
    expect(spans.at(-1)).toEqual({ sinceMinute: young, untilMinute: NOW, minutes: 60 });
  });

  it("too many steps become coarser, never more than REPLAY_STEPS_MAX", () => {
    const slots = Array.from({ length: 90 * 24 }, (_, hour) => ({
      slotMinute: NOW - 30 - 60 * hour,
      slotMinutes: 1,
    }));
    const { minutes, spans } = replaySteps({ slots, sinceMinute: NOW - 90 * DAY, untilMinute: NOW });
    expect(minutes.length).toBeLessThanOrEqual(REPLAY_STEPS_MAX);
    expect(spans).toEqual([{ sinceMinute: NOW - 90 * DAY, untilMinute: NOW, minutes: 60 }]);
  });

  it("exactly at the limit nothing becomes coarser", () => {
    const ofMinutes = (stepsMax: number): number | undefined =>
      replaySteps({
        slots: [{ slotMinute: NOW - 30, slotMinutes: 1 }],
        sinceMinute: NOW - 30,
        untilMinute: NOW,
        stepsMax,
      }).spans[0]?.minutes;
    expect([ofMinutes(32), ofMinutes(31)]).toEqual([1, 5]);
  });
});
