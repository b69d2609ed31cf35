// What an agent could answer about the scope of an incident, for tests of the page. Enters: the time now. Leaves: an answer
// of GET /v1/scope as an operator gets it: 12 kinds of device, a day by the hour, up to 1,000 devices of an outcome.
import type { CountsView, ExamplesView, HoursView, ScopeView } from "../../agent/admin/page/api-shapes.d.ts";

const HOUR_MS = 3_600_000;
const NO_HOURS: HoursView = { active: 0, crashed: 0, not_responding: 0 };

export function scopeStory(nowMs = Date.now()): ScopeView {
  const hour = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
  return {
    at: new Date(nowMs).toISOString(),
    devices: {
      attempted: 4_510,
      running: 4_221,
      confirmed: 4_012,
      failed: 1_289,
      download_failed: 41,
      crashed: 31,
      not_responding: 0,
      silent: 2,
      recovered: 12,
      returned_late: 3,
    },
    hours: { active: 5_120, crashed: 64, not_responding: 0 },
    channels: [{ last_failure: new Date(nowMs - 40_000).toISOString() }],
    strata: Array.from({ length: 12 }, (_, nth) => ({
      stratum: nth === 11 ? "unknown" : { platform: "android", model: `till-${9 - nth}` },
      devices: kindCounts(nth),
    })),
    step_minutes: 60,
    time: [24, 23, 22, 9, 8, 7, 6, 5, 2, 1, 0].map((hoursAgo, nth) => ({
      start: new Date(hour - hoursAgo * HOUR_MS).toISOString(),
      devices: nth === 3 ? { attempted: 900 } : { attempted: 100 + 40 * nth, failed: 3 * nth },
      hours: { ...NO_HOURS, active: 400, crashed: nth },
    })),
    examples: {
      failed: { ...namedBy("id", "till", 1_000), of: 1_289 },
      download_failed: namedBy("id", "kiosk", 41),
      crashed: namedBy("id", "desk", 20),
      not_responding: namedBy("id", "", 0),
      recovered: namedBy("id", "back", 1),
      returned_late: namedBy("id", "late", 3),
      silent: { named_by: "digest", of: 2, devices: ["b2f498b0df291b49", "324338abc0da2d20"] },
    },
  };
}

function kindCounts(nth: number): CountsView {
  if (nth === 0) return { attempted: 610, failed: 201, download_failed: 9, crashed: 31, silent: 2 };
  return { attempted: 400 - nth, failed: 120 - 10 * nth > 0 ? 120 - 10 * nth : 0 };
}

export function namedBy(kind: "id" | "digest", prefix: string, devices: number): ExamplesView {
  return {
    named_by: kind,
    of: devices,
    devices: Array.from({ length: devices }, (_, nth) => `${prefix}-${String(nth + 1).padStart(4, "0")}`),
  };
}
