// An absolved release is judged by what began since: counts and history are cut at one minute, and agree.
import { expect, test } from "vitest";
import { historyOf } from "../../../../agent/health/release-history.ts";
import { judgedSince } from "../../../../agent/judge/judged-since.ts";
import { DAY_START, createSide } from "../../../support/judged-release.ts";
import { outcomeCounts, releaseOf } from "../../../support/verdicts.ts";

const MINUTE = DAY_START + 600;

test("nothing is cut without an absolution; the same objects, so that nothing is worked out anew", () => {
  const all = { devices: outcomeCounts({ attempted: 3 }), history: historyOf(releaseOf("1.4.0"), []) };
  const judged = judgedSince(all, 0);
  expect(judged.history).toBe(all.history);
  expect(judged.devices).toBe(all.devices);
});

test("slots before the minute are gone from both", () => {
  const side = createSide("1.4.0");
  side.update({ minute: MINUTE }, 10, 10);
  side.update({ minute: MINUTE + 5 }, 10, 1);
  side.update({ minute: MINUTE + 10 }, 10, 1);
  const devices = outcomeCounts({ attempted: 30, failed: 12, running: 7, active: 5 });
  const judged = judgedSince({ devices, history: side.history() }, MINUTE + 5);
  expect(judged.devices).toMatchObject({ attempted: 20, failed: 2, running: 7, active: 5 });
  const slots = judged.history.days.flatMap(({ hours }) => hours.flatMap((hour) => hour.windows));
  expect(slots.map(({ slotMinute }) => slotMinute)).toEqual([MINUTE + 5, MINUTE + 10]);
});
