// Fleet overview: is anything wrong now, and with which release? The page to open when an alert came or nothing is known.
// Enters: nothing. Leaves: the dashboard.
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { annotationsOf } from "./annotations.ts";
import { COLOURS, DECISION_COLOURS, RESULT_COLOURS } from "./colours.ts";
import { CHANNELS, RELEASE, releaseGraphs, releaseTable } from "./fleet-releases.ts";
import { arrange } from "./layout.ts";
import type { Line } from "./layout.ts";
import { FOLD_LAG_SECONDS } from "./limits.ts";
import { agentPage, runbook } from "./links.ts";
import { UNITS, graph, number, text } from "./panels.ts";
import {
  FIRING,
  HELD_BACK,
  WAITING,
  across,
  agreed,
  agreedIncrease,
  secondsSince,
  select,
  summedRate,
} from "./queries.ts";
import { addressVariables, appVariable, channelVariable, dataSourceVariable } from "./variables.ts";
import { words } from "./verdicts.ts";

const failingAndOffered =
  `sum(${agreed("ota_release_verdict", { by: RELEASE, where: { ...CHANNELS, verdict: '="failing"' } })}` +
  ` and on (${RELEASE.join(", ")}) ${agreed("ota_channel_offered_info", { by: RELEASE, where: CHANNELS })} == 1)`;

export function fleetDashboard(): Dashboard {
  return arrange({
    name: "fleet",
    description: "Is anything wrong now, and with which release?",
    from: "now-6h",
    variables: [
      dataSourceVariable(),
      appVariable("several"),
      channelVariable("several"),
      ...addressVariables(),
    ],
    annotations: annotationsOf(CHANNELS),
    sections: [
      {
        title: "State: is anything wrong now?",
        lines: [{ height: 4, panels: [...actsNow(), ...abilities()] }, whatToDo()],
      },
      { title: "Symptom: which release?", lines: [releaseTable(), releaseGraphs()] },
      { title: "Cause: what was done, and what holds it back?", lines: decisions() },
      { title: "Resources: can Lastgood see?", lines: sight() },
    ],
  });
}

const NOT_READ = "no agent answers";

function actsNow() {
  return [
    number({
      title: "Failing, offered",
      question:
        "How many releases fail while their channel still offers them? Good is 0; a failing release that was rolled back does not count.",
      width: 3,
      unit: UNITS.count,
      noData: "none judged",
      expr: failingAndOffered,
      steps: [[1, COLOURS.bad]],
    }),
    number({
      title: "Held back",
      question:
        "How many rollbacks does a guard hold back now? Good is 0; the journal says which guard. Where the channel has moved on there is nothing to roll back, and nothing is counted.",
      width: 3,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: HELD_BACK,
      steps: [[1, COLOURS.warning]],
    }),
    number({
      title: "Waiting",
      question:
        "How many decisions wait for the OTA server's answer, or for a person's yes? Good is 0 after a minute.",
      width: 3,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: WAITING,
      steps: [[1, COLOURS.warning]],
    }),
    number({
      title: "Alerts firing",
      question:
        "How many alerts of Prometheus fire that want a person? Good is 0; these speak even when no agent does.",
      width: 3,
      unit: UNITS.count,
      noData: "Prometheus is away",
      // Where the rules are not evaluated, nothing can fire: that is no zero.
      expr: `count(${FIRING}) or 0 * max(ALERTS{alertname="OtaWatchdog",alertstate="firing"})`,
      steps: [[1, COLOURS.bad]],
    }),
  ];
}

/** Whether Lastgood may act, can call, and sees. */
function abilities() {
  return [
    number({
      title: "Kill switch",
      question: "May Lastgood act by itself? Good is off: with the switch on it only watches.",
      width: 3,
      unit: UNITS.text,
      noData: NOT_READ,
      expr: agreed("ota_agent_frozen"),
      mappings: words({ 0: { text: "off", colour: COLOURS.good }, 1: { text: "ON", colour: COLOURS.bad } }),
    }),
    number({
      title: "Agents' pages",
      question:
        "How many pages that want a person did agents send to Alertmanager, and still stand? Good is 0. Without an Alertmanager it is always 0.",
      width: 3,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: `sum(${agreed("ota_pages_standing", { by: ["severity"], where: { severity: '!="info"' } })})`,
      steps: [[1, COLOURS.bad]],
    }),
    number({
      title: "Agents",
      question:
        "How many agents answer, and can read Redis? Good is all that you run; with none, all of this page is blind.",
      width: 3,
      unit: UNITS.count,
      noData: "none answers",
      expr: `count(${select("ota_redis_up")} == 1)`,
      base: COLOURS.bad,
      steps: [[1, COLOURS.good]],
    }),
    number({
      title: "Listening since",
      question:
        "For how long has ingest taken in every report? Good is longer than the silence deadline; while it does not listen nobody is counted silent.",
      width: 3,
      unit: UNITS.age,
      noData: "not listening",
      expr: secondsSince(agreed("ota_listening_since_timestamp_seconds")),
      decimals: 0,
    }),
  ];
}

function whatToDo(): Line {
  return {
    height: 5,
    panels: [
      text({
        title: "What to do",
        question: "What do I do when something here is not green?",
        width: 24,
        markdown: `
- **A release is failing and offered**: click its version in the table below. If its rollback is held back, the [rollback journal](/d/lastgood-rollbacks?\${datasource:queryparam}&\${app:queryparam}&\${channel:queryparam}&\${__url_time_range}) says by which guard; take the release back at the OTA server, or by \`lastgood rollback\`. [Runbook](${runbook("OtaReleaseFailingNotRolledBack")})
- **The reason is \`environment\`**: look at your backend and network. All versions fail alike, and a rollback would not help. [Runbook](${runbook("OtaEnvironmentIncident")})
- **No agent answers, or nobody listens**: go to the [pipeline](/d/lastgood-pipeline?\${datasource:queryparam}&\${__url_time_range}). Nothing is rolled back by itself until it runs. [Runbook](${runbook("OtaAgentDown")})
- **The kill switch is on**: find out who set it and why on the [agent's page](${agentPage("", "").replace(/#.*/, "")}); \`lastgood unfreeze\` lifts it. All runbooks: [here](${runbook("README")}).`,
      }),
    ],
  };
}

function decisions(): Line[] {
  return [
    {
      height: 8,
      panels: [
        graph({
          title: "Decisions",
          question:
            "What did Lastgood decide, and when? Good is nothing; of all apps, since decisions are counted by action.",
          width: 8,
          unit: UNITS.count,
          noData: NOT_READ,
          form: "bars",
          colours: DECISION_COLOURS,
          queries: [
            {
              expr: `sum by (action) (${agreedIncrease("ota_rollback_decisions_total", { by: ["action", "reason"], over: "interval" })})`,
              legend: "{{action}}",
            },
          ],
        }),
        graph({
          title: "Held back, by guard",
          question:
            "Which guard holds rollbacks back? Good is none; docs/reasons.md says what to do for each.",
          width: 8,
          unit: UNITS.count,
          noData: "nothing is held back, or no agent answers",
          form: "stacked",
          queries: [{ expr: agreed("ota_rollbacks_held", { by: ["reason"] }), legend: "{{reason}}" }],
        }),
        graph({
          title: "Why verdicts are what they are",
          question:
            "Is it the release, or is something wrong that all versions share (environment)? Good is within_limits, or not_enough_evidence while a release is young.",
          width: 8,
          unit: UNITS.count,
          noData: "no release is judged yet",
          form: "stacked",
          colours: {
            environment: COLOURS.warning,
            within_limits: COLOURS.good,
            limit_exceeded: COLOURS.bad,
            worse_than_baseline: COLOURS.bad,
            segment_failing: COLOURS.bad,
            not_enough_evidence: COLOURS.candidate,
          },
          queries: [
            {
              expr: `sum by (reason) (${agreed("ota_release_verdict_reason", { by: [...RELEASE, "reason"], where: CHANNELS })})`,
              legend: "{{reason}}",
            },
          ],
        }),
      ],
    },
  ];
}

function sight(): Line[] {
  return [
    {
      height: 8,
      panels: [
        graph({
          title: "Reports taken in",
          question:
            "Do reports arrive, and are they accepted? Good is the usual rate, and nothing but accepted.",
          width: 8,
          unit: UNITS.perSecond,
          noData: "ingest answers no scrape",
          form: "stacked",
          colours: RESULT_COLOURS,
          queries: [
            {
              expr: summedRate("ota_ingest_reports_total", { by: ["result"] }),
              legend: "{{result}}",
            },
          ],
        }),
        graph({
          title: "How old the counts are",
          question:
            "Does all of the above show the present? Good is a few seconds; beyond a minute it is history.",
          width: 8,
          unit: UNITS.seconds,
          noData: NOT_READ,
          queries: [{ expr: agreed("ota_fold_lag_seconds"), legend: "oldest report not yet counted" }],
          limit: [FOLD_LAG_SECONDS.warning, COLOURS.warning],
        }),
        graph({
          title: "Judged last",
          question: "Is every channel still judged? Good is a time as short as its devices report often.",
          width: 8,
          unit: UNITS.age,
          noData: "no channel was judged yet",
          queries: [
            {
              expr: secondsSince(
                agreed("ota_channel_evaluated_timestamp_seconds", {
                  by: ["app", "channel"],
                  where: CHANNELS,
                }),
              ),
              legend: "{{app}} {{channel}}",
            },
            {
              expr: `time() - ${across("max", "ota_poll_complete_timestamp_seconds", { by: ["app"], where: { app: CHANNELS.app } })}`,
              legend: "{{app}}: OTA server read",
            },
          ],
        }),
      ],
    },
  ];
}
