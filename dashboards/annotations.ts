// Marks on the graphs, all of them Prometheus queries: they need no token, and are there again after Grafana was lost.
// Enters: how apps and channels are matched. Leaves: annotation queries.
import { AnnotationQueryBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import type { AnnotationQuery } from "@grafana/grafana-foundation-sdk/dashboard";
import { COLOURS } from "./colours.ts";
import { FIRING, agreed, select } from "./queries.ts";
import type { Matcher } from "./queries.ts";
import { DATA_SOURCE } from "./variables.ts";

/** Grafana looks at annotations in steps of this; what lasts longer becomes a region. */
const STEP = "60s";
/** A version that was offered this shortly before is the same offer: the agent was restarted, or a scrape failed. */
const SAME_OFFER = "10m";

export interface AnnotatedChannels {
  readonly app: Matcher;
  readonly channel: Matcher;
}

export function annotationsOf({ app, channel }: AnnotatedChannels): AnnotationQuery[] {
  const by = ["app", "channel", "version"] as const;
  const offered = select("ota_channel_offered_info", { app, channel });
  return [
    mark("Releases", COLOURS.candidate)
      .expr(
        `${agreed("ota_channel_offered_info", { by, where: { app, channel } })} unless max by (${by.join(", ")}) (last_over_time(${offered}[${SAME_OFFER}] offset 1m))`,
      )
      .titleFormat("{{app}} {{channel}}: offers {{version}}")
      .textFormat("The OTA server began to offer {{version}}.")
      .tagKeys("app,channel,version")
      .build(),
    // The value is the time: the mark stands where the decision was made, and once, however often it is scraped.
    mark("Decisions", COLOURS.bad)
      .expr(
        `${agreed("ota_last_decision_timestamp_seconds", {
          by: ["app", "channel", "version", "target_version", "action", "mode", "reason"],
          where: { app, channel },
        })} * 1000`,
      )
      .useValueForTime(true)
      .titleFormat("{{app}} {{channel}}: {{action}} {{version}} → {{target_version}}")
      .textFormat("{{action}} ({{mode}}) of {{version}} → {{target_version}}: {{reason}}")
      .tagKeys("action,mode,reason")
      .build(),
    // Alerts about no app (a process is down) concern every dashboard. A region, as long as it fires.
    mark("Alerts", COLOURS.warning)
      .expr(`max by (alertname, severity, app, channel, version) (${FIRING})`)
      .titleFormat("{{alertname}}")
      .textFormat("{{alertname}} ({{severity}}) {{app}} {{channel}} {{version}}")
      .tagKeys("alertname,severity")
      .build(),
  ];
}

function mark(name: string, colour: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(DATA_SOURCE)
    .enable(true)
    .iconColor(colour)
    .step(STEP);
}
