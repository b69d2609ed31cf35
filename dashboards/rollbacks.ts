// Rollback journal: what was done, how fast, did it help, and what is held back and why? Enters: nothing. Leaves: the
// dashboard.
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { annotationsOf } from "./annotations.ts";
import { COLOURS, DECISION_COLOURS } from "./colours.ts";
import { arrange } from "./layout.ts";
import type { Line } from "./layout.ts";
import { ROLLBACK_SECONDS } from "./limits.ts";
import { agentLink, agentPage, releaseLink, runbook } from "./links.ts";
import { UNITS, bars, coloured, graph, number, text, timeline } from "./panels.ts";
import {
  HELD_BACK,
  WAITING,
  agreed,
  agreedBuckets,
  agreedIncrease,
  agreedRise,
  quantileOf,
  select,
} from "./queries.ts";
import { table } from "./tables.ts";
import {
  addressVariables,
  appVariable,
  channelVariable,
  dataSourceVariable,
  versionVariable,
} from "./variables.ts";
import { words } from "./verdicts.ts";

const CHANNELS = { app: '=~"$app"', channel: '=~"$channel"' } as const;
const RELEASES = { ...CHANNELS, version: '=~"$version"' } as const;
const DECISION = [
  "app",
  "channel",
  "version",
  "target_version",
  "action",
  "mode",
  "reason",
  "outcome",
] as const;
const NOT_READ = "no agent answers";

/** Seconds from a failing report to a channel that is back that Lastgood takes while all is well. */
const ROLLBACK_SECONDS_GOOD = 5;

/**
 * The channels' decisions of the dashboard's range. One that waits for its answer has `outcome="none"`, and is another series
 * than the same one answered: that is shown only while it stands, or where nothing is to be answered (shadow).
 */
function decisionsOfRange(): string {
  const lately = (where: Parameters<typeof select<"ota_last_decision_timestamp_seconds">>[1]): string =>
    `last_over_time(${select("ota_last_decision_timestamp_seconds", where)}[$__range])`;
  const answered = lately({ ...RELEASES, outcome: '!="none"' });
  const shadow = lately({ ...RELEASES, mode: '="shadow"' });
  const now = select("ota_last_decision_timestamp_seconds", RELEASES);
  return `max by (${DECISION.join(", ")}) (${answered} or ${shadow} or ${now}) * 1000`;
}

export function rollbacksDashboard(): Dashboard {
  return arrange({
    name: "rollbacks",
    description: "What was rolled back, how fast, did it help, and what is held back and why?",
    from: "now-7d",
    variables: [
      dataSourceVariable(),
      appVariable("several"),
      channelVariable("several"),
      versionVariable(),
      ...addressVariables(),
    ],
    annotations: annotationsOf(CHANNELS),
    sections: [
      {
        title: "State: what was done?",
        lines: [{ height: 4, panels: [...ended(), ...waitingNow()] }, journal()],
      },
      { title: "Symptom: how fast, and did it help?", lines: [speed()] },
      { title: "Cause: what is held back, and why?", lines: [held(), switches()] },
    ],
  });
}

function ended() {
  const times = (outcomes: string): string =>
    `sum(${agreedRise("ota_rollbacks_total", { by: ["outcome"], where: { outcome: `=~"${outcomes}"` } })})`;
  return [
    number({
      title: "Done",
      question:
        "How many decisions of this time did the OTA server carry out? Of all apps: ends are counted by outcome.",
      width: 4,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: times("applied|already_applied"),
      base: COLOURS.plain,
      decimals: 0,
    }),
    number({
      title: "Refused or failed",
      question: "How many did the OTA server not carry out? Good is 0; each of them needed a person.",
      width: 4,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: times("refused|failed"),
      steps: [[0.5, COLOURS.bad]],
      decimals: 0,
    }),
    number({
      title: "Half were done within",
      question:
        "How long does it take from the failing report that was one too many to a channel that is back? Good is seconds.",
      width: 4,
      unit: UNITS.seconds,
      noData: "no rollback yet",
      expr: quantileOf(0.5, agreedBuckets("ota_rollback_duration_seconds")),
      steps: [
        [ROLLBACK_SECONDS_GOOD, COLOURS.warning],
        [ROLLBACK_SECONDS.warning, COLOURS.bad],
      ],
    }),
  ];
}

function waitingNow() {
  return [
    number({
      title: "Without effect",
      question:
        "After how many rollbacks do devices not leave the bad release? Good is 0; look whether they ask for updates.",
      width: 4,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: agreed("ota_rollback_follow_ups", { where: { kind: '="not_effective"' } }),
      steps: [[1, COLOURS.bad]],
    }),
    number({
      title: "Held back now",
      question: "How many rollbacks does a guard hold back now? Good is 0; below it says which guard.",
      width: 4,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: HELD_BACK,
      steps: [[1, COLOURS.warning]],
    }),
    number({
      title: "Waiting",
      question: "How many decisions wait for the OTA server's answer, or for a person's yes? Good is 0.",
      width: 4,
      unit: UNITS.count,
      noData: NOT_READ,
      expr: WAITING,
      steps: [[1, COLOURS.warning]],
    }),
  ];
}

function journal(): Line {
  return {
    height: 10,
    panels: [
      table({
        title: "Decisions",
        question:
          "What was decided about which release, when, and how did it end? Each channel's newest decision of its kind within the time range; click a version to see the evidence, a channel for the whole journal on the agent's page.",
        width: 24,
        unit: UNITS.count,
        noData: "no decision in this time, or no agent answers",
        labels: DECISION,
        sortBy: "Decided",
        labelLinks: { version: releaseLink("row"), channel: agentLink() },
        labelColours: { outcome: DECISION_COLOURS },
        columns: [{ name: "Decided", expr: decisionsOfRange(), unit: UNITS.time, width: 190 }],
      }),
    ],
  };
}

function speed(): Line {
  return {
    height: 9,
    panels: [
      bars({
        title: "Rollbacks by the seconds they took",
        question:
          "Within how many seconds were automatic rollbacks of this time done? Good is everything in the upper bars; those that waited for a person do not count.",
        width: 8,
        unit: UNITS.count,
        noData: "no rollback yet",
        format: "heatmap",
        colour: COLOURS.plain,
        query: { expr: agreedBuckets("ota_rollback_duration_seconds"), legend: "{{le}}" },
      }),
      graph({
        title: "Devices on each version",
        question:
          "Do devices leave the bad release after a rollback's mark? Good is its part going to nothing.",
        width: 8,
        unit: UNITS.count,
        noData: "no device said yet what it runs",
        form: "stacked",
        queries: [
          {
            expr: agreed("ota_running_devices", { by: ["app", "channel", "version"], where: RELEASES }),
            legend: "{{app}} {{channel}} {{version}}",
          },
        ],
        overrides: [coloured("/ other$/", COLOURS.unknown)],
        links: [releaseLink("series")],
      }),
      graph({
        title: "Did it help?",
        question:
          "Of the rollbacks that went through, after how many did devices leave the version? Good is effective; watching means that it is too early to say.",
        width: 8,
        unit: UNITS.count,
        noData: NOT_READ,
        form: "stacked",
        colours: DECISION_COLOURS,
        queries: [{ expr: agreed("ota_rollback_follow_ups", { by: ["kind"] }), legend: "{{kind}}" }],
      }),
    ],
  };
}

function held(): Line {
  return {
    height: 8,
    panels: [
      graph({
        title: "Held back, by guard",
        question:
          "Which guard holds rollbacks back, and for how long already? Good is none, but for channel_moved_on: there is nothing left to roll back.",
        width: 8,
        unit: UNITS.count,
        noData: "nothing is held back, or no agent answers",
        form: "stacked",
        queries: [{ expr: agreed("ota_rollbacks_held", { by: ["reason"] }), legend: "{{reason}}" }],
      }),
      table({
        title: "Decisions of this time, by reason",
        question:
          "What was decided, and what held back, how often and for which reason? docs/reasons.md says what to do for each.",
        width: 8,
        unit: UNITS.count,
        noData: "nothing was decided or held back, or no agent answers",
        labels: ["action", "reason"],
        sortBy: "Times",
        labelColours: { action: DECISION_COLOURS },
        columns: [
          {
            name: "Times",
            expr: `round(${agreedIncrease("ota_rollback_decisions_total", { by: ["action", "reason"], over: "dashboard" })}) > 0`,
            unit: UNITS.count,
          },
        ],
      }),
      text({
        title: "What to do",
        question: "What do I do about a rollback that is held back, or did not help?",
        width: 8,
        markdown: `
- **Held back by \`environment\`**: mend the backend or network; all versions fail alike.
- **By \`frozen\`, \`freeze_window\`, \`kill_switch\`**: act by hand, or \`lastgood unfreeze\`.
- **By a budget or \`cooling_down\`**: several bad releases have a common cause. Look before you act.
- **By \`no_good_target\`, \`unknown_devices\`** and the like: choose a version at the OTA server by hand.
- **Refused or failed**: the channel still serves the bad release. Act at the OTA server now. [Runbook](${runbook("OtaRollbacksFailing")})
- **Without effect**: do devices ask for updates, and accept an older version?

Approve, reject, freeze and the whole journal: [agent's page](${agentPage("", "").replace(/#.*/, "")}). All alerts: [runbooks](${runbook("README")}).`,
      }),
    ],
  };
}

function switches(): Line {
  const frozen = words({
    0: { text: "acts by itself", colour: COLOURS.good },
    1: { text: "frozen", colour: COLOURS.bad },
  });
  return {
    height: 6,
    panels: [
      timeline({
        title: "Freezes",
        question:
          "When was Lastgood kept from acting, and on which channel? Good is never without your knowing.",
        width: 12,
        unit: UNITS.text,
        noData: NOT_READ,
        queries: [
          { expr: agreed("ota_agent_frozen"), legend: "everywhere (kill switch)" },
          {
            expr: agreed("ota_channel_frozen", { by: ["app", "channel"], where: CHANNELS }),
            legend: "{{app}} {{channel}}",
          },
        ],
        mappings: frozen,
      }),
      graph({
        title: "Waiting for an answer",
        question: "How long did decisions wait for the OTA server, or for a person? Good is short peaks.",
        width: 12,
        unit: UNITS.count,
        noData: NOT_READ,
        form: "steps",
        queries: [
          { expr: agreed("ota_rollbacks_pending"), legend: "OTA server" },
          { expr: agreed("ota_approvals_waiting"), legend: "a person" },
        ],
        colours: { "OTA server": COLOURS.warning, "a person": COLOURS.plain },
      }),
    ],
  };
}
