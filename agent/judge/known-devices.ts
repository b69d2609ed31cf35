// Whom a verdict rests on: of the devices that accuse a release, how many Lastgood had heard of before the day in which
// the release appeared (guards.known_devices). Pure. Enters: a rule that is over its threshold, and first contacts by
// day. Leaves: the numbers. What this can't tell: docs/judging.md.
import type { Ground } from "../health/first-contacts.ts";
import type { FirstContacts } from "../health/health-window.ts";
import { isInSegment } from "./segments.ts";
import type { AccusingRule, KnownDevices } from "./verdict.ts";

export interface ContactDays {
  readonly contacts: FirstContacts;
  /** Day (since the epoch, by our clock) in which the release was first reported about. */
  readonly releaseDay: number;
  /** Day in which any release was, as far as is known. */
  readonly listeningDay: number;
}

export function knownDevicesOf(rule: AccusingRule, days: ContactDays): KnownDevices {
  const { releaseDay, listeningDay } = days;
  const counts = isAboutAnswers(rule) ? slowDevices(rule, days) : countGround(groundOf(rule), rule, days);
  return { ...counts, releaseDay, listeningDay };
}

interface Counted {
  readonly devices: number;
  readonly known: number;
}

function isAboutAnswers({ signal, rule }: AccusingRule): boolean {
  return signal === "silence" && rule === "worse_than_baseline";
}

function groundOf({ signal }: AccusingRule): Ground {
  switch (signal) {
    case "update_failure":
      return "failed";
    case "download_failure":
      return "download_failed";
    case "crash":
      return "crashed";
    case "not_responding":
      return "not_responding";
    case "silence":
      return "silent";
  }
}

function countGround(
  ground: Ground,
  { segment }: AccusingRule,
  { contacts, releaseDay }: ContactDays,
): Counted {
  let [devices, known] = [0, 0];
  for (const [stratum, days] of contacts) {
    if (segment !== null && !isInSegment(stratum, segment)) continue;
    for (const [day, counts] of days) {
      // What began before days were kept may be taken off, and was never added.
      const count = Math.max(0, counts[ground]);
      devices += count;
      if (day < releaseDay) known += count;
    }
  }
  return { devices, known };
}

/**
 * Where answers come too slowly, those accuse that have not answered by an age at which they should have. Devices that
 * have only just begun have not answered either: the new ones among them are taken for some that accuse, the known ones
 * are not. And devices whose answer was late accuse as well: of the two ways to count, the one with fewer known devices.
 */
function slowDevices(rule: AccusingRule, days: ContactDays): Counted {
  const open = countGround("unanswered", rule, days);
  const late = countGround("late", rule, days);
  const unanswered = {
    devices: rule.failures,
    known: Math.max(0, rule.failures - (open.devices - open.known)),
  };
  const slow = { devices: unanswered.devices + late.devices, known: unanswered.known + late.known };
  return unanswered.devices > 0 && shareOf(unanswered) < shareOf(slow) ? unanswered : slow;
}

/** 0 where nobody accuses. */
export function shareOf({ devices, known }: Counted): number {
  return devices === 0 ? 0 : known / devices;
}
