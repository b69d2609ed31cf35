// Release comparison: a candidate beside what else the channel runs. Is it worse, how sure are we, and whom does it
// concern? Enters: nothing. Leaves: the dashboard.
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { annotationsOf } from "./annotations.ts";
import { COLOURS } from "./colours.ts";
import { arrange } from "./layout.ts";
import type { Line } from "./layout.ts";
import { agentPage, runbook } from "./links.ts";
import { UNITS, band, coloured, dashed, graph, number, text, timeline } from "./panels.ts";
import { agreed, secondsSince, select } from "./queries.ts";
import { adoption, outcomes, segments } from "./release-causes.ts";
import { BASELINE_BY_VERSION, CANDIDATE, CHANNEL } from "./release-selection.ts";
import {
  addressVariables,
  appVariable,
  baselineVariable,
  candidateVariable,
  channelVariable,
  dataSourceVariable,
  signalVariable,
} from "./variables.ts";
import { VERDICT_MAPPINGS, verdictCode, words } from "./verdicts.ts";

const OF_SIGNAL = { ...CANDIDATE, signal: '="$signal"' } as const;
const RULE = ["signal", "rule"] as const;

export function releaseDashboard(): Dashboard {
  return arrange({
    name: "release",
    description: "Is this release worse than what ran before it, how sure are we, and whom does it concern?",
    from: "now-24h",
    variables: [
      dataSourceVariable(),
      appVariable("one"),
      channelVariable("one"),
      candidateVariable(),
      baselineVariable(),
      signalVariable(),
      ...addressVariables(),
    ],
    annotations: annotationsOf(CHANNEL),
    sections: [
      {
        title: "State: what is the verdict on $version?",
        lines: [{ height: 4, panels: [...judged(), ...known()] }, ...verdicts()],
      },
      { title: "Symptom: is $version worse than its baseline?", lines: [rates(), evidence()] },
      { title: "Cause: what fails, and on which devices?", lines: [segments(), outcomes()] },
      { title: "Reach: how many devices does it concern?", lines: adoption() },
    ],
  });
}

const NOT_JUDGED = "not judged yet";

function judged() {
  return [
    number({
      title: "Verdict now",
      question: "What does the evidence allow to say about the candidate? Good is healthy.",
      width: 5,
      unit: UNITS.verdict,
      noData: NOT_JUDGED,
      expr: verdictCode({ where: CANDIDATE }),
      mappings: VERDICT_MAPPINGS,
    }),
    number({
      title: "Evidence of what acts",
      question:
        "How near is the strongest evidence against the candidate to making it fail? At 100% it is condemned; good is far below.",
      width: 5,
      unit: UNITS.ratio,
      noData: "no evidence yet",
      expr: `max(${select("ota_release_evidence", CANDIDATE)} / ${select("ota_release_evidence_threshold", CANDIDATE)})`,
      steps: [
        [0.5, COLOURS.warning],
        [1, COLOURS.bad],
      ],
    }),
    number({
      title: "Devices that tried it",
      question:
        "On how many devices does all of this stand? A few say little; the intervals below say how little.",
      width: 4,
      unit: UNITS.count,
      noData: "none yet",
      expr: agreed("ota_release_devices", { where: CANDIDATE }),
      base: COLOURS.plain,
    }),
  ];
}

function known() {
  return [
    number({
      title: "Offered",
      question:
        "Does the channel offer the candidate to devices now? A condemned release must not be offered.",
      width: 3,
      unit: UNITS.text,
      noData: "not offered",
      expr: agreed("ota_channel_offered_info", { where: CANDIDATE }),
      mappings: words({ 1: { text: "yes", colour: COLOURS.plain } }),
    }),
    number({
      title: "Condemned",
      question: "Did Lastgood act against the candidate? The rollback journal says how.",
      width: 3,
      unit: UNITS.text,
      noData: NOT_JUDGED,
      expr: agreed("ota_release_condemned", { where: CANDIDATE }),
      mappings: words({
        0: { text: "no", colour: COLOURS.good },
        1: { text: "YES", colour: COLOURS.bad },
      }),
    }),
    number({
      title: "Last report",
      question: "Is the candidate still heard of? Good is minutes; without reports no verdict changes.",
      width: 4,
      unit: UNITS.age,
      noData: "never reported",
      expr: secondsSince(agreed("ota_release_last_report_timestamp_seconds", { where: CANDIDATE })),
      base: COLOURS.plain,
      decimals: 0,
    }),
  ];
}

function verdicts(): Line[] {
  return [
    {
      height: 7,
      panels: [
        timeline({
          title: "Verdicts over time",
          question:
            "Since when does each version of the channel stand as it does? Good is healthy in the candidate's line.",
          width: 8,
          unit: UNITS.verdict,
          noData: NOT_JUDGED,
          queries: [
            { expr: verdictCode({ by: ["version"], where: CANDIDATE }), legend: "{{version}} (candidate)" },
            {
              expr: verdictCode({ by: ["version"], where: BASELINE_BY_VERSION }),
              legend: "{{version}}",
            },
          ],
          mappings: VERDICT_MAPPINGS,
        }),
        timeline({
          title: "Why",
          question:
            "For which reason is the verdict what it is? With environment look at the backend, not at the release; docs/reasons.md explains each.",
          width: 8,
          unit: UNITS.text,
          noData: NOT_JUDGED,
          queries: [
            {
              expr: agreed("ota_release_verdict_reason", { by: ["reason"], where: CANDIDATE }),
              legend: "{{reason}}",
            },
          ],
          mappings: words({ 1: { text: "holds", colour: COLOURS.candidate } }),
        }),
        text({
          title: "What to do",
          question: "What do I do with a release that looks bad?",
          width: 8,
          markdown: `
- **failing**: Lastgood acts as its policy says; the [rollback journal](/d/lastgood-rollbacks?\${datasource:queryparam}&\${app:queryparam}&\${channel:queryparam}&\${__url_time_range}) tells what was done or which guard holds it back.
- **Evidence grows, and below 100%**: look at *Kinds of device* and decide by hand while there is time: [agent's page](${agentPage("${app:percentencode}", "${channel:percentencode}")}).
- **Reason \`environment\`**: all versions fail alike. Mend the backend or network.
- **unmeasurable**: the reason says which reports are missing.
- What each alert means: [runbooks](${runbook("README")}).`,
        }),
      ],
    },
  ];
}

function rates(): Line {
  const at = (name: "ota_release_failure_ratio_low" | "ota_release_failure_ratio_high"): string =>
    agreed(name, { where: OF_SIGNAL });
  return {
    height: 10,
    panels: [
      graph({
        title: "$signal: candidate beside baseline",
        question:
          "Does the candidate fail more often than its baseline, or than the policy allows? The band holds the true rate at every moment at once (95%); good is a band below the limit, or around the baseline.",
        width: 12,
        unit: UNITS.ratio,
        noData: "nothing measured for this signal",
        queries: [
          { expr: at("ota_release_failure_ratio_low"), legend: "interval, low" },
          { expr: at("ota_release_failure_ratio_high"), legend: "interval, high" },
          { expr: agreed("ota_release_failure_ratio", { where: OF_SIGNAL }), legend: "candidate" },
          { expr: agreed("ota_release_baseline_failure_ratio", { where: OF_SIGNAL }), legend: "baseline" },
          {
            expr: agreed("ota_policy_limit_ratio", { where: { ...CHANNEL, signal: '="$signal"' } }),
            legend: "limit",
          },
        ],
        overrides: [
          ...band("interval, low", "interval, high", COLOURS.candidate),
          coloured("candidate", COLOURS.candidate),
          coloured("baseline", COLOURS.baseline),
          dashed("limit", COLOURS.limit),
        ],
      }),
      graph({
        title: "All signals of the candidate",
        question: "Which signal is worth choosing above? One line per signal; good is all of them low.",
        width: 12,
        unit: UNITS.ratio,
        noData: NOT_JUDGED,
        queries: [
          {
            expr: agreed("ota_release_failure_ratio", { by: ["signal"], where: CANDIDATE }),
            legend: "{{signal}}",
          },
        ],
        colours: {
          update_failure: COLOURS.bad,
          download_failure: COLOURS.warning,
          crash: COLOURS.baseline,
          not_responding: COLOURS.candidate,
          silence: COLOURS.unknown,
        },
      }),
    ],
  };
}

function evidence(): Line {
  return {
    height: 9,
    panels: [
      graph({
        title: "Evidence against its threshold",
        question:
          "How sure is it that the candidate breaks a rule? log10: 2 is 100 to 1. Where a line meets its dashed threshold the release counts as failing; good is flat, or below 0.",
        width: 12,
        unit: UNITS.log10,
        noData: "no rule weighs evidence yet",
        floor: "free",
        queries: [
          {
            expr: agreed("ota_release_evidence", { by: RULE, where: CANDIDATE }),
            legend: "{{signal}}, {{rule}}",
          },
          {
            expr: agreed("ota_release_evidence_threshold", { by: RULE, where: CANDIDATE }),
            legend: "threshold of {{signal}}, {{rule}}",
          },
        ],
        overrides: [dashed("/^threshold/", COLOURS.limit)],
      }),
      graph({
        title: "$signal: how many times the baseline",
        question:
          "How many times as often as its baseline does the candidate fail? The band holds the truth at every moment at once (95%); good is a band that holds 1, bad one that lies above it.",
        width: 12,
        unit: UNITS.times,
        noData: "no baseline to compare with",
        queries: [
          { expr: agreed("ota_release_times_baseline_low", { where: OF_SIGNAL }), legend: "at least" },
          { expr: agreed("ota_release_times_baseline_high", { where: OF_SIGNAL }), legend: "at most" },
        ],
        overrides: band("at least", "at most", COLOURS.candidate),
        limit: [1, COLOURS.warning],
      }),
    ],
  };
}
