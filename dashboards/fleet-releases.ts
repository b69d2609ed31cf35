// Of the fleet overview what shows releases: a table of all that are judged, how near each is to being acted on, and what
// devices run. Enters: nothing. Leaves: lines of panels.
import { COLOURS } from "./colours.ts";
import type { Line } from "./layout.ts";
import { agentLink, releaseLink } from "./links.ts";
import { UNITS, coloured, graph } from "./panels.ts";
import { agreed, secondsSince, select } from "./queries.ts";
import { table } from "./tables.ts";
import type { Column } from "./tables.ts";
import { VERDICT_MAPPINGS, verdictCode, words } from "./verdicts.ts";

export const CHANNELS = { app: '=~"$app"', channel: '=~"$channel"' } as const;
/** Those that are judged: `other` holds what is counted of old versions together, and nobody judges it. */
const RELEASES = { ...CHANNELS, version: '!="other"' } as const;
export const RELEASE = ["app", "channel", "version"] as const;
const NAMES_RELEASE = "{{app}} {{channel}} {{version}}";

const actsAtOne = `max by (${RELEASE.join(", ")}) (${select("ota_release_evidence", RELEASES)} / ${select("ota_release_evidence_threshold", RELEASES)})`;

export function releaseTable(): Line {
  return {
    height: 10,
    panels: [
      table({
        title: "Releases",
        question:
          "Which release is it? The worst verdict comes first; click a version to compare it, a channel for the agent's page of it. Evidence is what there is against a release, of what makes Lastgood act: good is healthy, or evidence far below 100%. Old versions that stand together as other are left out: nobody judges them.",
        width: 24,
        unit: UNITS.count,
        noData: "no release was reported about yet",
        labels: RELEASE,
        sortBy: "Verdict",
        labelLinks: { version: releaseLink("row"), channel: agentLink() },
        columns: [...judgement(), ...reach()],
      }),
    ],
  };
}

/** What is known of a release. */
function judgement(): Column[] {
  return [
    {
      name: "Verdict",
      expr: verdictCode({ by: RELEASE, where: RELEASES }),
      unit: UNITS.verdict,
      mappings: VERDICT_MAPPINGS,
    },
    {
      name: "Evidence",
      expr: actsAtOne,
      unit: UNITS.ratio,
      steps: [
        [0.5, COLOURS.warning],
        [1, COLOURS.bad],
      ],
    },
    {
      name: "Offered",
      expr: agreed("ota_channel_offered_info", { by: RELEASE, where: RELEASES }),
      unit: UNITS.text,
      mappings: words({ 1: { text: "offered", colour: "transparent" } }),
    },
    {
      name: "Condemned",
      expr: agreed("ota_release_condemned", { by: RELEASE, where: RELEASES }),
      unit: UNITS.text,
      mappings: words({
        0: { text: "", colour: "transparent" },
        1: { text: "condemned", colour: COLOURS.bad },
      }),
    },
  ];
}

/** How many devices it concerns. */
function reach(): Column[] {
  return [
    {
      name: "Tried",
      expr: agreed("ota_release_devices", { by: RELEASE, where: RELEASES }),
      unit: UNITS.count,
    },
    {
      name: "Running",
      expr: agreed("ota_running_devices", { by: RELEASE, where: RELEASES }),
      unit: UNITS.count,
    },
    {
      name: "Silent",
      expr: agreed("ota_silent_devices", { by: RELEASE, where: RELEASES }),
      unit: UNITS.count,
    },
    {
      name: "Last report",
      expr: secondsSince(
        agreed("ota_release_last_report_timestamp_seconds", { by: RELEASE, where: RELEASES }),
      ),
      unit: UNITS.age,
    },
  ];
}

export function releaseGraphs(): Line {
  return {
    height: 9,
    panels: [
      graph({
        title: "How near each release is to being acted on",
        question:
          "Is the evidence against a release growing? At 100% it counts as failing; good is flat and far below. The strongest of its rules is shown.",
        width: 12,
        unit: UNITS.ratio,
        noData: "no release is judged yet",
        queries: [{ expr: actsAtOne, legend: NAMES_RELEASE }],
        limit: [1, COLOURS.bad],
        links: [releaseLink("series")],
      }),
      graph({
        title: "What devices run",
        question:
          "Which version do devices run, and do they move to the one that is offered? After a rollback the bad one must go down. Old versions stand together as other.",
        width: 12,
        unit: UNITS.count,
        noData: "no device said yet what it runs",
        form: "stacked",
        queries: [
          {
            expr: agreed("ota_running_devices", { by: RELEASE, where: CHANNELS }),
            legend: NAMES_RELEASE,
          },
        ],
        overrides: [coloured("/ other$/", COLOURS.unknown)],
        links: [releaseLink("series")],
      }),
    ],
  };
}
