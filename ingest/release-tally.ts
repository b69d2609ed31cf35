// Accepted reports by release and event, as this process has seen them: what an alert can go by while the agent, which
// counts devices exactly, is dead. Enters: reports that Redis has. Leaves: `ota_ingest_release_reports_total`, with as many
// series as a channel may have and no more.
import type { Clock } from "../runtime/clock.ts";
import { Counter } from "../runtime/metrics.ts";
import type { Registry } from "../runtime/metrics.ts";
import { createBusiestVersions } from "./busiest-versions.ts";
import type { BusiestVersions } from "./busiest-versions.ts";
import { EVENTS } from "./contract/device-report.ts";
import type { DeviceEvent, DeviceReport } from "./contract/device-report.ts";
import { describeMetric } from "./contract/metric-names.ts";
import { formatChannelKey } from "./contract/release-key.ts";
import type { ChannelKey } from "./contract/release-key.ts";

/** Where versions stand that have no series of their own. */
const OTHER = "other";
/** Every version in use sends it for ever: it says nothing of an update being taken up. */
const OF_USE: readonly DeviceEvent[] = ["active"];

export type NoteReports = (reports: readonly DeviceReport[]) => void;

export interface ReleaseTallyOptions {
  readonly registry: Registry;
  readonly clock: Clock;
}

/** Counts by event; all of them from the start, so that a rate is right from the first report on. */
type EventCounts = Record<DeviceEvent, number>;

interface ChannelTally extends Pick<ChannelKey, "app" | "channel"> {
  readonly versions: Map<string, EventCounts>;
  readonly busiest: BusiestVersions;
}

export function createReleaseTally({ registry, clock }: ReleaseTallyOptions): NoteReports {
  const channels = new Map<string, ChannelTally>();
  // The registry keeps it.
  void new Counter({
    ...describeMetric("ota_ingest_release_reports_total"),
    registers: [registry],
    // Labels are made when somebody scrapes, not with each report.
    collect() {
      this.reset();
      for (const { app, channel, versions } of channels.values())
        for (const [version, counts] of versions)
          for (const event of EVENTS) this.inc({ app, channel, version, event }, counts[event]);
    },
  });

  function tallyOf(report: DeviceReport): ChannelTally {
    const name = formatChannelKey(report);
    const known = channels.get(name);
    if (known !== undefined) return known;
    const versions = new Map<string, EventCounts>();
    const busiest = createBusiestVersions({
      nowMs: clock,
      onDropped: (version) => void versions.delete(version),
    });
    const tally = { app: report.app, channel: report.channel, versions, busiest };
    channels.set(name, tally);
    return tally;
  }

  return (reports) => {
    for (const report of reports) {
      const { versions, busiest } = tallyOf(report);
      const name = nameOf(report, busiest);
      const counts = versions.get(name);
      if (counts === undefined) versions.set(name, { ...noEvents(), [report.event]: 1 });
      else counts[report.event] += 1;
    }
  };
}

/** A version that is called as the others are stands among them. */
function nameOf({ version, event }: DeviceReport, busiest: BusiestVersions): string {
  if (version === OTHER) return OTHER;
  return busiest.note(version, OF_USE.includes(event) ? 0 : 1) === "named" ? version : OTHER;
}

function noEvents(): EventCounts {
  return Object.fromEntries(EVENTS.map((event) => [event, 0])) as EventCounts;
}
