// Counting rules of a configuration: the app's own strata, the deadline of the channel's policy, and the
// defaults for what is not configured.
import { deserialize, serialize } from "node:v8";
import { describe, expect, it } from "vitest";
import { countingRulesOf, countingTableOf, rulesOf } from "../../../../agent/config/counting-rules.ts";
import type { CountingTable } from "../../../../agent/config/counting-rules.ts";
import type { AppSettings } from "../../../../agent/config/schema.ts";
import { SILENCE_DEADLINE_MS_DEFAULT, STRATA_MAX_DEFAULT } from "../../../../agent/health/counting-rules.ts";
import type { CountingRules } from "../../../../agent/health/counting-rules.ts";
import { STRATUM_FIELDS } from "../../../../agent/health/stratum.ts";
import type { RuleToJudge } from "../../../../agent/judge/rule-to-judge.ts";
import type { AppId, Channel } from "../../../../ingest/contract/release-key.ts";
import { agentSettings } from "../../../support/agent.ts";
import { TILL, samplePolicy } from "../../../support/verdicts.ts";

const MINUTE_MS = 60_000;
const UPDATE: RuleToJudge = { form: "limit", signal: "update_failure", limit: 0.05 };

function policyWith(name: string, ...rules: readonly RuleToJudge[]) {
  return [name, samplePolicy({ name, rules: [UPDATE, ...rules] })] as const;
}

/** The till with two channels, and a kiosk. */
function sampleSettings() {
  const [settings] = [...agentSettings([{ name: TILL.app, otaUrl: "http://127.0.0.1:9" }]).apps.values()];
  const channel = (policyName: string) => ({ policyName, minimumVersion: undefined });
  const till: AppSettings = {
    ...settings!,
    strata: { by: ["platform", "model"], max: 7 },
    channels: new Map([
      [TILL.channel, channel("patient")],
      ["beta" as Channel, channel("silent")],
    ]),
  };
  const kiosk: AppSettings = {
    ...settings!,
    strata: { by: [], max: 1_000 },
    channels: new Map([[TILL.channel, channel("hasty")]]),
  };
  return {
    apps: new Map([
      [TILL.app, till],
      ["kiosk" as AppId, kiosk],
    ]),
    policies: new Map([
      policyWith("patient", { form: "limit", signal: "silence", limit: 0.02, deadlineMs: 90 * MINUTE_MS }),
      policyWith("hasty", {
        form: "worse_than_baseline",
        signal: "silence",
        allowance: { ratio: 1.5, points: 0 },
        deadlineMs: 5 * MINUTE_MS,
      }),
      policyWith("silent"),
    ]),
  };
}

const rules = (): CountingRules => countingRulesOf(sampleSettings());

it("what counts how can be sent to another process, and says the same there", () => {
  const table = countingTableOf(sampleSettings());
  const sent = rulesOf(deserialize(serialize(table)) as CountingTable);
  for (const key of [TILL, { ...TILL, app: "kiosk" as AppId }, { ...TILL, channel: "gone" as Channel }]) {
    expect(sent.strataOf(key.app)).toEqual(rules().strataOf(key.app));
    expect(sent.strataMaxOf(key.app)).toBe(rules().strataMaxOf(key.app));
    expect(sent.silenceDeadlineMsOf(key)).toBe(rules().silenceDeadlineMsOf(key));
  }
});

describe("countingRulesOf", () => {
  it("each app has its own strata, also none", () => {
    expect(rules().strataOf(TILL.app)).toEqual(["platform", "model"]);
    expect(rules().strataMaxOf(TILL.app)).toBe(7);
    expect(rules().strataOf("kiosk")).toEqual([]);
    expect(rules().strataMaxOf("kiosk")).toBe(1_000);
  });

  it("the deadline of a channel is that of its policy's rule", () => {
    expect(rules().silenceDeadlineMsOf(TILL)).toBe(90 * MINUTE_MS);
    expect(rules().silenceDeadlineMsOf({ ...TILL, app: "kiosk" as AppId })).toBe(5 * MINUTE_MS);
  });

  it("a policy without a rule on silence counts it after the default", () => {
    expect(rules().silenceDeadlineMsOf({ ...TILL, channel: "beta" as Channel })).toBe(
      SILENCE_DEADLINE_MS_DEFAULT,
    );
  });

  it("an app or channel that is not configured gets the defaults", () => {
    const gone = { app: "gone" as AppId, channel: TILL.channel };
    expect(rules().strataOf(gone.app)).toEqual(STRATUM_FIELDS);
    expect(rules().strataMaxOf(gone.app)).toBe(STRATA_MAX_DEFAULT);
    expect(rules().silenceDeadlineMsOf(gone)).toBe(SILENCE_DEADLINE_MS_DEFAULT);
    expect(rules().silenceDeadlineMsOf({ ...TILL, channel: "gone" as Channel })).toBe(
      SILENCE_DEADLINE_MS_DEFAULT,
    );
  });
});
