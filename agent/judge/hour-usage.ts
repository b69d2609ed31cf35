// What a release did in each hour, all kinds of device together. Enters: a history. Leaves: hours of use and devices
// that confirmed, by time. Hours that have not changed are not added up again.
import type { DeviceHours } from "../health/health-window.ts";
import type { HistoryDay, HistoryHour, ReleaseHistory } from "../health/release-history.ts";
import { memoBySources } from "./memo.ts";

export interface HourUsage {
  readonly hourMinute: number;
  readonly hours: DeviceHours;
  /** Devices that took the release up in this hour and confirmed. */
  readonly confirmed: number;
}

export interface DayUsage {
  readonly dayMinute: number;
  /** By time. */
  readonly hours: readonly HourUsage[];
  readonly confirmed: number;
}

export function usageByDay({ days }: ReleaseHistory): DayUsage[] {
  return days.map((day) => usageOfDay(day, []));
}

/** From the hour on that begins at `sinceMinute`. */
export function usageSince(history: ReleaseHistory, sinceMinute: number): HourUsage[] {
  return history.days
    .filter(({ dayMinute }) => dayMinute + 24 * 60 > sinceMinute)
    .flatMap((day) => usageOfDay(day, []).hours)
    .filter(({ hourMinute }) => hourMinute >= sinceMinute);
}

const usageOfDay = memoBySources(({ dayMinute, hours }: HistoryDay): DayUsage => {
  const usage = hours.map((hour) => usageOfHour(hour, []));
  return { dayMinute, hours: usage, confirmed: usage.reduce((sum, { confirmed }) => sum + confirmed, 0) };
});

const usageOfHour = memoBySources(({ hourMinute, windows }: HistoryHour): HourUsage => {
  const sum = { active: 0, crashed: 0, notResponding: 0, firstCrashed: 0, firstNotResponding: 0 };
  let confirmed = 0;
  for (const { hours, devices } of windows) {
    sum.active += hours.active;
    sum.crashed += hours.crashed;
    sum.notResponding += hours.notResponding;
    sum.firstCrashed += hours.firstCrashed;
    sum.firstNotResponding += hours.firstNotResponding;
    confirmed += devices.confirmed;
  }
  return { hourMinute, hours: sum, confirmed };
});
