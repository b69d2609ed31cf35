// `POST /v1/alertmanager`: Alertmanager's webhook (version 4) as a way for a user's own PromQL rules to ask for an act.
// An alert with the labels app, channel, version and ota_action goes through the same guards as the judge's own. Enters:
// the webhook's JSON. Leaves: alerts kept until they are over, and an evaluation. What can't be used is named and
// answered with 200: Alertmanager would send it again and again.
import express from "express";
import type { Router } from "express";
import { z } from "zod";
import { isAppOrChannel, isVersion } from "../../ingest/contract/release-key.ts";
import type { AppId, Channel, ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { AlertStore } from "../journal/alert-store.ts";
import { POLICY_ACTIONS } from "../policy/decision.ts";
import type { PolicyAction } from "../policy/decision.ts";
import { requireOperator } from "./authenticate.ts";
import { jsonBodyOf, parseBody } from "./json-body.ts";

/** Alerts of one request that are looked at, and characters of an alert's name and of its own words. */
export const ALERTS_MAX = 500;
/** A storm of alerts must not be turned away: it would be the worst moment. */
const WEBHOOK_BYTES_MAX = 4 * 1_048_576;
const NAME_CHARS_MAX = 200;
const WORDS_CHARS_MAX = 500;

const alertSchema = z.object({
  status: z.enum(["firing", "resolved"]),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()).optional(),
});
type WebhookAlert = z.infer<typeof alertSchema>;

/** What stands in `alerts` is looked at one by one: one that is wrong must not keep the others from being heard. */
export const webhookSchema = z.object({ version: z.string().optional(), alerts: z.array(z.unknown()) });

export interface AlertmanagerRoutesDeps {
  readonly alerts: AlertStore;
  readonly isWatched: (key: ChannelKey) => boolean;
  readonly onChange: (key: ChannelKey) => Promise<void>;
  /** The release is to be judged anew: what was held for the alert may be over. */
  readonly onResolved: (release: ReleaseKey) => Promise<void>;
  readonly clock: Clock;
}

interface AlertAnswer {
  readonly index: number;
  readonly result: "began" | "goes_on" | "ended" | "ignored";
  /** Why it was ignored. */
  readonly detail?: string;
}

const TOO_MANY = { result: "ignored", detail: `only the first ${ALERTS_MAX} alerts are looked at` } as const;

export function alertmanagerRoutes(deps: AlertmanagerRoutesDeps): Router {
  const router = express.Router();
  router.post(
    "/alertmanager",
    requireOperator,
    ...jsonBodyOf(WEBHOOK_BYTES_MAX),
    async (request, response) => {
      const { alerts } = parseBody(
        webhookSchema,
        request,
        "Send what Alertmanager's webhook_config sends (version 4).",
      );
      const answers: AlertAnswer[] = [];
      for (const [index, alert] of alerts.slice(0, ALERTS_MAX).entries())
        answers.push({ index, ...(await takeAny(alert, deps)) });
      if (alerts.length > ALERTS_MAX) answers.push({ index: ALERTS_MAX, ...TOO_MANY });
      response.json({ alerts: answers });
    },
  );
  return router;
}

async function takeAny(alert: unknown, deps: AlertmanagerRoutesDeps): Promise<Omit<AlertAnswer, "index">> {
  const { success, data } = alertSchema.safeParse(alert);
  if (success) return take(data, deps);
  return { result: "ignored", detail: "it has no status (firing or resolved) and labels of an alert" };
}

async function take(alert: WebhookAlert, deps: AlertmanagerRoutesDeps): Promise<Omit<AlertAnswer, "index">> {
  const read = readAlert(alert);
  if (read.kind === "ignored") return { result: "ignored", detail: read.detail };
  const { release, action, alertname } = read;
  // Also of a channel that nobody watches any more: else it would ask again when the channel comes back.
  if (alert.status === "resolved") {
    const ended = await deps.alerts.resolve({ release, alertname, action });
    if (ended === "unknown") return { result: "ignored", detail: "it was not firing here" };
    await deps.onResolved(release);
    return { result: ended };
  }
  if (!deps.isWatched(release))
    return {
      result: "ignored",
      detail: `the configuration names no channel ${release.channel} of ${release.app}`,
    };
  const result = await deps.alerts.fire({
    release,
    alertname,
    action,
    sentence: sentenceOf(alert, alertname),
    since: new Date(deps.clock()).toISOString(),
  });
  if (result === "full") return { result: "ignored", detail: "too many alerts ask for something already" };
  await deps.onChange(release);
  return { result };
}

type ReadAlert =
  | {
      readonly kind: "alert";
      readonly release: ReleaseKey;
      readonly action: PolicyAction;
      readonly alertname: string;
    }
  | { readonly kind: "ignored"; readonly detail: string };

function readAlert({ labels }: WebhookAlert): ReadAlert {
  const { app = "", channel = "", version = "", ota_action: wanted, alertname: name = "alert" } = labels;
  const alertname = name.replaceAll(/[\p{Cc}\p{Cf}]/gu, "?").slice(0, NAME_CHARS_MAX);
  const action = POLICY_ACTIONS.find((each) => each === wanted);
  if (action === undefined)
    return { kind: "ignored", detail: `the label ota_action must be ${POLICY_ACTIONS.join(", ")}` };
  if (!isAppOrChannel(app) || !isAppOrChannel(channel) || !isVersion(version))
    return { kind: "ignored", detail: "it needs the labels app, channel and version of a release" };
  return {
    kind: "alert",
    release: { app: app as AppId, channel: channel as Channel, version },
    action,
    alertname,
  };
}

function sentenceOf({ annotations = {} }: WebhookAlert, alertname: string): string {
  const words = annotations["description"] ?? annotations["summary"] ?? "";
  const said = words
    .replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, " ")
    .trim()
    .slice(0, WORDS_CHARS_MAX);
  const stop = /[.!?]$/.test(said) ? "" : ".";
  return said === ""
    ? `The alert ${alertname} is firing.`
    : `The alert ${alertname} is firing: ${said}${stop}`;
}
