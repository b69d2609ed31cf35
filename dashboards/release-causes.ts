// The lower half of the release comparison: what fails and on which devices, and how many devices it concerns. Enters:
// nothing. Leaves: lines of panels.
import { COLOURS, OUTCOME_COLOURS } from "./colours.ts";
import type { Line } from "./layout.ts";
import { UNITS, coloured, graph } from "./panels.ts";
import { agreed, agreedTotal, select } from "./queries.ts";
import { BASELINE, CANDIDATE } from "./release-selection.ts";
import { table } from "./tables.ts";

/** Outcomes of devices worth a line; the others are steps on the way to these. */
const OUTCOMES_SHOWN = '=~"confirmed|failed|download_failed|crashed|not_responding"';
const BESIDE_COLOURS = [
  coloured("/\\(candidate\\)$/", COLOURS.candidate),
  coloured("other", COLOURS.unknown),
];

export function segments(): Line {
  const by = ["segment", "signal", "rule"] as const;
  return {
    height: 8,
    panels: [
      table({
        title: "Kinds of device that stand out",
        question:
          "Does it fail on one kind of device only? The strongest five of each rule; where evidence is 100%, a kind of device alone makes the release fail. Good is an empty table.",
        width: 12,
        unit: UNITS.count,
        noData: "no kind of device stands out, or no agent answers",
        labels: by,
        sortBy: "Evidence",
        columns: [
          {
            name: "Evidence",
            expr: `max by (${by.join(", ")}) (${select("ota_release_segment_evidence", CANDIDATE)} / ${select("ota_release_segment_evidence_threshold", CANDIDATE)})`,
            unit: UNITS.ratio,
            steps: [
              [0.5, COLOURS.warning],
              [1, COLOURS.bad],
            ],
          },
          {
            name: "Fails",
            expr: agreed("ota_release_segment_failure_ratio", { by, where: CANDIDATE }),
            unit: UNITS.ratio,
          },
        ],
      }),
      graph({
        title: "Crashes by hours of use",
        question:
          "In which share of all hours of use did devices crash, on the candidate and on each version beside it? Good is no difference.",
        width: 12,
        unit: UNITS.ratio,
        noData: "no hours of use reported",
        queries: [
          { expr: crashShare(CANDIDATE), legend: "{{version}} (candidate)" },
          { expr: crashShare(BASELINE), legend: "{{version}}" },
        ],
        overrides: BESIDE_COLOURS,
      }),
    ],
  };
}

function crashShare(where: typeof CANDIDATE | typeof BASELINE): string {
  const by = ["version"] as const;
  const crashed = agreedTotal("ota_crashed_device_hours_total", { by, where });
  return `${crashed} / (${agreedTotal("ota_active_device_hours_total", { by, where })} > 0)`;
}

export function outcomes(): Line {
  const share = (where: typeof CANDIDATE | typeof BASELINE): string => {
    const counted = agreedTotal("ota_devices_total", {
      by: ["version", "outcome"],
      where: { ...where, outcome: OUTCOMES_SHOWN },
    });
    const tried = agreedTotal("ota_devices_total", {
      by: ["version"],
      where: { ...where, outcome: '="attempted"' },
    });
    return `sum by (outcome) (${counted}) / on () group_left () (sum(${tried}) > 0)`;
  };
  return {
    height: 9,
    panels: [
      graph({
        title: "Outcomes of the candidate",
        question: "What became of the devices that tried the candidate? Good is nearly all confirmed.",
        width: 12,
        unit: UNITS.ratio,
        noData: "no device tried it yet",
        queries: [{ expr: share(CANDIDATE), legend: "{{outcome}}" }],
        colours: OUTCOME_COLOURS,
      }),
      graph({
        title: "Outcomes beside it",
        question:
          "What became of the devices that tried the versions beside it, all together? It is what to expect of the candidate.",
        width: 12,
        unit: UNITS.ratio,
        noData: "no other version",
        queries: [{ expr: share(BASELINE), legend: "{{outcome}}" }],
        colours: OUTCOME_COLOURS,
      }),
    ],
  };
}

export function adoption(): Line[] {
  const by = ["version"] as const;
  return [
    {
      height: 9,
      panels: [
        graph({
          title: "Adoption",
          question:
            "How many devices run the candidate, and how many each other version? After a rollback the candidate's part must shrink.",
          width: 12,
          unit: UNITS.count,
          noData: "no device said yet what it runs",
          form: "stacked",
          queries: [
            {
              expr: agreed("ota_running_devices", { by, where: CANDIDATE }),
              legend: "{{version}} (candidate)",
            },
            { expr: agreed("ota_running_devices", { by, where: BASELINE }), legend: "{{version}}" },
          ],
          overrides: BESIDE_COLOURS,
        }),
        graph({
          title: "Silent devices",
          question:
            "How many devices began to take a version up and never came back? Good is a few on every version alike.",
          width: 12,
          unit: UNITS.count,
          noData: "no agent answers, or none knows the version",
          queries: [
            {
              expr: agreed("ota_silent_devices", { by, where: CANDIDATE }),
              legend: "{{version}} (candidate)",
            },
            { expr: agreed("ota_silent_devices", { by, where: BASELINE }), legend: "{{version}}" },
          ],
          overrides: BESIDE_COLOURS,
        }),
      ],
    },
  ];
}
