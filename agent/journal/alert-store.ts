// Alerts of the user's own rules that ask Lastgood for an act and fire now: kept until Alertmanager says that they are
// over, so that what a guard holds back is looked at again. Begin and end are in the journal, in one atomic step.
import { formatReleaseKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { PolicyAction } from "../policy/decision.ts";
import { ALERT_REQUESTS } from "./control-keys.ts";
import type { Journal } from "./journal.ts";

export interface AlertRequest {
  readonly alertname: string;
  readonly action: PolicyAction;
  /** The alert's own words. */
  readonly sentence: string;
  /** RFC 3339. */
  readonly since: string;
}

/** Alert requests at once: a storm of alerts must not fill Redis. */
export const ALERT_REQUESTS_MAX = 1_000;

export interface AlertStore {
  /** `full`: there are ALERT_REQUESTS_MAX already. */
  fire(release: ReleaseKey, request: AlertRequest): Promise<"began" | "goes_on" | "full">;
  resolve(release: ReleaseKey, alertname: string, nowMs: number): Promise<"ended" | "unknown">;
  listOn(key: ChannelKey): Promise<{ readonly release: ReleaseKey; readonly request: AlertRequest }[]>;
  listReleases(): Promise<ReleaseKey[]>;
}

export function createAlertStore({ redis, journal }: { redis: Redis; journal: Journal }): AlertStore {
  return {
    async fire(release, request) {
      const field = formatReleaseKey(release);
      const known = await redis.hget(ALERT_REQUESTS, field);
      if (known !== null && (JSON.parse(known) as AlertRequest).alertname === request.alertname)
        return "goes_on";
      if (known === null && (await redis.hlen(ALERT_REQUESTS)) >= ALERT_REQUESTS_MAX) return "full";
      const value = JSON.stringify(request);
      const body = { ...release, ...request, stage: "firing" };
      await journal.append({ kind: "alert", at: request.since, body }, [
        { op: "set", key: ALERT_REQUESTS, field, value },
      ]);
      return "began";
    },
    async resolve(release, alertname, nowMs) {
      const field = formatReleaseKey(release);
      const row = await redis.hget(ALERT_REQUESTS, field);
      if (row === null || (JSON.parse(row) as AlertRequest).alertname !== alertname) return "unknown";
      const body = { ...release, alertname, stage: "resolved" };
      const result = await journal.append({ kind: "alert", at: new Date(nowMs).toISOString(), body }, [
        { op: "present", key: ALERT_REQUESTS, field },
        { op: "delete", key: ALERT_REQUESTS, field },
      ]);
      return result === "appended" ? "ended" : "unknown";
    },
    async listOn({ app, channel }) {
      const rows = Object.entries(await redis.hgetall(ALERT_REQUESTS));
      return rows
        .map(([text, row]) => ({ release: parseReleaseKey(text), request: JSON.parse(row) as AlertRequest }))
        .filter(({ release }) => release.app === app && release.channel === channel);
    },
    listReleases: async () => (await redis.hkeys(ALERT_REQUESTS)).map(parseReleaseKey),
  };
}
